"""
What a mapping may build its leaf of.

In:  `compose` makes one for an edge.
Out: every kind of mapping gets it when a host is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hostedge.filters.rate import Limiter
from hostedge.http.exchange import Leaf
from hostedge.model.kind import Kind
from hostedge.model.limits import MappingLimits
from hostedge.model.site import Account, App, Found, Pool, Rate
from hostedge.net.descriptors import Files
from hostedge.settings import Limits


class Parts(Protocol):
    """The shells of an edge, as far as mappings need them."""

    # those that are open while an answer is sent
    files: Files

    def limits(self, own: MappingLimits | None) -> Limits:
        """What holds for the requests of a mapping with these limits of its own."""

    def relay_to_app(
        self, account: Account, app: App, own: MappingLimits | None, websocket: bool = False
    ) -> Leaf:
        """
        A leaf that starts the app when it has to, and relays to it.

        `websocket`: upgrades are forwarded as well.
        """

    def relay_to_pool(
        self, account: str, pool: Pool, own: MappingLimits | None, websocket: bool = False
    ) -> Leaf: ...

    def home(self, account: str) -> str:
        """The folder that this account's paths are relative to."""

    def owner(self, account: str) -> int:
        """The uid that files served for this account must belong to."""

    def limiter(self, site: str, rate: Rate) -> Limiter:
        """Who counts how often each client asks this domain."""

    def next_turn(self, call: Callable[[], None]) -> None:
        """Call this in the reactor's next turn: for work that would hold up the others."""


class MappingKind(Kind, Protocol):
    """A word under `mappings:` of a domain."""

    def compile(self, value: object, prefix: bytes, found: Found, parts: Parts) -> Leaf:
        """
        Put the leaf together, once for each compiled host; `prefix` has no trailing slash.

        Raises:
            KeyError: the mapping names an app or pool that the account does not have.
        """

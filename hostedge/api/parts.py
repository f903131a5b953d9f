"""
What the API needs of the rest of control.

In:  `compose` hands them to `api.app.Api`.
Out: the API calls them and puts what they answer into JSON.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.web.server import Request

from hostedge.model.parse import Object
from hostedge.model.site import FoundZone, Record, Site

# Runs a function outside the reactor's thread; fires with what it returns.
InThread = Callable[..., Deferred[Any]]
# Who makes a request, as the change log shall name it.
Caller = Callable[[Request], str]


class Change(Protocol):
    """One object before and after, as JSON texts."""

    @property
    def key(self) -> str: ...

    @property
    def before(self) -> str | None: ...

    @property
    def after(self) -> str | None: ...


class Outcome(Protocol):
    """What applying sites has changed, or would change."""

    @property
    def revision(self) -> int: ...

    @property
    def changes(self) -> Sequence[Change]: ...


class Made(Protocol):
    """When a revision came to be, and who made it."""

    @property
    def revision(self) -> int: ...

    @property
    def time(self) -> float: ...

    @property
    def who(self) -> str: ...


class Entry(Made, Protocol):
    """One line of history."""

    @property
    def change(self) -> Change: ...


class Store(Protocol):
    """`store.writer.RouteStore`: `apply`, `undo` and `put_secrets` write, the others only read."""

    def apply(self, sites: Sequence[Site], who: str, dry_run: bool = False) -> Outcome: ...

    def undo(self, revision: int, who: str, dry_run: bool = False) -> Outcome:
        """
        Raises:
            Conflict: what the revision has changed was changed again.
        """

    def put(
        self, account: str, key: str, value: Object | None, who: str, dry_run: bool = False
    ) -> Outcome: ...

    def put_secrets(self, values: Sequence[str]) -> list[str]: ...

    def export(self, account: str | None = None) -> Iterator[Site]: ...

    def backup(self, destination: Path) -> None: ...


class Served(Protocol):
    """A zone with everything that is served of it."""

    @property
    def found(self) -> FoundZone: ...

    @property
    def records(self) -> Sequence[Record]:
        """With the SOA and NS that the node makes."""

    @property
    def hosts(self) -> Sequence[str]:
        """Names of domains that are answered with the node's addresses."""

    @property
    def more(self) -> bool:
        """Whether there are more of these."""

    @property
    def addresses(self) -> Sequence[str]: ...


class Zones(Protocol):
    """`store.served.ServedZones`; may be asked in any thread."""

    def read(self, name: str) -> Served | None: ...


class History(Protocol):
    """`store.history.History`; may be asked in any thread."""

    def entries(self, key: str = "", after: int = 0) -> Iterator[Entry]:
        """
        Raises:
            ConfigError: it is no key.
        """

    def difference(self, after: int, until: int, key: str = "") -> Iterator[Entry]:
        """
        Raises:
            ConfigError: it is no key.
        """

    def last(self, key: str, until: int) -> Made | None:
        """When this object changed last, until a revision; None: it has not."""

    def newest(self) -> int: ...

    def at(self, time: float) -> int:
        """The newest revision that was there at a time; 0: none was."""


class Node(Protocol):
    """
    The other roles, as control reaches them.

    All but `announce` raise ConfigError or time out while the role asked is not there.
    """

    def announce(self, revision: int) -> Awaitable[None]:
        """Done when the revision is live on every edge."""

    def status(self) -> Awaitable[dict[str, Any]]: ...

    def refused(self, cause: str, site: str, id: str) -> Awaitable[list[dict[str, Any]]]:
        """The last requests that were refused, the newest first: `observe.refused.tell`."""

    def sites(self) -> Awaitable[list[dict[str, Any]]]:
        """By edge, with `index`, `pid` and `sites`: `observe.sites.Activity.tell`."""

    def backends(self) -> Awaitable[list[dict[str, Any]]]:
        """By edge, with `index`, `pid` and `backends`: `http.backends.Backends.page`."""

    def daemons(self) -> Awaitable[list[dict[str, Any]]]:
        """Every app that the keeper knows of: `ipc.Daemons` says with what."""

    def daemon(self, app: str) -> Awaitable[dict[str, Any] | None]:
        """One of them; None: the keeper does not know it."""

    def journey(self, app: str) -> Awaitable[dict[str, Any] | None]:
        """The last start of an app that failed: `supervise.journey`."""

    def events(self, after: int, app: str, wait: bool) -> Awaitable[list[dict[str, Any]]]:
        """
        What has happened after a number, or the last so many where it is below 0; `wait`: until
        there is something, at most 20 seconds.
        """

    def daemon_counts(self) -> Awaitable[dict[str, Any]]:
        """What the keeper counts of apps: `supervise.chronicle`."""

    def restart(self, app: str) -> Awaitable[str]:
        """Empty, or why not: a cause of `errors.CAUSES` or a sentence."""

    def upgrade(self) -> Awaitable[str]:
        """Begin one; empty, or why not."""

    def upgraded(self) -> dict[str, Any] | None:
        """How far the last one has come; None: there was none."""

    def explain(self, url: str, method: str, at: int) -> Awaitable[list[dict[str, Any]]]:
        """`at` is a revision; 0: now."""

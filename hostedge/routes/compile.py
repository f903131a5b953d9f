"""
A host as the store has it, put together into what answers its requests.

In:  the host cache, once for each host that is asked for.
Out: `HostRoutes`: frozen; a request keeps the one it began with, a change makes a new one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote

from attrs import field, frozen

from hostedge.errors import BadRequest
from hostedge.http.exchange import Exchange, Leaf
from hostedge.model.keys import account_key, domain_key, keys_named_by
from hostedge.model.site import Found
from hostedge.routes.match import Node, match, plant
from hostedge.wire.target import split_target

if TYPE_CHECKING:
    from hostedge.mappings.parts import MappingKind, Parts

_BARE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
# what may stand in a path without an escape, and escapes as the operator wrote them
_SAFE = "/%!\"$&'()*+,:;<=>@[]^`{|}~"


@frozen
class HostRoutes:
    """What answers under one name, or under the names that a wildcard covers."""

    name: str
    account: str
    # the domain that has this name
    domain: str
    # the keys of all objects in the store that this was made of
    keys: frozenset[str]
    revision: int
    tree: Node
    # the one leaf of a host that has a mapping of `/` and no other
    only: Leaf | None = None
    # the site's own pages, by status or class of it
    pages: Mapping[str, str] = field(factory=dict)

    def page(self, status: int) -> str:
        """The site's own page for a status with which the node refuses; empty: it has none."""
        pages = self.pages
        return pages.get(f"{status}") or pages.get(f"{status // 100}xx", "")

    def leaf(self, path: bytes) -> Leaf | None:
        """Find what answers for a path in match form; None: no mapping."""
        if self.only is not None:
            return self.only
        node = match(self.tree, path)
        return None if node is None else node.leaf


@frozen
class Refusing:
    """A leaf that answers every request with one cause."""

    cause: str
    reason: str

    def answer(self, exchange: Exchange) -> None:
        exchange.refuse(self.cause)

    def explain(self) -> list[str]:
        return [self.reason]


def compile_host(found: Found, kinds: Iterable[MappingKind], parts: Parts) -> HostRoutes:
    """Put the leaves of a host together; a mapping that cannot work becomes one that says so."""
    account = found.account
    root = Node()
    if account.suspended:
        plant(root, b"", Refusing("suspended", f"account {account.name} is suspended"))
    else:
        by_value = {kind.value: kind for kind in kinds}
        for mapping in found.domain.mappings:
            try:
                prefix = match_prefix(mapping.path)
            except BadRequest:
                # no request can have this path: `%00`, or `%2e%2e` above the root
                continue
            kind = by_value[type(mapping.to)]
            try:
                leaf = kind.compile(mapping.to, prefix, found, parts)
            except KeyError as missing:
                reason = f"account {account.name} has no app or pool named {missing.args[0]}"
                leaf = Refusing("not_configured", reason)
            plant(root, prefix, leaf)
    return HostRoutes(
        name=found.name,
        account=account.name,
        domain=found.domain.name,
        keys=frozenset(
            keys_named_by(found.domain, account.name)
            | {domain_key(found.domain.name), account_key(account.name)}
        ),
        revision=found.revision,
        tree=root,
        only=None if root.children else root.leaf,
        # why an account is suspended is not its own to say
        pages={} if account.suspended else {p.status: p.page for p in found.domain.errors},
    )


def match_prefix(path: str) -> bytes:
    """
    Bring a mapping's path into match form, without a slash at the end; `/` is empty.

    Raises:
        BadRequest: no request can have this path.
    """
    escaped = quote(_BARE_PERCENT.sub("%25", path), safe=_SAFE)
    return split_target(escaped.encode("ascii"))[0].rstrip(b"/")

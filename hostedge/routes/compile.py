"""
A host as the store has it, put together into what answers its requests.

In:  the host cache, once for each host that is asked for.
Out: `HostRoutes`: frozen; a request keeps the one it began with, a change makes a new one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote

from attrs import field, frozen

from hostedge.errors import BadRequest
from hostedge.filters.rate import Rated
from hostedge.http.exchange import Exchange, Leaf
from hostedge.model.keys import account_key, domain_key, keys_named_by, named_by
from hostedge.model.limits import told
from hostedge.model.site import Found, Hsts
from hostedge.routes.match import Node, match, plant
from hostedge.routes.readings import has_one_reading, readings
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
    # how paths are matched, where not as they come: `model.site.Domain` tells
    merges: bool = False
    folds: bool = False
    rejects: bool = False
    # what stands behind each mapping, by its prefix, where a path read otherwise could reach what
    # it must not; empty: all readings are one
    behind: Mapping[bytes, object] = field(factory=dict)
    # the mappings as somebody else may read their own paths
    read: Node = field(factory=Node)
    # the value of `Strict-Transport-Security`; empty: the site does not ask for it
    strict: bytes = b""
    # the site's own pages, by status or class of it
    pages: Mapping[str, str] = field(factory=dict)

    # what mappings have of limits of their own, by their prefixes; for whoever asks
    limits: Mapping[bytes, str] = field(factory=dict)

    def page(self, status: int) -> str:
        """The site's own page for a status with which the node refuses; empty: it has none."""
        pages = self.pages
        return pages.get(f"{status}") or pages.get(f"{status // 100}xx", "")

    def leaf(self, path: bytes) -> Leaf | None:
        """Find what answers for a path in match form; None: no mapping."""
        if self.only is not None:
            return self.only
        if self.rejects and (b"%2F" in path or b"%5C" in path):
            return ESCAPED_SLASH
        node = self.node(path)
        if self.behind and not has_one_reading(path) and self.disagreeing(path):
            return AMBIGUOUS
        return None if node is None else node.leaf

    def node(self, path: bytes) -> Node | None:
        """The mapping that a path is matched with as it came."""
        return match(self.tree, path.lower() if self.folds else path)

    def disagreeing(self, path: bytes) -> tuple[bytes, Node] | None:
        """
        A reading of a path, and the mapping it belongs to, behind which stands something else than
        behind that of the path itself; None: whoever reads it gets to the same.

        No mapping is stricter than another, so none of them may answer.
        """
        chosen = self.node(path)
        if chosen is None:
            return None
        mine = self.behind[chosen.prefix]
        for reading in readings(path)[1:]:
            node = match(self.read, reading.lower() if self.folds else reading)
            if node is not None and self.behind[node.prefix] != mine:
                return reading, node
        return None


@frozen
class Refusing:
    """A leaf that answers every request with one cause, also one that asks for an upgrade."""

    upgrades: ClassVar[bool] = True

    cause: str
    reason: str
    # `account/name` of the app behind; empty: none is, or it does not matter
    app: str = ""

    @property
    def limits(self) -> None:
        """None of its own."""

    def answer(self, exchange: Exchange) -> None:
        exchange.refuse(self.cause)

    def explain(self) -> list[str]:
        return [self.reason]


ESCAPED_SLASH = Refusing("bad_path", "the domain rejects escaped slashes")
AMBIGUOUS = Refusing("bad_path", "others may read this path as one for another mapping")


def compile_host(found: Found, kinds: Iterable[MappingKind], parts: Parts) -> HostRoutes:
    """Put the leaves of a host together; a mapping that cannot work becomes one that says so."""
    account, domain = found.account, found.domain
    root = Node()
    limits: dict[bytes, str] = {}
    behind: dict[bytes, object] = {}
    if account.suspended:
        plant(root, b"", Refusing("suspended", f"account {account.name} is suspended"))
    else:
        by_value = {kind.value: kind for kind in kinds}
        for mapping in domain.mappings:
            try:
                prefix = match_prefix(mapping.path)
                if domain.ignore_case:
                    prefix = prefix.lower()
            except BadRequest:
                # no request can have this path: `%00`, or `%2e%2e` above the root
                continue
            kind = by_value[type(mapping.to)]
            try:
                leaf = kind.compile(mapping.to, prefix, found, parts)
            except KeyError as missing:
                reason = f"account {account.name} has no app or pool named {missing.args[0]}"
                leaf = Refusing("not_configured", reason)
            if domain.rate is not None:
                leaf = Rated(leaf, domain.rate, parts.limiter(domain.name, domain.rate))
            plant(root, prefix, leaf)
            own = getattr(mapping.to, "limits", None)
            if own is not None:
                limits[prefix] = told(own)
            behind.setdefault(prefix, _behind(mapping.to))
    if domain.encoded_slash == "allow" or len({*map(repr, behind.values())}) < 2:
        behind.clear()
    rejects = domain.encoded_slash == "reject"
    return HostRoutes(
        name=found.name,
        account=account.name,
        domain=domain.name,
        keys=frozenset(
            keys_named_by(domain, account.name)
            | {domain_key(domain.name), account_key(account.name)}
        ),
        revision=found.revision,
        tree=root,
        only=None if root.children or rejects else root.leaf,
        merges=domain.merge_slashes,
        folds=domain.ignore_case,
        rejects=rejects,
        behind=behind,
        read=_read(behind),
        limits=limits,
        strict=b"" if domain.hsts is None else strict_value(domain.hsts),
        # why an account is suspended is not its own to say
        pages={} if account.suspended else {p.status: p.page for p in domain.errors},
    )


def strict_value(hsts: Hsts) -> bytes:
    """The value of the field: RFC 6797 section 6.1."""
    value = b"max-age=%d" % hsts.max_age
    if hsts.include_subdomains:
        value += b"; includeSubDomains"
    return value + b"; preload" if hsts.preload else value


def _read(behind: dict[bytes, object]) -> Node:
    """A tree of the mappings' paths and of what they may be read as; `behind` then has both."""
    root = Node()
    # each by its own path first: what somebody reads another one as must not hide it
    for prefix in behind:
        plant(root, prefix, AMBIGUOUS)
    for prefix in [each for each in behind if each]:
        for other in readings(prefix)[1:]:
            plant(root, other.rstrip(b"/"), AMBIGUOUS)
            behind.setdefault(other.rstrip(b"/"), behind[prefix])
    return root


def _behind(to: object) -> object:
    """What stands behind a mapping: the app or pool that it names first, else what it says."""
    for _, kind, name in named_by(to):
        return kind, name
    return to


def match_prefix(path: str) -> bytes:
    """
    Bring a mapping's path into match form, without a slash at the end; `/` is empty.

    Raises:
        BadRequest: no request can have this path.
    """
    escaped = quote(_BARE_PERCENT.sub("%25", path), safe=_SAFE)
    return split_target(escaped.encode("ascii"))[0].rstrip(b"/")

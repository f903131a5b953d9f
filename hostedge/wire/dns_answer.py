"""
What an authority answers: where a name lies in its zone, and what is said of it.

In:  `dns.responder` with a question and the zone that encloses it.
Out: `Answer`, which holds for every question that comes to the same place: only the name asked
     for and the zone's name in it are written as pointers into the question.
Spec: RFC 1034 section 4.3.2, RFC 2308, RFC 4592, RFC 6604, RFC 8020, RFC 8482 section 4.1,
      RFC 9471.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from struct import Struct

from hostedge.wire.dns_message import (
    AAAA,
    ANY,
    AUTHORITATIVE,
    CNAME,
    DS,
    HEADER,
    HEADS,
    MX,
    NOERROR,
    NS,
    NXDOMAIN,
    SOA,
    SRV,
    TRUNCATED,
    A,
)
from hostedge.wire.dns_name import (
    SEPARATOR,
    Name,
    is_at_or_below,
    labels_in_common,
    name_of,
)
from hostedge.wire.dns_zone import HTTPS, SVCB, CompiledZone, Node, Pieces, RRset

# Aliases that are followed, as many as by BIND; a resolver asks on from there.
MAX_CHAIN = 11
# Bytes of what aliases lead to: with 11 of them before it, names in full, it fits in a message.
# What is longer is left to be asked for by its own name, which then is two bytes in each record.
MAX_AT_ALIAS = 59_000
# Names whose addresses are added to what leads to them; a referral's are all added.
MAX_TARGETS = 32

_QUESTION = b"\xc0\x0c"
_POINTER = 0xC000
_POINTER_SIZE = 2
_SIZE = Struct(">H").pack
_ADDRESSES = (A, AAAA)
_LEADING = frozenset((NS, MX, SRV, SVCB, HTTPS))
# RRSIG and NSEC, which stand beside a CNAME: asked for, they are not what it leads to
_BESIDE_CNAME = frozenset((46, 47))

# the zone that answers for a name and type, if it is ours
FindZone = Callable[[Name, int], CompiledZone | None]


class How(Enum):
    """What lies at a name."""

    FOUND = 1
    NOTHING = 2
    CUT = 3


FOUND, NOTHING, CUT = How


class Place:
    """
    Where a name lies: at a node of the zone, at a host name of the store, or both; `source` is
    the wildcard that stands for it.
    """

    __slots__ = ("how", "node", "hosted", "source")

    def __init__(self, how: How, node: Node | None, hosted: bool, source: bytes) -> None:
        self.how = how
        self.node = node
        self.hosted = hosted
        self.source = source

    def rrset(self, zone: CompiledZone, kind: int) -> RRset | None:
        """The records of this type here; for ANY those of one type."""
        node = self.node
        if node is not None:
            if kind == ANY and node.records:
                kind = min(node.records)
            found = zone.rrset(node, kind)
            if found is not None:
                return found
        if not self.hosted:
            return None
        if kind == ANY:
            return next(iter(zone.hosted.values()), None)
        return zone.hosted.get(kind)


_NOWHERE = Place(NOTHING, None, False, b"")


class Answer:
    """
    A rendered answer: answer and authority sections in `body`, additional section in `extra`.

    Between two pieces belongs a pointer to the zone's name in the question.
    """

    __slots__ = (
        *("rcode", "heads", "bare", "cut", "body", "extra", "needed"),
        *("apex", "zones", "general", "firm"),
    )

    def __init__(
        self,
        rcode: int,
        authoritative: bool,
        counts: tuple[int, int, int],
        body: Pieces,
        extra: Pieces,
        needed: bool,
        zones: tuple[CompiledZone, ...],
    ) -> None:
        flags = rcode | (AUTHORITATIVE if authoritative else 0)
        answers, authorities, additional = counts
        self.rcode = rcode
        # heads of the whole, without the additional section, and of nothing but the question
        self.heads = HEADS[flags, 1, answers, authorities, additional]
        self.bare = HEADS[flags, 1, answers, authorities, 0]
        self.cut = HEADS[flags | TRUNCATED, 1, 0, 0, 0]
        self.body = body
        self.extra = extra
        # whether the additional section is what makes a referral work
        self.needed = needed
        self.apex = len(zones[0].apex)
        # the names of all zones that had a part in it
        self.zones = tuple([zone.name for zone in zones])
        # whether it is the same for every name that comes to the same wildcard
        self.general = True
        # whether it stays the same when a host name comes or goes that was not asked for
        self.firm = False

    def pointer(self, question: bytes) -> bytes:
        """To the zone's name in this question."""
        return (_POINTER + HEADER + len(question) - 4 - self.apex).to_bytes(2)


class _Sections:
    """The sections of one answer while it is put together; the zone's name is left out."""

    def __init__(self, zone: CompiledZone) -> None:
        self._zone = zone
        self._done: list[bytes] = []
        self._open: list[bytes] = []

    def add(self, owner: bytes | None, zone: CompiledZone, rrset: RRset) -> int:
        """Write one RRset of a zone; no owner: it is the name in the question."""
        opened = self._open
        for data in rrset.data:
            if owner is None:
                opened.append(_QUESTION)
            elif is_at_or_below(owner, self._zone.apex):
                opened.append(owner[: -len(self._zone.apex)])
                self._mark()
                opened = self._open
            else:
                opened.append(owner)
            opened.append(rrset.head)
            if zone is not self._zone:
                # the question does not have this zone's name
                data = (zone.apex.join(data),)
            size = sum(map(len, data)) + _POINTER_SIZE * (len(data) - 1)
            opened.append(_SIZE(size))
            opened.append(data[0])
            for piece in data[1:]:
                self._mark()
                opened = self._open
                opened.append(piece)
        return len(rrset.data)

    def _mark(self) -> None:
        self._done.append(b"".join(self._open))
        self._open = []

    def pieces(self) -> Pieces:
        return (*self._done, b"".join(self._open))


def locate(zone: CompiledZone, name: Name, kind: int) -> Place:
    """Find what the zone, and the store below it, have at a name."""
    wire, offsets, nodes = name.wire, name.offsets, zone.nodes
    at = len(offsets) - zone.depth
    node = zone.top
    while at:
        child = nodes.get(wire[offsets[at - 1] :])
        if child is None:
            return _beyond(zone, name, kind, len(offsets) - at)
        at -= 1
        node = child
        # what the parent says of a delegation is DS alone
        if child.cut and (at or kind != DS):
            return Place(CUT, child, False, b"")
    if zone.neighbours is None or not _asks_host(node, kind):
        return Place(FOUND, node, False, b"")
    key = name.key()
    return Place(FOUND, node, key.whole and zone.neighbours(key.text)[0] == key.text, b"")


def _asks_host(node: Node | None, kind: int) -> bool:
    """Say whether it matters that a host name lies at this node, too."""
    if node is None:
        return True
    return not node.own and (kind in _ADDRESSES or (kind == ANY and not node.records))


def _beyond(zone: CompiledZone, name: Name, kind: int, depth: int) -> Place:
    """A name that the zone itself does not have; so many labels of it, it has."""
    neighbours = zone.neighbours
    if neighbours is None:
        source = b"\1*" + name.wire[name.offsets[-depth] :]
        node = zone.nodes.get(source)
        return _NOWHERE if node is None else Place(FOUND, node, False, source)
    key = name.key()
    text, labels = key.text, key.labels
    before, after = neighbours(text)
    if key.whole:
        if before == text:
            return Place(FOUND, None, True, b"")
        if after.startswith(text + SEPARATOR):
            return Place(FOUND, None, False, b"")
    if len(labels) > depth + 1 or not key.whole:
        # else it is just this label that is missing: the encloser stays
        depth = max(depth, labels_in_common(labels, before), labels_in_common(labels, after))
    source = b"\1*" + name.wire[name.offsets[-depth] :]
    node = zone.nodes.get(source)
    hosted = False
    # no host name lies between the two neighbours, the wildcard neither
    star = SEPARATOR.join((*labels[:depth], "*"))
    if not before < star < after and _asks_host(node, kind):
        hosted = before == star or neighbours(star)[0] == star
    if node is None and not hosted:
        return _NOWHERE
    return Place(FOUND, node, hosted, source)


def no_name(zone: CompiledZone) -> Answer:
    """The one answer for all names that do not exist in a zone."""
    return _negative(zone, NXDOMAIN)


def no_data(zone: CompiledZone) -> Answer:
    """The one answer for all names that exist without what was asked for."""
    return _negative(zone, NOERROR)


def _negative(zone: CompiledZone, rcode: int) -> Answer:
    sections = _Sections(zone)
    count = sections.add(zone.apex, zone, zone.negative)
    return Answer(rcode, True, (0, count, 0), sections.pieces(), (b"",), False, (zone,))


def refer(zone: CompiledZone, node: Node) -> Answer:
    """The one answer for all names at and below a cut: ask there."""
    body, extra = _Sections(zone), _Sections(zone)
    count, added, needed = _refer(zone, node, body, extra)
    parts = body.pieces(), extra.pieces()
    return Answer(NOERROR, False, (0, count, added), *parts, needed, (zone,))


def _refer(
    zone: CompiledZone, node: Node, body: _Sections, extra: _Sections
) -> tuple[int, int, bool]:
    servers = zone.rrset(node, NS)
    assert servers is not None  # noqa: S101 - what makes it a cut
    count = body.add(node.wire, zone, servers)
    added = 0
    for target in servers.targets:
        glue = zone.nodes.get(target)
        for kind in _ADDRESSES if glue is not None else ():
            found = zone.rrset(glue, kind)  # type: ignore[arg-type]
            if found is not None:
                added += extra.add(target, zone, found)
    # Servers below the cut cannot be found without their addresses: RFC 9471.
    needed = any(is_at_or_below(target, node.wire) for target in servers.targets)
    return count, added, needed and added > 0


def make_answer(
    zone: CompiledZone, name: Name, kind: int, place: Place, find: FindZone
) -> Answer | None:
    """
    Say what lies at a place of the zone, and where it leads. None: the zone's `no_data`.
    """
    if place.how is FOUND:
        rrset = place.rrset(zone, kind)
        if rrset is None and _alias(zone, place, kind) is None:
            return None
    return _Chain(zone, find).follow(name, kind, place)


def _alias(zone: CompiledZone, place: Place, kind: int) -> RRset | None:
    return None if kind in _BESIDE_CNAME else place.rrset(zone, CNAME)


class _Chain:
    """An answer that may lead from name to name, also into other zones of ours."""

    def __init__(self, zone: CompiledZone, find: FindZone) -> None:
        self._find = find
        self._zones = [zone]
        self._body = _Sections(zone)
        self._extra = _Sections(zone)
        self._answers = self._authorities = self._additional = 0
        self._needed = self._firm = False
        self._rcode = NOERROR

    def follow(self, name: Name, kind: int, place: Place) -> Answer:
        zone = self._zones[0]
        source = place.source
        general = True
        owner: bytes | None = None
        seen = {name.wire}
        for _ in range(MAX_CHAIN):
            alias = self._say(zone, owner, kind, place)
            if alias is None:
                break
            if alias in seen:
                general = False
                break
            seen.add(alias)
            name = name_of(alias)
            found = self._find(name, kind)
            if found is None:
                break
            zone = found
            if zone not in self._zones:
                self._zones.append(zone)
            place = locate(zone, name, kind)
            owner = alias
            # had this name been asked for, it would have been the end of the chain
            general = general and not (source and place.source == source)
        answer = Answer(
            self._rcode,
            True,
            (self._answers, self._authorities, self._additional),
            self._body.pieces(),
            self._extra.pieces(),
            self._needed,
            tuple(self._zones),
        )
        answer.general = general
        answer.firm = self._firm
        return answer

    def _say(
        self, zone: CompiledZone, owner: bytes | None, kind: int, place: Place
    ) -> bytes | None:
        """Write what is at one place; an alias leads on to the name that is given back."""
        if place.how is CUT:
            assert place.node is not None  # noqa: S101 - a cut is one
            count, self._additional, self._needed = _refer(
                zone, place.node, self._body, self._extra
            )
            self._authorities += count
            return None
        if place.how is FOUND:
            found = place.rrset(zone, kind)
            if found is not None:
                if owner is not None and found.size(owner, zone.apex) > MAX_AT_ALIAS:
                    return None
                self._answers += self._body.add(owner, zone, found)
                made_of = int.from_bytes(found.head[:2])
                if made_of in _LEADING:
                    self._add_addresses(zone, found)
                elif owner is None and not place.source:
                    # a serial moves on with every host name
                    self._firm = made_of != SOA
                return None
            alias = _alias(zone, place, kind)
            if alias is not None:
                self._answers += self._body.add(owner, zone, alias)
                return alias.targets[0]
        else:
            self._rcode = NXDOMAIN
        self._authorities += self._body.add(zone.apex, zone, zone.negative)
        return None

    def _add_addresses(self, zone: CompiledZone, found: RRset) -> None:
        """The addresses of the names that MX and its like lead to, as far as the zone has them."""
        for target in dict.fromkeys(found.targets[:MAX_TARGETS]):
            if not is_at_or_below(target, zone.apex):
                continue
            place = locate(zone, name_of(target), A)
            if place.how is CUT:
                place = Place(FOUND, zone.nodes.get(target), False, b"")
            for kind in _ADDRESSES:
                addresses = place.rrset(zone, kind)
                if addresses is not None:
                    self._additional += self._extra.add(target, zone, addresses)

"""
A zone compiled for answering: its records as they are written, by owner, and its tree of names.

In:  `dns.zones` with a zone, what its apex answers, and the node's addresses.
Out: an immutable `CompiledZone` for `wire.dns_answer`; data is rendered when it is first asked for.
Spec: RFC 1034 section 4.2, RFC 2181 section 5, RFC 3597 section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from ipaddress import ip_address
from struct import Struct

from dns.rdata import from_text
from dns.rdataclass import IN
from dns.rdatatype import RdataType

from hostedge.memo import Memo
from hostedge.model.site import Record, Zone
from hostedge.wire.dns_message import AAAA, CNAME, MX, NS, SOA, SRV, A
from hostedge.wire.dns_name import is_at_or_below, offsets_of, wire_name

PTR, SVCB, HTTPS = 12, 64, 65
# what `apex_records` says in the zone's place, or repeats of it
_AT_APEX = ("SOA", "NS")
# with one of these a name says itself what is there, if it is a host name as well
_OWN = (A, AAAA, CNAME)

# Wire data in pieces: between two of them stands the name of the zone, or a pointer to it.
Pieces = tuple[bytes, ...]
# The existing host names between which this one lies, in the form of `routes.hostname.ordered`.
Neighbours = Callable[[str], tuple[str, str]]

_KINDS: Memo[str, int] = Memo(lambda text: int(RdataType.make(text)))

_HEAD = Struct(">HHI").pack
_FIXED = 10  # bytes of a record beside its owner and data: type, class, TTL, length

# Where in the data the names are, those that RFC 1035 defines and lets be compressed: bytes before
# the first, how many.
_COMPRESSED = {NS: (0, 1), CNAME: (0, 1), PTR: (0, 1), MX: (2, 1), SOA: (0, 2)}
# …and those whose addresses are of use to whoever asks for the others
_TARGETS = {NS: 0, CNAME: 0, MX: 2, SRV: 6, SVCB: 2, HTTPS: 2}


class RRset:
    """All records of one name and type, rendered; `head` is type, class and TTL."""

    __slots__ = ("head", "data", "targets")

    def __init__(
        self, kind: int, ttl: int, data: tuple[Pieces, ...], targets: tuple[bytes, ...] = ()
    ) -> None:
        self.head = _HEAD(kind, 1, ttl)
        self.data = data
        # the names to which it leads, in lower case
        self.targets = targets

    def size(self, owner: bytes, apex: bytes) -> int:
        """How many bytes it takes at most, with its owner and the zone's name in full."""
        fixed = len(owner) + _FIXED
        return sum(fixed + len(apex.join(each)) for each in self.data)


class Node:
    """
    A name that exists: with records, or because one below it has some.

    Below a cut only addresses of name servers are of use, and nothing is answered from here.
    """

    __slots__ = ("wire", "records", "cut", "own")

    def __init__(self, wire: bytes) -> None:
        self.wire = wire
        # rendered from the first time on that they are asked for
        self.records: dict[int, list[Record] | RRset] = {}
        self.cut = False
        # whether it has one of `_OWN`
        self.own = False


class CompiledZone:
    """
    One zone at one serial. `hosted` are the address records of every host name that the store has
    below the zone; `neighbours` finds these names, which are never loaded as a whole, and is None
    if there are none.
    """

    def __init__(
        self,
        zone: Zone,
        apex: Sequence[Record],
        addresses: Iterable[str],
        neighbours: Neighbours | None,
    ) -> None:
        self.name = zone.name
        self.apex = wire_name(zone.name)
        self.depth = len(offsets_of(self.apex))
        self.neighbours = neighbours
        self._ttl = int(zone.ttl)
        self.top = Node(self.apex)
        self.nodes: dict[bytes, Node] = {self.apex: self.top}
        owners = {"@": self.top}
        own = [each for each in zone.records if each.name != "@" or each.type not in _AT_APEX]
        for record in (*apex, *own):
            name = record.name
            node = owners.get(name)
            if node is None:
                node = owners[name] = self._node(wire_name(name)[:-1] + self.apex)
            kind = _KINDS[record.type]
            same = node.records.get(kind)
            if isinstance(same, list):
                same.append(record)
            else:
                node.records[kind] = [record]
        for node in owners.values():
            node.cut = NS in node.records and node is not self.top
            node.own = not node.records.keys().isdisjoint(_OWN)
        self.hosted = _address_sets(addresses, self._ttl)
        self.negative = self._negative()

    def renewed(self, apex: Sequence[Record], neighbours: Neighbours | None) -> CompiledZone:
        """The same records at another serial: a host name below them has come or gone."""
        other = copy(self)
        top = other.top = Node(self.apex)
        top.own = self.top.own
        top.records = self.top.records | {SOA: [each for each in apex if each.type == "SOA"]}
        other.nodes = self.nodes | {self.apex: top}
        other.neighbours = neighbours
        other.negative = other._negative()
        return other

    def rrset(self, node: Node, kind: int) -> RRset | None:
        """The records of one type at a name."""
        found = node.records.get(kind)
        if isinstance(found, list):
            found = node.records[kind] = self._rendered(kind, found)
        return found

    def _node(self, wire: bytes) -> Node:
        """The node of an owner; everything between it and the apex exists, too."""
        nodes = self.nodes
        above = wire
        while above not in nodes:
            nodes[above] = Node(above)
            above = above[above[0] + 1 :]
        return nodes[wire]

    def _rendered(self, kind: int, records: list[Record]) -> RRset:
        data = [from_text(IN, each.type, each.data).to_wire() or b"" for each in records]
        targets = []
        if kind in _TARGETS:
            start = _TARGETS[kind]
            targets = [each[start : start + end_of_name(each[start:])].lower() for each in data]
        ttl = records[0].ttl
        return RRset(
            kind,
            self._ttl if ttl is None else int(ttl),
            tuple([self._pieces(kind, each) for each in data]),
            tuple(targets),
        )

    def _pieces(self, kind: int, data: bytes) -> Pieces:
        """The data without the names of the zone in it, where they may be pointers."""
        before, names = _COMPRESSED.get(kind, (0, 0))
        pieces = []
        begun, rest = data[:before], data[before:]
        for _ in range(names):
            end = len(rest) if names == 1 else end_of_name(rest)
            name, rest = rest[:end], rest[end:]
            if is_at_or_below(name.lower(), self.apex):
                pieces.append(begun + name[: -len(self.apex)])
                begun = b""
            else:
                begun += name
        return (*pieces, begun + rest)

    def _negative(self) -> RRset:
        """The SOA of answers that there is nothing: as long as that may be kept."""
        soa = self.rrset(self.top, SOA)
        assert soa is not None  # noqa: S101 - the apex always has one
        ttl = int.from_bytes(soa.head[4:])
        minimum = int.from_bytes(soa.data[0][-1][-4:])
        return RRset(SOA, min(ttl, minimum), soa.data)


def end_of_name(wire: bytes) -> int:
    """Where the first name in these bytes ends."""
    at = 0
    while wire[at]:
        at += wire[at] + 1
    return at + 1


def _address_sets(addresses: Iterable[str], ttl: int) -> dict[int, RRset]:
    data: dict[int, list[Pieces]] = {}
    for each in addresses:
        address = ip_address(each)
        data.setdefault(A if address.version == 4 else AAAA, []).append((address.packed,))
    return {kind: RRset(kind, ttl, tuple(each)) for kind, each in data.items()}

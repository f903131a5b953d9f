"""
The zones that an edge knows: those in use, compiled, and where no zones are.

In:  `dns.responder` asks for the zone of a name; `store.hosts` says which keys have changed.
Out: compiled zones; subscribers hear which zones are not what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import Protocol

from hostedge.model.records import APEX
from hostedge.model.site import FoundZone, Zone
from hostedge.model.zone_file import apex_records
from hostedge.routes.hostname import from_ordered, ordered
from hostedge.store.gaps import Gaps
from hostedge.wire.dns_message import DS
from hostedge.wire.dns_name import SEPARATOR, Name, wire_name
from hostedge.wire.dns_zone import CompiledZone, Neighbours

# Records, names and gaps that all compiled zones have together, some 300 bytes each. The zone in
# use stays, however large it is.
SIZE = 200_000
# gaps of one zone, and host names below it that are known to exist
MAX_GAPS = 10_000
MAX_PRESENT = 1_000
# a zone without anything
_WEIGHT = 10

# host names of one change that are told one by one; beyond, all that is kept of the zone goes
MAX_TOLD = 100

# The zone that has changed, or None: any may have. If only host names below it came or went, these.
Subscriber = Callable[[str | None, Collection[str] | None], object]


class Reader(Protocol):
    """What is needed of `store.reader.StoreReader`."""

    def zone(self, name: str) -> FoundZone | None: ...

    def zone_serial(self, name: str) -> int | None: ...

    def zone_gap(self, name: str) -> tuple[str, str]: ...

    def hosted_gap(self, name: str, account: str | None) -> tuple[str, str]: ...


class _Loaded:
    """
    A compiled zone, and what is known of the host names below it.

    Its records are compiled once. When a host name changes the serial does, and what is known of
    this name and its neighbours goes: the bounds of gaps are names that exist.
    """

    __slots__ = ("compiled", "apex", "account", "alone", "gaps", "present", "records")

    def __init__(self, found: FoundZone) -> None:
        zone = found.zone
        self.compiled: CompiledZone
        # what its SOA is made of
        own = tuple(record for record in zone.records if record.name == APEX)
        self.apex = Zone(zone.name, own, zone.ttl, zone.shared)
        # whose host names it answers; None: everybody's
        self.account = None if zone.shared else found.account
        # no zone lies below it: whatever does is its own
        self.alone = False
        self.gaps = Gaps(MAX_GAPS)
        self.present: set[str] = set()
        self.records = 0

    @property
    def weight(self) -> int:
        return _WEIGHT + self.records + len(self.gaps) + len(self.present)

    def forget(self, hosts: Iterable[str]) -> None:
        """These names have come or gone."""
        for host in hosts:
            key = ordered(host)
            self.gaps.forget_all(key)
            self.present.discard(key)


class Zones:
    """Zones by name, at most `size` records; the one that was not used for longest goes first."""

    def __init__(
        self,
        reader: Reader,
        addresses: Sequence[str],
        nameservers: Sequence[str],
        size: int = SIZE,
    ) -> None:
        self._reader = reader
        self._addresses = addresses
        self._nameservers = nameservers
        self._size = size
        # by the name on the wire; oldest first
        self._zones: dict[bytes, _Loaded] = {}
        self._weight = 0
        self._gaps = Gaps(MAX_GAPS)
        self._subscribers: list[Subscriber] = []

    def __len__(self) -> int:
        return len(self._zones)

    @property
    def weight(self) -> int:
        """How much of `size` is taken."""
        return self._weight

    def keeps(self) -> bool:
        """Say whether anything was learnt that a change could make wrong."""
        return bool(self._zones) or bool(self._gaps)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Have this called with each zone that is not what it was."""
        self._subscribers.append(subscriber)

    def find(self, name: Name, kind: int) -> CompiledZone | None:
        """
        The zone that answers for this name, or None: none of ours does.

        What a delegation's keys are (DS) is said above it.
        """
        zone = self._enclosing(name, 0)
        if kind == DS and zone is not None and zone.apex == name.wire:
            return self._enclosing(name, 1) or zone
        return zone

    def changed(self, keys: Collection[str] | None) -> None:
        """Forget what was made of these; the subscriber of `store.hosts.Hosts`."""
        if keys is None:
            self._zones.clear()
            self._weight = 0
            self._gaps.clear()
            self._tell(None, None)
            return
        # The host names that came or went at each name and below it, or None: a zone did. Names
        # of a new zone were those of the zones above it.
        concerned: dict[str, set[str] | None] = {}
        for key in keys:
            kind, _, name = key.partition("/")
            if kind == "zone":
                self._gaps.forget(ordered(name))
                self._remove(wire_name(name))
                for above in _up(name):
                    concerned[above] = None
            elif kind == "name":
                for above in _up(name):
                    hosts = concerned.setdefault(above, set())
                    if hosts is not None:
                        hosts.add(name)
        for name, hosts in concerned.items():
            loaded = self._zones.get(wire_name(name))
            if loaded is not None:
                self._renew(name, loaded, hosts)
            self._tell(name, hosts if hosts is None or len(hosts) <= MAX_TOLD else None)

    def _renew(self, name: str, loaded: _Loaded, hosts: set[str] | None) -> None:
        """Bring a zone whose own records have not changed up to date."""
        serial = self._reader.zone_serial(name)
        if serial is None:
            self._remove(loaded.compiled.apex)
            return
        before = loaded.weight
        loaded.forget(hosts or ())
        self._weight += loaded.weight - before
        apex = apex_records(loaded.apex, self._nameservers, serial)
        loaded.compiled = loaded.compiled.renewed(apex, self._look_below(loaded))

    def _remove(self, apex: bytes) -> None:
        loaded = self._zones.pop(apex, None)
        if loaded is not None:
            self._weight -= loaded.weight

    def _tell(self, name: str | None, hosts: Collection[str] | None) -> None:
        for subscriber in self._subscribers:
            subscriber(name, hosts)

    def _enclosing(self, name: Name, skip: int) -> CompiledZone | None:
        """The zone with the longest name that this one ends in, its first labels left out."""
        wire, offsets, zones = name.wire, name.offsets, self._zones
        for offset in offsets[skip:] if skip else offsets:
            apex = wire[offset:]
            loaded = zones.get(apex)
            if loaded is not None:
                if not loaded.alone:
                    break
                # used last
                zones[apex] = zones.pop(apex)
                return loaded.compiled
        return self._closest(name, skip)

    def _closest(self, name: Name, skip: int) -> CompiledZone | None:
        """The same where a zone may have to be loaded, or known not to be there."""
        wire, offsets, key = name.wire, name.offsets, name.key()
        text = key.text
        gap: tuple[str, str] | None = None
        for number in range(len(offsets) - len(key.labels), len(offsets)):
            apex = wire[offsets[number] :]
            if number >= skip:
                loaded = self._zones.get(apex)
                if loaded is not None:
                    self._zones[apex] = self._zones.pop(apex)
                    return loaded.compiled
                if gap is None or text <= gap[0]:
                    gap = self._gap(text)
                if not gap[0] < text < gap[1]:
                    found = self._load(apex, text)
                    if found is not None:
                        return found
            text = text.rpartition(SEPARATOR)[0]
        return None

    def _gap(self, key: str) -> tuple[str, str]:
        """The neighbours of a zone's name; twice itself if it exists."""
        known = self._gaps.around(key)
        if known is None:
            known = self._reader.zone_gap(from_ordered(key))
            self._gaps.learn(*known)
        return known

    def _load(self, apex: bytes, key: str) -> CompiledZone | None:
        name = from_ordered(key)
        found = self._reader.zone(name)
        if found is None:
            return None
        loaded = _Loaded(found)
        loaded.compiled = CompiledZone(
            found.zone,
            apex_records(loaded.apex, self._nameservers, found.serial),
            self._addresses,
            self._look_below(loaded),
        )
        loaded.records = len(found.zone.records) + len(loaded.compiled.nodes)
        self._zones[apex] = loaded
        self._weight += loaded.weight
        self._make_room()
        return loaded.compiled

    def _look_below(self, loaded: _Loaded) -> Neighbours | None:
        """See whether zones, and host names that it answers, lie below a zone."""
        name = loaded.apex.name
        key = ordered(name)
        below = key + SEPARATOR
        # what would come directly behind, if it could be a name: a space is before all characters
        loaded.alone = not self._reader.zone_gap(f" .{name}")[1].startswith(below)
        before, after = self._reader.hosted_gap(name, loaded.account)
        if before != key and not after.startswith(below):
            return None
        return partial(self._neighbours, loaded)

    def _neighbours(self, loaded: _Loaded, key: str) -> tuple[str, str]:
        """The host names beside this one, from memory where that is known."""
        known = loaded.gaps.around(key)
        if known is not None:
            return known
        if key in loaded.present:
            return key, key
        before = loaded.weight
        known = self._reader.hosted_gap(from_ordered(key), loaded.account)
        if known[0] == key:
            if len(loaded.present) >= MAX_PRESENT:
                loaded.present.clear()
            loaded.present.add(key)
        else:
            loaded.gaps.learn(*known)
        if self._zones.get(loaded.compiled.apex) is loaded:
            self._weight += loaded.weight - before
            self._make_room()
        return known

    def _make_room(self) -> None:
        while self._weight > self._size and len(self._zones) > 1:
            self._remove(next(iter(self._zones)))


def _up(name: str) -> Iterator[str]:
    """A name and all above it."""
    while name:
        yield name
        name = name.partition(".")[2]

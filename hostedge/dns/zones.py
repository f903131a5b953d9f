"""
The zones that an edge knows: those in use, compiled, and where no zones are.

In:  `dns.responder` asks for the zone of a name; `store.hosts` says which keys have changed.
Out: compiled zones; subscribers hear which zones are not what they were.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Protocol

from hostedge.model.site import FoundZone
from hostedge.model.zone_file import apex_records
from hostedge.routes.hostname import from_ordered, ordered
from hostedge.store.gaps import Gaps
from hostedge.wire.dns_message import DS
from hostedge.wire.dns_name import SEPARATOR, Name, wire_name
from hostedge.wire.dns_zone import CompiledZone

# Records and gaps that all compiled zones have together, some 250 bytes each. The zone in use
# stays, however large it is.
SIZE = 200_000
# gaps of one zone, and host names below it that are known to exist
MAX_GAPS = 10_000
MAX_PRESENT = 1_000
# a zone without anything
_WEIGHT = 10

# the zone that has changed, or None: any may have
Subscriber = Callable[[str | None], object]


class Reader(Protocol):
    """What is needed of `store.reader.StoreReader`."""

    def zone(self, name: str) -> FoundZone | None: ...

    def zone_gap(self, name: str) -> tuple[str, str]: ...

    def hosted_gap(self, name: str, account: str | None) -> tuple[str, str]: ...


class _Loaded:
    """
    A compiled zone, and what is known of the host names below it.

    It goes as a whole when one of them changes: the bounds of gaps are names that exist, and the
    serial has changed as well.
    """

    __slots__ = ("compiled", "alone", "gaps", "present", "records")

    def __init__(self) -> None:
        self.compiled: CompiledZone
        # no zone lies below it: whatever does is its own
        self.alone = False
        self.gaps = Gaps(MAX_GAPS)
        self.present: set[str] = set()
        self.records = 0

    @property
    def weight(self) -> int:
        return _WEIGHT + self.records + len(self.gaps) + len(self.present)


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
            self._tell(None)
            return
        gone: set[str] = set()
        for key in keys:
            kind, _, name = key.partition("/")
            if kind == "zone":
                self._gaps.forget(ordered(name))
            if kind in ("zone", "name"):
                # names of a new zone, or below a new host name, were those of the zones above
                gone.add(name)
                while name := name.partition(".")[2]:
                    gone.add(name)
        for name in gone:
            loaded = self._zones.pop(wire_name(name), None)
            if loaded is not None:
                self._weight -= loaded.weight
            self._tell(name)

    def _tell(self, name: str | None) -> None:
        for subscriber in self._subscribers:
            subscriber(name)

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
        account = None if found.zone.shared else found.account
        loaded = _Loaded()
        # what would come directly behind, if it could be a name: a space is before all characters
        below = key + SEPARATOR
        loaded.alone = not self._reader.zone_gap(f" .{name}")[1].startswith(below)
        before, after = self._reader.hosted_gap(name, account)
        hostless = before != key and not after.startswith(below)
        loaded.compiled = CompiledZone(
            found.zone,
            apex_records(found.zone, self._nameservers, found.serial),
            self._addresses,
            None if hostless else partial(self._neighbours, loaded, account),
        )
        loaded.records = len(loaded.compiled)
        self._zones[apex] = loaded
        self._weight += loaded.weight
        self._make_room()
        return loaded.compiled

    def _neighbours(self, loaded: _Loaded, account: str | None, key: str) -> tuple[str, str]:
        """The host names beside this one, from memory where that is known."""
        known = loaded.gaps.around(key)
        if known is not None:
            return known
        if key in loaded.present:
            return key, key
        before = loaded.weight
        known = self._reader.hosted_gap(from_ordered(key), account)
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
            self._weight -= self._zones.pop(next(iter(self._zones))).weight

"""
Answers that are kept as they will be sent, each under its question.

In:  `dns.responder` puts in what it has rendered; `dns.zones` says which zones have changed.
Out: the same answer again, by one look into a dict.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

# bytes of what one generation keeps, as `OVERHEAD` estimates it
ROOM = 8 * 1024 * 1024
# of an answer in Python's memory: the key's and the value's heads, their places in a dict and a
# list
OVERHEAD = 350


class Kept(Protocol):
    """What is kept: an answer that knows of which zones it was made."""

    @property
    def zones(self) -> tuple[str, ...]: ...

    @property
    def firm(self) -> bool:
        """Whether it is only about the name under which it is kept."""


Packet = TypeVar("Packet", bound=Kept)


class Packets(Generic[Packet]):
    """
    Two generations: what is used comes into the younger one, and when that is full the older one
    goes. So a hit leaves no mark, and costs no more than it must.

    `young` is always the same dict, for whoever looks into it without asking.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._used = 0
        self.young: dict[bytes, Packet] = {}
        self._old: dict[bytes, Packet] = {}
        # the questions whose answers a zone had a part in, firm ones apart
        self._young_of: dict[tuple[str, bool], list[bytes]] = {}
        self._old_of: dict[tuple[str, bool], list[bytes]] = {}

    def __len__(self) -> int:
        return len(self.young) + len(self._old)

    def get(self, key: bytes) -> Packet | None:
        """Look into both generations."""
        packet = self.young.get(key)
        if packet is None:
            packet = self._old.pop(key, None)
            if packet is not None:
                self.put(key, packet, 0)
        return packet

    def put(self, key: bytes, packet: Packet, size: int) -> None:
        """Keep an answer of so many bytes."""
        if self._used >= self._room:
            self._old = dict(self.young)
            self._old_of = self._young_of
            self.young.clear()
            self._young_of = {}
            self._used = 0
        self._used += len(key) + size + OVERHEAD
        self.young[key] = packet
        for zone in packet.zones:
            self._young_of.setdefault((zone, packet.firm), []).append(key)

    def drop(self, zone: str) -> None:
        """The zone has changed: nothing that was made of it is an answer any more."""
        self._drop(zone, True)
        self._drop(zone, False)

    def drop_some(self, zone: str, keys: Iterable[bytes]) -> None:
        """Something in the zone has changed: what is about these keys, or not firm, goes."""
        self._drop(zone, False)
        if (zone, True) in self._young_of or (zone, True) in self._old_of:
            self._drop_keys(keys)

    def _drop(self, zone: str, firm: bool) -> None:
        for index in (self._young_of, self._old_of):
            self._drop_keys(index.pop((zone, firm), ()))

    def _drop_keys(self, keys: Iterable[bytes]) -> None:
        for key in keys:
            self.young.pop(key, None)
            self._old.pop(key, None)

    def clear(self) -> None:
        for each in (self.young, self._old, self._young_of, self._old_of):
            each.clear()
        self._used = 0

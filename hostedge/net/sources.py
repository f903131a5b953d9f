"""
What each client address has of the node, over all edges: connections, requests, handshakes, and
strikes for what it has done.

In:  the keeper makes the table and clears the rows of an edge that ended; each edge writes its own
     rows, for every connection and full handshake, and for requests of a source that has many.
Out: whether one more of a source would be too many.

A source is an IPv4 address, or the /64 of an IPv6 one. It counts in two slots of 4096 that a keyed
hash names; the smaller sum is what it can have at most. So no client makes the table larger, and
none chooses whose slots it shares. Each row has one writer, so nothing is locked.
`places` is a list of the edges that live, which may change under whoever has been given it.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from hashlib import blake2s
from ipaddress import IPv6Address, ip_address
from math import exp, inf
from pathlib import Path

from hostedge.net.page import PLACES, create_shared, open_shared
from hostedge.wire.networks import Networks

SLOTS = 4096
_KEY = 32
# bytes of one count of connections or requests, and what it can be at most
_COUNT = 2
_MOST = 0xFFFF
# how many handshakes or strikes have not faded yet, and when that was, in hundredths of a second
_FADING = struct.Struct("fI")
_TICK = 0.01
_TICKS = 1 << 32

# rows of each kind, one for each edge: behind so many counts, and from this byte of the file on
CONNECTIONS = 0
REQUESTS = PLACES * SLOTS
HANDSHAKES = _KEY + 2 * PLACES * SLOTS * _COUNT
STRIKES = HANDSHAKES + PLACES * SLOTS * _FADING.size
_SIZE = STRIKES + PLACES * SLOTS * _FADING.size
# seconds in which what fades loses itself to a third
FADING = {HANDSHAKES: 10 / 3, STRIKES: 60.0}

# requests in flight of one source that an edge takes in without telling the others, and by which
# it goes on asking them
STEP = 8
# sources of which requests are remembered though none is in flight
REMEMBERED = 4096
# strikes of a source, after which more change nothing: its last is forgotten within minutes
MOST_STRIKES = 8.0


class SourceTable:
    """Rows of small numbers, and the key by which sources find their slots."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        self._counts = memoryview(memory)[_KEY:HANDSHAKES].cast("H")
        key = memory[:_KEY]

        @lru_cache(maxsize=4096)
        def slots(source: str) -> tuple[int, int]:
            digest = blake2s(source.encode(), digest_size=4, key=key).digest()
            return int.from_bytes(digest[:2]) % SLOTS, int.from_bytes(digest[2:]) % SLOTS

        self.slots: Callable[[str], tuple[int, int]] = slots

    @classmethod
    def create(cls, path: Path) -> SourceTable:
        """Make or take over the table; counts of edges that live on are kept."""
        return cls(create_shared(path, _SIZE, os.urandom(_KEY)))

    @classmethod
    def open(cls, path: Path) -> SourceTable:
        """
        Raises:
            FileNotFoundError: no keeper has made it.
        """
        return cls(open_shared(path))

    def clear(self, place: int) -> None:
        """The edge at this place holds nothing."""
        for start, size in (
            (_KEY + (CONNECTIONS + place * SLOTS) * _COUNT, SLOTS * _COUNT),
            (_KEY + (REQUESTS + place * SLOTS) * _COUNT, SLOTS * _COUNT),
            (HANDSHAKES + place * SLOTS * _FADING.size, SLOTS * _FADING.size),
            (STRIKES + place * SLOTS * _FADING.size, SLOTS * _FADING.size),
        ):
            self._memory[start : start + size] = bytes(size)

    # what is there until it ends

    def add(self, rows: int, place: int, source: str, count: int) -> None:
        """Change what this edge holds of a source; `rows`: CONNECTIONS or REQUESTS."""
        counts, start = self._counts, rows + place * SLOTS
        for slot in set(self.slots(source)):
            counts[start + slot] = min(max(counts[start + slot] + count, 0), _MOST)

    def most(self, rows: int, source: str, places: Iterable[int]) -> int:
        """What the edges at these places hold of a source at most."""
        counts = self._counts
        one, other = self.slots(source)
        in_one = in_other = 0
        for place in places:
            start = rows + place * SLOTS
            in_one += counts[start + one]
            in_other += counts[start + other]
        return min(in_one, in_other)

    # what fades

    def note(self, rows: int, place: int, source: str, count: int, now: float) -> None:
        """Something of a source has happened here, or was none; `rows`: HANDSHAKES or STRIKES."""
        for slot in set(self.slots(source)):
            level = max(0.0, self._level(rows, place, slot, now) + count)
            at = rows + (place * SLOTS + slot) * _FADING.size
            _FADING.pack_into(self._memory, at, level, int(now / _TICK) % _TICKS)

    def noted(self, rows: int, source: str, places: Iterable[int], now: float) -> float:
        """
        How much of that has not faded yet, at most.

        Each loses itself to a third within `FADING` seconds. Other than what a bucket leaks, this
        can be added up over the edges: a steady rate comes to `rate * FADING` in all.
        """
        return min(
            sum(self._level(rows, place, slot, now) for place in places)
            for slot in self.slots(source)
        )

    def _level(self, rows: int, place: int, slot: int, now: float) -> float:
        at = rows + (place * SLOTS + slot) * _FADING.size
        level: float
        level, then = _FADING.unpack_from(self._memory, at)
        if not level:
            return 0.0
        age = (int(now / _TICK) - then) % _TICKS * _TICK
        return level * exp(-age / FADING[rows])


class Sources:
    """
    The connections that one edge holds, and may take in; proxies that are trusted hold for many.

    Edges that take in at the same moment do not see each other: the node may have one more of a
    source for each of them.
    """

    def __init__(
        self, table: SourceTable, place: int, places: Sequence[int], limit: int, exempt: Networks
    ) -> None:
        self._table = table
        self._place = place
        self._places = places
        self._limit = limit
        self._exempt = exempt
        table.clear(place)

    def is_full(self, client: str) -> bool:
        """Whether the node holds as many connections of this source as it may."""
        source = source_of(client)
        if not source or client in self._exempt:
            return False
        return self._table.most(CONNECTIONS, source, self._places) >= self._limit

    def opened(self, client: str) -> None:
        self._table.add(CONNECTIONS, self._place, source_of(client), 1)

    def closed(self, client: str) -> None:
        self._table.add(CONNECTIONS, self._place, source_of(client), -1)


class Asking:
    """
    The requests of one source on one edge. Up to `_room` of them nobody needs to be asked; what is
    more than a few of them is told to the other edges.
    """

    __slots__ = ("source", "count", "_requests", "_room", "_low", "_told")

    def __init__(self, requests: Requests, source: str) -> None:
        self.source = source
        self.count = 0
        self._requests = requests
        self._room: float = STEP if source else inf
        self._low = -1
        self._told = 0

    def begin(self) -> bool:
        """Take one more in flight; False: it would be too many."""
        self.count += 1
        if self.count <= self._room:
            return True
        most = self._requests.most(self)
        if self.count > most:
            self.count -= 1
            return False
        self._settle(min(self.count + STEP, most))
        return True

    def end(self) -> None:
        self.count -= 1
        if self.count < self._low:
            self._settle(self.count + STEP)

    def _settle(self, room: int) -> None:
        self._room = room = max(room, STEP)
        self._low = max(room - 2 * STEP, 1) if room > STEP else -1
        # never more than there are: nobody is refused who is within the limit
        told = max(self._low, 0)
        if told != self._told:
            self._requests.tell(self.source, told - self._told)
            self._told = told

    @property
    def told(self) -> int:
        """What the other edges think that is in flight here, at least."""
        return self._told


class Requests:
    """
    The requests in flight of every source on one edge, of which the node takes in `limit`, and up
    to twice `STEP` more for each other edge. The router looks into `askings` itself: a call less.
    """

    def __init__(
        self, table: SourceTable, place: int, places: Sequence[int], limit: int, exempt: Networks
    ) -> None:
        self._table = table
        self._place = place
        self._places = places
        self._limit = limit
        self._exempt = exempt
        # by source, and by client
        self.askings: dict[str, Asking] = {}
        # at so many of these it is looked for some to forget
        self._look_at = REMEMBERED

    def add(self, client: str) -> Asking:
        """A client that is not among them asks for something."""
        askings = self.askings
        source = "" if client in self._exempt else source_of(client)
        if len(askings) >= self._look_at:
            self._forget()
        # the addresses of a /64 share one
        asking = askings.get(source)
        if asking is None:
            asking = askings[source] = Asking(self, source)
        askings[client] = asking
        return asking

    def _forget(self) -> None:
        """Keep those with something in flight, under one name each: by that the others find it."""
        askings = self.askings
        for name in [n for n, each in askings.items() if not each.count or n != each.source]:
            del askings[name]
        # if all that many have something in flight, the next one is not looked at for nothing
        self._look_at = max(REMEMBERED, 2 * len(askings))

    def most(self, asking: Asking) -> int:
        """How many of this source may be in flight here."""
        elsewhere = self._table.most(REQUESTS, asking.source, self._places) - asking.told
        return self._limit - max(0, elsewhere)

    def tell(self, source: str, count: int) -> None:
        self._table.add(REQUESTS, self._place, source, count)


class Handshakes:
    """
    How many full handshakes a source may begin: `rate` a second for as long as it likes, and as
    many at once as come to that in `FADING` seconds.

    While the edge is strained a source gets a tenth, and all of them together `STRAINED_RATE`: a
    flood may come from as many addresses as it likes.

    A strike, for a connection that was ended for what it did, halves what a source gets until it
    fades, down to `LEFT`: the same address may be that of many who have done nothing. While the
    edge is strained a source with a fresh one gets nothing.
    """

    # a second, and at once
    STRAINED_RATE = 100.0
    # at once, for who has many strikes
    LEFT = 3.0
    # of a strike that counts as fresh
    FRESH = 0.5

    def __init__(
        self,
        table: SourceTable,
        place: int,
        places: Sequence[int],
        rate: float,
        exempt: Networks,
        seconds: Callable[[], float],
    ) -> None:
        self._table = table
        self._place = place
        self._places = places
        self._most = rate * FADING[HANDSHAKES]
        self._exempt = exempt
        self._seconds = seconds
        # the edge is slow
        self.strained = False
        # how many it may still begin while it is, and when that was so
        self._left = self.STRAINED_RATE
        self._left_at = seconds()

    def begin(self, client: str) -> str:
        """A handshake begins, and counts; or may not: the name of the counter that says why."""
        source = source_of(client)
        if not source or client in self._exempt:
            return ""
        now, table = self._seconds(), self._table
        most = self._most / 10 if self.strained else self._most
        begun = table.noted(HANDSHAKES, source, self._places, now) + 1
        if begun > max(most, 1):
            return "tls_source_full"
        strikes = table.noted(STRIKES, source, self._places, now)
        if strikes and begun > self._left_to(strikes, most):
            return "tls_struck"
        if self.strained and not self._spare(now):
            return "tls_strained"
        table.note(HANDSHAKES, self._place, source, 1, now)
        return ""

    def _left_to(self, strikes: float, most: float) -> float:
        if self.strained and strikes > self.FRESH:
            return 0.0
        return max(most / 2 ** min(strikes, MOST_STRIKES), self.LEFT)

    def strike(self, client: str) -> None:
        """A connection of this client was ended for a flood."""
        source = source_of(client)
        if source and client not in self._exempt:
            now = self._seconds()
            if self._table.noted(STRIKES, source, self._places, now) < MOST_STRIKES:
                self._table.note(STRIKES, self._place, source, 1, now)

    def _spare(self, now: float) -> bool:
        """Whether one more can be borne; if so it is taken."""
        earned = (now - self._left_at) * self.STRAINED_RATE
        self._left, self._left_at = min(self.STRAINED_RATE, self._left + earned), now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def resumed(self, client: str) -> None:
        """It was not a full one."""
        source = source_of(client)
        if source and client not in self._exempt:
            self._table.note(HANDSHAKES, self._place, source, -1, self._seconds())
            self._left += 1


@lru_cache(maxsize=4096)
def source_of(client: str) -> str:
    """What counts as one source; empty: a client without an address."""
    try:
        address = ip_address(client.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return address.packed[:8].hex()
    return str(address)

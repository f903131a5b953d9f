"""
How often each client address asks each site that has a rate, over all edges.

In:  the keeper makes the table and clears the rows of an edge that ended; `filters.rate` asks for
     each request of such a site.
Out: for how long the next one has to wait.

Each edge knows exactly what it has been asked itself, of so many pairs of source and site. Of
those that ask for much it tells the others, as `net.sources` does: in two slots that a keyed hash
names. So a flood of sources makes nothing larger, and nobody who asks for little is taken for
somebody else.
Requests fade: what is left of them after a while can be added up over the edges, which cannot be
done with buckets that leak.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Callable, Iterable, Sequence
from math import exp, log
from pathlib import Path

from hostedge.model.site import Rate
from hostedge.net.page import PLACES, create_shared, open_shared
from hostedge.net.sources import SLOTS, source_of
from hostedge.wire.networks import Networks

# what has not faded yet, seconds in which it does so to a third, when that was in hundredths of one
_SLOT = struct.Struct("ffI")
_TICK = 0.01
_TICKS = 1 << 32
_ROW = SLOTS * _SLOT.size
_SIZE = PLACES * _ROW

# pairs of source and site that an edge remembers; beyond, those that have asked for least are
# forgotten
REMEMBERED = 16_384


class RateTable:
    """
    Rows of what fades, one for each edge, which is its only writer. A slot in which there is more
    than one pair fades as slowly as the slowest.
    """

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory

    @classmethod
    def create(cls, path: Path) -> RateTable:
        """Make or take over the table; what edges that live on have told is kept."""
        return cls(create_shared(path, _SIZE))

    @classmethod
    def open(cls, path: Path) -> RateTable:
        """
        Raises:
            FileNotFoundError: no keeper has made it.
        """
        return cls(open_shared(path))

    def clear(self, place: int) -> None:
        """The edge at this place has been asked nothing."""
        self._memory[place * _ROW : (place + 1) * _ROW] = bytes(_ROW)

    def add(
        self, place: int, slots: tuple[int, int], count: float, now: float, fading: float
    ) -> None:
        """The edge at this place was asked so often."""
        for slot in set(slots):
            level, slowest = self._level(place, slot, now)
            if level > 0.5:
                fading = max(fading, slowest)
            at = place * _ROW + slot * _SLOT.size
            _SLOT.pack_into(self._memory, at, level + count, fading, int(now / _TICK) % _TICKS)

    def level(self, places: Iterable[int], slots: tuple[int, int], now: float) -> float:
        """What has not faded yet of what the edges at these places were asked, at most."""
        return min(sum(self._level(place, slot, now)[0] for place in places) for slot in slots)

    def _level(self, place: int, slot: int, now: float) -> tuple[float, float]:
        level, fading, then = _SLOT.unpack_from(self._memory, place * _ROW + slot * _SLOT.size)
        if not level:
            return 0.0, 0.0
        age = (int(now / _TICK) - then) % _TICKS * _TICK
        return level * exp(-age / fading), fading


class Asked:
    """
    What one source has asked one site on this edge, and of it what others know of; as far as it
    has not faded by then.
    """

    __slots__ = ("level", "told", "at")

    def __init__(self, now: float) -> None:
        self.level = self.told = 0.0
        self.at = now


class Rates:
    """What all sites of one edge were asked by whom; proxies that are trusted ask for many."""

    def __init__(
        self,
        table: RateTable,
        slots: Callable[[str], tuple[int, int]],
        place: int,
        places: Sequence[int],
        exempt: Networks,
        seconds: Callable[[], float],
        counters: dict[str, int],
    ) -> None:
        self.table = table
        self.slots = slots
        self.place = place
        self._places = places
        self.exempt = exempt
        self.seconds = seconds
        self.counters = counters
        self.asked: dict[tuple[str, str], Asked] = {}
        table.clear(place)

    @property
    def others(self) -> list[int]:
        """The places of the other edges that live now."""
        return [each for each in self._places if each != self.place]

    def limiter(self, site: str, rate: Rate) -> Limiter:
        return Limiter(self, site, rate)

    def add(self, pair: tuple[str, str], now: float) -> Asked:
        """One that is not known asks."""
        if len(self.asked) >= REMEMBERED:
            most = sorted(self.asked.items(), key=lambda item: item[1].level, reverse=True)
            self.asked = dict(most[: REMEMBERED // 2])
        asked = self.asked[pair] = Asked(now)
        return asked


class Limiter:
    """
    The rate of one site: `burst` requests of a source at once, and as many a second as it says for
    as long as one likes. One that has to wait counts for nothing.

    On as many edges as there are a source gets up to half as much more at once: so much of it each
    edge keeps to itself.
    """

    def __init__(self, rates: Rates, site: str, rate: Rate) -> None:
        burst = rate.burst or rate.requests
        self._rates = rates
        self._site = site
        self._is_dry = rate.dry_run
        self._fading = burst * rate.per / rate.requests
        # what is left of requests at that rate when the next one comes: nearly `burst`
        self._most = 1 / (exp(1 / burst) - 1)
        self._secret = burst / (2 * (len(rates.others) + 1))

    def ask(self, client: str) -> float:
        """Seconds that this request should have waited; 0.0: it counts, and may come."""
        rates, source = self._rates, source_of(client)
        if not source or client in rates.exempt:
            return 0.0
        now, fading = rates.seconds(), self._fading
        pair = self._site, source
        asked = rates.asked.get(pair) or rates.add(pair, now)
        left = exp((asked.at - now) / fading)
        asked.level *= left
        asked.told *= left
        asked.at = now
        level = asked.level
        if level >= self._secret and (others := rates.others):
            level += rates.table.level(others, self._slots(source), now)
        # a hair: what fades to exactly the limit may come
        if level > self._most + 1e-9:
            if self._is_dry:
                rates.counters["rate_dry_run"] += 1
            return fading * log(level / self._most)
        asked.level += 1
        if asked.level >= self._secret and rates.others:
            news, asked.told = asked.level - asked.told, asked.level
            rates.table.add(rates.place, self._slots(source), news, now, fading)
        return 0.0

    def _slots(self, source: str) -> tuple[int, int]:
        return self._rates.slots(f"{source} {self._site}")

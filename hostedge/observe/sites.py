"""
What each site is doing that anybody asks for: requests, how they end, how long they take.

In:  the router adds to `begun` of a request whose host was found; `observe.tally` to `counts` when
     its answer has ended.
Out: pages of numbers for control; a bound on them, however many names a node has.

A site is a domain of the store with all its names. It is active from its first request until none
was open for five minutes. Beyond `MOST` active ones the others are counted for the edge alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hostedge.observe.page import page_of

# seconds; the upper end of each bucket but the last
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
BUCKETS = len(BOUNDS) + 1
# counts by the first digit of the status, which is never 0, and of those by their duration
PLACES = 6 * BUCKETS

MOST = 4096  # sites of an edge; each takes a kibibyte
IDLE = 300.0  # seconds
LOOK = 30.0  # seconds between two looks for what has fallen idle


def by_class(counts: list[int]) -> list[int]:
    """Sums by the first digit of the status."""
    return [sum(counts[place : place + BUCKETS]) for place in range(0, PLACES, BUCKETS)]


def by_bucket(counts: list[int]) -> list[int]:
    """Sums by duration, of all but 1xx: the 101 of WebSockets, which last as long as they like."""
    return [sum(counts[2 * BUCKETS + bucket :: BUCKETS]) for bucket in range(BUCKETS)]


class Activity:
    """One site on one edge. `number` tells it from one of the same name that was idle meanwhile."""

    __slots__ = ("name", "number", "begun", "counts", "seconds", "bytes", "_seen", "_since")

    def __init__(self, name: str, number: int, now: float) -> None:
        self.name = name
        self.number = number
        # who begins a request adds one here; who ends it does so at its place in `counts`
        self.begun = self.bytes = 0
        self.counts = [0] * PLACES
        self.seconds = 0.0
        self._seen = -1
        self._since = now

    @property
    def in_flight(self) -> int:
        return self.begun - sum(self.counts)

    def is_idle(self, now: float) -> bool:
        """Whether nothing has happened since somebody looked a while ago."""
        if self.begun != self._seen or self.in_flight:
            self._seen, self._since = self.begun, now
        return now - self._since >= IDLE

    def take_in(self, other: Activity) -> None:
        """Count what another one has counted."""
        self.counts[:] = [mine + its for mine, its in zip(self.counts, other.counts, strict=True)]
        self.seconds += other.seconds
        self.bytes += other.bytes

    def tell(self, waiting: int) -> dict[str, Any]:
        statuses = by_class(self.counts)
        return {
            "site": self.name,
            "number": self.number,
            "requests": sum(statuses),
            "in_flight": self.in_flight,
            "waiting": waiting,
            "statuses": statuses[1:],
            "durations": by_bucket(self.counts),
            "seconds": round(self.seconds, 6),
            "bytes": self.bytes,
        }


class Sites:
    """
    All active sites of an edge. For a request the router looks into `active` itself: a call less.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.active: dict[str, Activity] = {}
        self._count = 0
        self._looked = now()
        # who is no site, or has no room, or was one; it is told with all others only
        self.others = Activity("", 0, self._looked)

    def add(self, name: str) -> Activity:
        """A site that is not active gets a request."""
        now = self._now()
        self._look(now)
        if len(self.active) >= MOST:
            return self.others
        self._count += 1
        activity = self.active[name] = Activity(name, self._count, now)
        return activity

    def _look(self, now: float) -> None:
        if now - self._looked < LOOK:
            return
        self._looked = now
        idle = [each.name for each in self.active.values() if each.is_idle(now)]
        for name in idle:
            self.others.take_in(self.active.pop(name))

    def sum(self) -> Activity:
        """What all have counted since the edge began."""
        whole = Activity("", 0, self._looked)
        for each in (self.others, *self.active.values()):
            whole.take_in(each)
        return whole

    def page(self, after: int, waiting: Mapping[str, int]) -> bytes:
        """
        A JSON list of active sites that became so after that number, as many as a message holds;
        empty: no more. `waiting`: how many requests of a site wait for a place.
        """
        self._look(self._now())
        # in the order of their numbers, for that is the order in which they came
        return page_of(
            each.tell(waiting.get(each.name, 0))
            for each in self.active.values()
            if each.number > after
        )

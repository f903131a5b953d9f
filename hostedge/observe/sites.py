"""
What each site is doing that anybody asks for: requests, how they end, how long they take.

In:  the router, for a request whose host was found; `observe.tally`, when its answer has ended.
Out: pages of numbers for control; a bound on them, however many names a node has.

A site is a domain of the store with all its names. It is active from its first request until none
was open for five minutes. Beyond `MOST` active ones the others are counted for the edge alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

MOST = 4096  # sites of an edge; each takes 600 bytes
IDLE = 300.0  # seconds
LOOK = 30.0  # seconds between two looks for what has fallen idle
PAGE = 60_000  # bytes: a value of AMP has 64 KiB


class Activity:
    """One site on one edge. `number` tells it from one of the same name that was idle meanwhile."""

    __slots__ = (
        *("name", "number", "begun", "ended", "classes", "buckets", "seconds", "bytes"),
        *("_seen", "_since"),
    )

    def __init__(self, name: str, number: int, buckets: int, now: float) -> None:
        self.name = name
        self.number = number
        self.begun = self.ended = self.bytes = 0
        # by the first digit of the status; by `observe.tally.BOUNDS`
        self.classes = [0] * 6
        self.buckets = [0] * buckets
        self.seconds = 0.0
        self._seen = -1
        self._since = now

    def is_idle(self, now: float) -> bool:
        """Whether nothing has happened since somebody looked a while ago."""
        if self.begun != self._seen or self.begun != self.ended:
            self._seen, self._since = self.begun, now
        return now - self._since >= IDLE

    def tell(self, waiting: int) -> dict[str, Any]:
        return {
            "site": self.name,
            "number": self.number,
            "requests": self.ended,
            "in_flight": self.begun - self.ended,
            "waiting": waiting,
            "statuses": self.classes[1:],
            "durations": self.buckets,
            "seconds": round(self.seconds, 6),
            "bytes": self.bytes,
        }


class Sites:
    """All active sites of an edge."""

    def __init__(self, buckets: int, now: Callable[[], float]) -> None:
        self._buckets = buckets
        self._now = now
        self._active: dict[str, Activity] = {}
        self._count = 0
        self._looked = now()
        # for whom there is no room
        self._others = Activity("", 0, buckets, self._looked)

    def begin(self, site: str) -> Activity:
        """A request of this site begins; it ends when what this gives has one `ended` more."""
        activity = self._active.get(site)
        if activity is None:
            activity = self._add(site)
        activity.begun += 1
        return activity

    def _add(self, site: str) -> Activity:
        now = self._now()
        self._look(now)
        if len(self._active) >= MOST:
            return self._others
        self._count += 1
        activity = self._active[site] = Activity(site, self._count, self._buckets, now)
        return activity

    def _look(self, now: float) -> None:
        if now - self._looked < LOOK:
            return
        self._looked = now
        idle = [each.name for each in self._active.values() if each.is_idle(now)]
        for name in idle:
            del self._active[name]

    def page(self, after: int, waiting: Mapping[str, int]) -> bytes:
        """
        A JSON list of active sites that became so after that number, as many as a message holds;
        empty: no more. `waiting`: how many requests of a site wait for a place.
        """
        self._look(self._now())
        told: list[str] = []
        room = PAGE
        # in the order of their numbers, for that is the order in which they came
        for activity in self._active.values():
            if activity.number <= after:
                continue
            text = json.dumps(activity.tell(waiting.get(activity.name, 0)))
            room -= len(text) + 2
            if room < 0 and told:
                break
            told.append(text)
        return f"[{', '.join(told)}]".encode()

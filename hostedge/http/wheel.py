"""
One coarse clock hand for all timeouts of an edge.

In:  connections and queues have themselves watched; on the hot path they only assign `deadline`.
Out: `timed_out` of whatever is overdue.

Every object that is watched is looked at by its deadline, and at least each `HORIZON` seconds.
Pushing a deadline away, or setting one more than `HORIZON` ahead, is therefore a plain
assignment; only a nearer one needs `hasten`. Nothing is early; what is late is so by `GRAIN`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

GRAIN = 0.5
HORIZON = 4.0
NEVER = math.inf


class Timed(Protocol):
    """Something with a deadline; `due` is the wheel's own and starts as 0."""

    deadline: float
    due: int

    def timed_out(self) -> None:
        """The deadline has passed; by now it is `NEVER`. May set a new one."""


class Wheel:
    """`now` is in seconds of an unspecified start; it never steps back."""

    _log = Logger()

    def __init__(self, clock: IReactorTime, seconds: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seconds = seconds
        self._buckets: dict[int, set[Timed]] = {}
        self._tick = int(seconds() / GRAIN)
        self._call: IDelayedCall | None = None
        self.now = seconds()

    def watch(self, timed: Timed) -> None:
        """Begin to look after something; its deadline is already set."""
        if self._call is None:
            self.now = self._seconds()
            self._tick = int(self.now / GRAIN)
            self._call = self._clock.callLater(GRAIN, self._turn)
        self._put(timed)

    def hasten(self, timed: Timed) -> None:
        """The deadline of something watched is now nearer than `HORIZON`."""
        if timed.due:
            self._buckets[timed.due].discard(timed)
            self._put(timed)

    def forget(self, timed: Timed) -> None:
        """Look after it no more; harmless when it is not watched."""
        if timed.due:
            bucket = self._buckets.get(timed.due)
            if bucket is not None:
                bucket.discard(timed)
            timed.due = 0

    def soon(self, call: Callable[[], None]) -> None:
        """Call it in another turn of the reactor, the next one."""
        self._clock.callLater(0, call)

    def _put(self, timed: Timed) -> None:
        moment = min(timed.deadline, self.now + HORIZON)
        # the bucket after the one that the moment lies in: never early
        timed.due = due = max(int(moment / GRAIN), self._tick) + 1
        bucket = self._buckets.get(due)
        if bucket is None:
            self._buckets[due] = {timed}
        else:
            bucket.add(timed)

    def _turn(self) -> None:
        self._call = None
        self.now = self._seconds()
        upto = int(self.now / GRAIN)
        while self._tick < upto:
            self._tick += 1
            bucket = self._buckets.get(self._tick)
            while bucket:
                timed = bucket.pop()
                self._look(timed)
            self._buckets.pop(self._tick, None)
        if any(self._buckets.values()):
            self._call = self._clock.callLater(GRAIN, self._turn)

    def _look(self, timed: Timed) -> None:
        tick = timed.due
        if timed.deadline <= self.now:
            timed.deadline = NEVER
            try:
                timed.timed_out()
            except Exception:  # noqa: BLE001 - one that fails must not stop the others
                self._log.failure("a timeout failed")
        if timed.due == tick:
            self._put(timed)

"""
What is counted of apps: starts and how long each part of them took, why they were woken, ends.

In:  `supervise.events` with everything that happens, `supervise.journey` with the ends of starts.
Out: plain values for `api.daemon_metrics`. They begin at zero with each keeper.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from typing import Any

from hostedge.supervise.event import BEGINS, ENDS, Event
from hostedge.supervise.journey import PHASES, Start

# seconds: from an exec to a framework that takes its time
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
WHOLE = "whole"

_COUNTED = {
    "evicted": "evictions",
    "oom": "oom",
    "crashed": "crashes",
    "start_timeout": "start_timeouts",
    "failed": "given_up",
    "idle_stop": "idle_stops",
    "adopted": "adopted",
    "stuck": "stuck",
}
_RELOADS = {"reload_ok": "ok", "reload_kept_old": "kept_old"}


class Durations:
    """How many took up to each bound, and all of them together."""

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds


class DaemonCounts:
    """Nothing here grows with the number of apps but the generations that live."""

    def __init__(self) -> None:
        self._events: Counter[str] = Counter()
        self._wakes: Counter[str] = Counter()
        self._reloads: Counter[str] = Counter()
        self._starts: Counter[str] = Counter()
        self._phases = {name: Durations() for name in (*PHASES.values(), WHOLE)}
        self._living: set[int] = set()

    def hear(self, happened: Event) -> None:
        """Something has happened to an app."""
        event, generation = happened.event, happened.generation
        if event in _COUNTED:
            self._events[_COUNTED[event]] += 1
        if event in _RELOADS:
            self._reloads[_RELOADS[event]] += 1
        if event == "queued":
            self._wakes[str(happened.facts.get("by", "request"))] += 1
        elif event in BEGINS:
            self._living.add(generation)
        elif event in ENDS:
            self._living.discard(generation)

    def ended(self, start: Start, well: bool) -> None:
        """A start is over; what one that failed took says nothing of others."""
        self._starts["ok" if well else "failed"] += 1
        if well:
            self._phases[WHOLE].add(start.seconds())
            for phase, seconds in start.phases().items():
                self._phases[phase].add(seconds)

    def tell(self) -> dict[str, Any]:
        """All of it, as values for JSON."""
        return {
            "events": {name: self._events[name] for name in _COUNTED.values()},
            "wakes": dict(self._wakes),
            "reloads": {name: self._reloads[name] for name in _RELOADS.values()},
            "starts": {name: self._starts[name] for name in ("ok", "failed")},
            "phases": {
                name: {"counts": each.counts, "seconds": round(each.seconds, 4)}
                for name, each in self._phases.items()
            },
            "generations": len(self._living),
        }

"""
What an edge's answers come to: how many of each kind, and how long they took; also by site.

In:  the access log's place: every exchange that has ended.
Out: numbers for `Report`; a bound on them, whatever is asked for and by whom.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from hostedge.observe.sites import BOUNDS, BUCKETS, Activity, Sites, by_bucket, by_class

SWITCHED = 101
# what a request's time has gone to, as the access log has it
PHASES = ("tls", "header", "body", "start", "queue", "connect", "first_byte", "answer")
CLASSES = 6  # of statuses, by their first digit


class Ended(Protocol):
    """An exchange that has ended."""

    status: int
    sent: int
    total: float
    # seconds by phase; None: none of them took any
    spent: Mapping[Any, float] | None
    first_byte: float
    # of an active site; None: no host was found, or it is not counted by name
    site: Activity | None


class Tally:
    """
    Counts, then hands on to `record`: one call of an exchange reaches both. Each answer is counted
    once, for its site; what they come to together is added up for who asks.
    """

    def __init__(self, sites: Sites, record: Callable[..., None]) -> None:
        self._sites = sites
        self._others = sites.others
        self._record = record
        self._seconds = 0.0
        # answers by HTTP/2, by class: who ends one counts it here. WebSockets are no HTTP/2
        self.h2 = [0] * CLASSES
        # counts by `BOUNDS`, and behind them the sum of the seconds
        self._phases: dict[str, list[float]] = {phase: [0] * BUCKETS + [0.0] for phase in PHASES}
        self._first_byte = self._phases["first_byte"]

    def record(self, ended: Ended) -> None:
        status, total = ended.status, ended.total
        site = ended.site or self._others
        site.counts[status // 100 * BUCKETS + bisect_left(BOUNDS, total)] += 1
        site.bytes += ended.sent
        # how long a WebSocket was open says nothing of how fast anything is
        if status != SWITCHED:
            site.seconds += total
        if ended.spent is not None:
            self._note(ended.spent, status)
        first = ended.first_byte
        if first:
            counts = self._first_byte
            counts[bisect_left(BOUNDS, first)] += 1
            counts[-1] += first
        self._record(ended)

    def _note(self, spent: Mapping[Any, float], status: int) -> None:
        phases = self._phases
        for phase, seconds in spent.items():
            if phase == "answer" and status == SWITCHED:
                # so long was the WebSocket open
                continue
            counts = phases[phase]
            counts[bisect_left(BOUNDS, seconds)] += 1
            counts[-1] += seconds

    def report(self) -> dict[str, object]:
        """`durations` are counts by `BOUNDS`, each of its own bucket alone; WebSockets apart."""
        whole = self._sites.sum()
        statuses = by_class(whole.counts)
        # added up in another order it may be a last digit less, which would look like a new edge
        self._seconds = max(self._seconds, whole.seconds)
        return {
            "protocols": self._protocols(statuses),
            "phases": {
                phase: {"durations": counts[:-1], "seconds": counts[-1]}
                for phase, counts in self._phases.items()
                if any(counts)
            },
            "statuses": _told(statuses),
            "durations": by_bucket(whole.counts),
            "seconds": self._seconds,
            "bytes": whole.bytes,
        }

    def _protocols(self, statuses: list[int]) -> dict[str, dict[str, int]]:
        """Answers by protocol and class; `ws`: WebSockets, by whichever they were asked for."""
        h2 = [0, 0, *self.h2[2:]]
        h1 = [0, 0, *(a - b for a, b in zip(statuses[2:], h2[2:], strict=True))]
        counts = {"h1": h1, "h2": h2, "ws": [0, statuses[1]]}
        return {name: _told(each) for name, each in counts.items() if any(each)}


def _told(statuses: list[int]) -> dict[str, int]:
    return {f"{digit}xx": count for digit, count in enumerate(statuses) if count}

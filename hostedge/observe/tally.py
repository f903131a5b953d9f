"""
What an edge's answers come to: how many of each kind, and how long they took; also by site.

In:  the access log's place: every exchange that has ended.
Out: numbers for `Report`; a bound on them, whatever is asked for and by whom.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Protocol

from hostedge.observe.sites import Activity

SWITCHED = 101
# seconds; the upper end of each bucket but the last
BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Ended(Protocol):
    """An exchange that has ended."""

    status: int
    sent: int
    total: float
    # of an active site; None: no host was found, or it is not counted by name
    site: Activity | None


class Tally:
    """Counts, then hands on to `record`: one call of an exchange reaches both."""

    def __init__(self, record: Callable[..., None]) -> None:
        self._record = record
        # by the first digit of the status; nobody answers with 0
        self._classes = [0] * 6
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0
        self._bytes = 0

    def record(self, ended: Ended) -> None:
        status, total, sent = ended.status, ended.total, ended.sent
        kind = status // 100
        bucket = bisect_left(BOUNDS, total)
        self._classes[kind] += 1
        self._buckets[bucket] += 1
        self._seconds += total
        self._bytes += sent
        site = ended.site
        if site is not None:
            site.ended += 1
            site.classes[kind] += 1
            site.bytes += sent
            # how long a WebSocket was open says nothing of how fast a site is
            if status != SWITCHED:
                site.buckets[bucket] += 1
                site.seconds += total
        self._record(ended)

    def report(self) -> dict[str, object]:
        """`durations` are counts by `BOUNDS`, each of its own bucket alone."""
        return {
            "statuses": {f"{digit}xx": count for digit, count in enumerate(self._classes) if count},
            "durations": self._buckets[:],
            "seconds": self._seconds,
            "bytes": self._bytes,
        }

"""
What an edge's answers come to: how many of each kind, and how long they took; also by site.

In:  the access log's place: every exchange that has ended.
Out: numbers for `Report`; a bound on them, whatever is asked for and by whom.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Protocol

from hostedge.observe.sites import BOUNDS, BUCKETS, PLACES, Activity, by_bucket, by_class

SWITCHED = 101


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
        self._counts = [0] * PLACES
        self._seconds = 0.0
        self._bytes = 0

    def record(self, ended: Ended) -> None:
        status, total, sent = ended.status, ended.total, ended.sent
        place = status // 100 * BUCKETS + bisect_left(BOUNDS, total)
        self._counts[place] += 1
        self._seconds += total
        self._bytes += sent
        site = ended.site
        if site is not None:
            site.counts[place] += 1
            site.bytes += sent
            # how long a WebSocket was open says nothing of how fast a site is
            if status != SWITCHED:
                site.seconds += total
        self._record(ended)

    def report(self) -> dict[str, object]:
        """`durations` are counts by `BOUNDS`, each of its own bucket alone."""
        statuses = by_class(self._counts)
        return {
            "statuses": {f"{digit}xx": count for digit, count in enumerate(statuses) if count},
            "durations": by_bucket(self._counts, 0),
            "seconds": self._seconds,
            "bytes": self._bytes,
        }

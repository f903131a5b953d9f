"""
What an edge's answers come to: how many of each kind, and how long they took; also by site.

In:  the access log's place: every exchange that has ended.
Out: numbers for `Report`; a bound on them, whatever is asked for and by whom.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from typing import Protocol

from hostedge.observe.sites import BOUNDS, BUCKETS, Activity, Sites, by_bucket, by_class

SWITCHED = 101


class Ended(Protocol):
    """An exchange that has ended."""

    status: int
    sent: int
    total: float
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

    def record(self, ended: Ended) -> None:
        status, total = ended.status, ended.total
        site = ended.site or self._others
        site.counts[status // 100 * BUCKETS + bisect_left(BOUNDS, total)] += 1
        site.bytes += ended.sent
        # how long a WebSocket was open says nothing of how fast anything is
        if status != SWITCHED:
            site.seconds += total
        self._record(ended)

    def report(self) -> dict[str, object]:
        """`durations` are counts by `BOUNDS`, each of its own bucket alone; WebSockets apart."""
        whole = self._sites.sum()
        statuses = by_class(whole.counts)
        # added up in another order it may be a last digit less, which would look like a new edge
        self._seconds = max(self._seconds, whole.seconds)
        return {
            "statuses": {f"{digit}xx": count for digit, count in enumerate(statuses) if count},
            "durations": by_bucket(whole.counts),
            "seconds": self._seconds,
            "bytes": whole.bytes,
        }

"""
What has gone to one app or pool from an edge, since the edge has known it.

In:  `http.upstream` and `http.lane`, where something begins, ends or fails: nothing for a request
     on a connection that lives on.
Out: numbers for `http.backends`, which tells all of them.
"""

from __future__ import annotations

from typing import Any

# what is told of each, and only ever grows
COUNTS = (
    "requests",
    "reused",
    "connects",
    "connect_errors",
    "errors",
    "retries",
    "ejections",
    "queue_seconds",
)


class Traffic:
    """
    Counts of one back end. Requests are counted with the connection that they were sent on, when
    that has ended; who tells adds those of the others.
    """

    __slots__ = (*COUNTS, "_heir", "_told_requests", "_told_reused")

    def __init__(self) -> None:
        self.requests = self.reused = self.connects = self.connect_errors = 0
        self.errors = self.retries = self.ejections = 0
        self.queue_seconds = 0.0
        self._heir: Traffic | None = None
        self._told_requests = self._told_reused = 0

    def ended(self, served: int) -> None:
        """A connection has ended that served so many requests."""
        counts = self._heir or self
        counts.requests += served
        counts.reused += max(0, served - 1)

    def take_in(self, other: Traffic) -> None:
        """Count what another one has counted, whose back end is gone, and what it still will."""
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        other._heir = self

    def tell(self, serving: list[int]) -> dict[str, Any]:
        """`serving`: how many requests each connection has served that is open."""
        told = {name: getattr(self, name) for name in COUNTS}
        # a connection that no lane holds any more is in neither for a moment: nothing may shrink
        self._told_requests = max(self._told_requests, self.requests + sum(serving))
        reused = sum([served - 1 for served in serving if served])
        self._told_reused = max(self._told_reused, self.reused + reused)
        return {**told, "requests": self._told_requests, "reused": self._told_reused}

"""
Which of many have series of their own, for Prometheus: no more than a number of them.

In:  `api.site_series` and `api.backend_series`, at each scrape.
Out: the same ones as long as they are there.

Who has series keeps them until it is active on no edge. So a counter never goes on under another
one's name, and has no holes while a busier one comes and goes. Who gets what is free: the busiest.
"""

from __future__ import annotations

from collections import Counter
from typing import Generic, TypeVar

Name = TypeVar("Name")


class Busiest(Generic[Name]):
    """Those that have series; `most` of them, 0: none has."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._named: set[Name] = set()

    def choose(self, requests: Counter[Name]) -> frozenset[Name]:
        """Who has series from now on, of all that are active, which have had so many requests."""
        self._named &= requests.keys()
        others = Counter({name: n for name, n in requests.items() if name not in self._named})
        free = self._most - len(self._named)
        self._named.update(name for name, _ in others.most_common(free))
        return frozenset(self._named)

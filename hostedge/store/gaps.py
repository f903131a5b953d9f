"""
Which names are known not to exist: intervals of the order of names in which none lies.

In:  `store.hosts`, with the neighbours of a name that the store does not have.
Out: the answer for every other name between them, without the store.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right


class Gaps:
    """Open intervals that never overlap, a bounded number; bounds are existing names."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._starts: list[str] = []
        self._ends: list[str] = []
        self._hand = 0

    def __len__(self) -> int:
        return len(self._starts)

    def covers(self, key: str) -> bool:
        """Say whether this name is known not to exist."""
        index = bisect_left(self._starts, key) - 1
        return index >= 0 and key < self._ends[index]

    def around(self, key: str) -> tuple[str, str] | None:
        """The names between which this one is known to have no other, as they were learnt."""
        index = bisect_left(self._starts, key) - 1
        if index >= 0 and key < self._ends[index]:
            return self._starts[index], self._ends[index]
        return None

    def learn(self, start: str, end: str) -> None:
        """Nothing lies between these two; whatever was known about parts of it is replaced."""
        if start >= end:
            return
        first, last = self._touching(start, end)
        self._starts[first:last] = [start]
        self._ends[first:last] = [end]
        if len(self._starts) > self._size:
            # Which one goes hardly matters: each is one short query away. Going round keeps
            # any one of them for as long as possible.
            self._hand = (self._hand + 1) % len(self._starts)
            del self._starts[self._hand], self._ends[self._hand]

    def forget(self, key: str) -> None:
        """This name may exist now."""
        index = bisect_left(self._starts, key) - 1
        if index >= 0 and key < self._ends[index]:
            del self._starts[index], self._ends[index]

    def forget_all(self, key: str) -> None:
        """This name may have come or gone: it is in no gap any more, nor at the end of one."""
        first = bisect_left(self._ends, key)
        last = bisect_right(self._starts, key)
        del self._starts[first:last], self._ends[first:last]

    def clear(self) -> None:
        self._starts.clear()
        self._ends.clear()

    def _touching(self, start: str, end: str) -> tuple[int, int]:
        """The intervals that share a name with this one."""
        first = bisect_right(self._starts, start)
        if first and self._ends[first - 1] > start:
            first -= 1
        return first, max(first, bisect_left(self._starts, end))

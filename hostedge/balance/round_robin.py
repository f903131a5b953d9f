"""
Smooth weighted round robin: each server in proportion to its weight, never in bursts.

In:  `http.backends` asks for the next server of a pool.
Out: an index; a server that cannot be taken now keeps its turn for later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


class RoundRobin:
    """
    Nginx's way: every server gains its weight, the highest is chosen and pays the sum.

    The sum of `_credit` is always zero.
    """

    def __init__(self, weights: Sequence[int]) -> None:
        self._weights = list(weights)
        self._credit = [0] * len(self._weights)

    def choose(self, usable: Callable[[int], bool]) -> int | None:
        """Choose among those that are usable; None when none is."""
        best, total = None, 0
        for index, weight in enumerate(self._weights):
            if not usable(index):
                continue
            self._credit[index] += weight
            total += weight
            if best is None or self._credit[index] > self._credit[best]:
                best = index
        if best is not None:
            self._credit[best] -= total
        return best

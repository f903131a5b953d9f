"""Turns in proportion to weights."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.balance.round_robin import RoundRobin


class RoundRobinTests(SynchronousTestCase):
    """Who is next."""

    def test_smooth(self) -> None:
        """The heavy server's turns lie between those of the others."""
        turns = RoundRobin([5, 1, 1])
        order = "".join("abc"[turns.choose(lambda i: True) or 0] for _ in range(7))
        self.assertEqual(order, "aabacaa")

    @given(st.lists(st.integers(1, 9), min_size=1, max_size=6))
    def test_inProportion(self, weights: list[int]) -> None:
        """Over a whole round each is chosen as often as its weight says."""
        turns = RoundRobin(weights)
        counted = Counter(turns.choose(lambda i: True) for _ in range(sum(weights)))
        self.assertEqual([counted[i] for i in range(len(weights))], weights)

    def test_unusable(self) -> None:
        """One that is not usable is passed over; with none left there is no choice."""
        turns = RoundRobin([1, 1])
        self.assertEqual([turns.choose(lambda i: i == 1) for _ in range(3)], [1, 1, 1])
        self.assertIsNone(turns.choose(lambda i: False))

"""
Tests for `hostedge.balance.turns`.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.balance.turns import FLOOR, SHARE, should_skip


class TurnsTests(SynchronousTestCase):
    """Who leaves a connection to the others."""

    def test_aloneNeverSkips(self) -> None:
        """
        A single edge accepts whatever it holds.
        """
        self.assertFalse(should_skip(1_000_000, [1_000_000]))

    def test_farAboveTheMeanSkips(self) -> None:
        """
        An edge with more than its share of the connections steps back.
        """
        self.assertTrue(should_skip(130, [130, 70]))
        self.assertFalse(should_skip(119, [119, 81]))

    def test_fewConnectionsAreNoImbalance(self) -> None:
        """
        Below the floor nobody skips, however unequal the edges are.
        """
        self.assertFalse(should_skip(FLOOR - 1, [FLOOR - 1, 0]))

    @given(st.lists(st.integers(0, 10_000), min_size=1, max_size=64))
    def test_somebodyAlwaysAccepts(self, counts: list[int]) -> None:
        """
        Whatever the counts are, at least one edge does not skip.
        """
        self.assertFalse(all(should_skip(mine, counts) for mine in counts))
        least = min(counts)
        self.assertFalse(should_skip(least, counts), SHARE)

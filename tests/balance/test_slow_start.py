"""A daemon that has just come up."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.balance.slow_start import window


class SlowStartTests(SynchronousTestCase):
    def test_grows(self) -> None:
        """One more with each response, some more with each second, never more than there is."""
        for capacity, served, age, edges, places in (
            (32, 0, 0.0, 1, 4),
            (32, 0, 0.9, 1, 4),
            (32, 5, 0.0, 1, 9),
            (32, 100, 0.0, 1, 32),
            (32, 0, 3.5, 1, 16),
            (32, 1, 1.0, 1, 9),
            (2, 0, 0.0, 1, 2),
            (16, 0, 0.0, 2, 2),
            (4, 0, 0.0, 8, 1),
        ):
            self.assertEqual(window(capacity, served, age, edges), places)

    @given(st.integers(1, 1000), st.integers(0, 10_000), st.floats(0, 1e6), st.integers(1, 256))
    def test_bounds(self, capacity: int, served: int, age: float, edges: int) -> None:
        """There is always a place, and it never shrinks."""
        places = window(capacity, served, age, edges)
        self.assertTrue(1 <= places <= capacity)
        self.assertGreaterEqual(window(capacity, served + 1, age + 1.0, edges), places)

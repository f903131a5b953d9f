"""Tests of `hostedge.cli.rates`."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.main import ORDERS as WORDS
from hostedge.cli.rates import ORDERS, Row, ordered, quantile, rates, total

BOUNDS = [0.001, 0.01, 0.1]


def site(name: str, number: int = 1, **changes: Any) -> dict[str, Any]:
    counts = {
        "requests": 0,
        "in_flight": 0,
        "waiting": 0,
        "statuses": [0, 0, 0, 0, 0],
        "durations": [0, 0, 0, 0],
        "seconds": 0.0,
        "bytes": 0,
    }
    return {"site": name, "number": number, **counts, **changes}


def look(**edges: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "bounds": BOUNDS,
        "edges": [{"index": 0, "pid": pid, "sites": sites} for pid, sites in edges.items()],
    }


BUSY = site(
    "a.test",
    requests=10,
    in_flight=2,
    waiting=1,
    statuses=[0, 8, 0, 0, 2],
    durations=[10, 0, 0, 0],
    bytes=500,
)


class RatesTests(SynchronousTestCase):
    """Two looks."""

    def test_difference(self) -> None:
        """What came in between is divided by the time; what is now stands as it is."""
        earlier = look(p1=[site("a.test", requests=4, durations=[4, 0, 0, 0], bytes=100)])
        (row,) = rates(earlier, look(p1=[BUSY]), 2.0)
        self.assertEqual((row.requests, row.errors, row.bytes), (3.0, 1.0, 200.0))
        self.assertEqual((row.waiting, row.in_flight), (1, 2))
        self.assertAlmostEqual(row.p50 or 0, 0.0005)
        self.assertAlmostEqual(row.p95 or 0, 0.00095)

    def test_allEdges(self) -> None:
        """A site's edges are one row; the latencies are of all its answers."""
        slow = {**BUSY, "durations": [0, 0, 10, 0]}
        (row,) = rates(look(), look(p1=[BUSY], p2=[slow]), 1.0)
        self.assertEqual((row.requests, row.in_flight, row.p50), (20.0, 4, 0.001))
        self.assertAlmostEqual(row.p95 or 0, 0.091)

    def test_begunAnew(self) -> None:
        """What was idle meanwhile, or is on another edge, has begun at zero, not below."""
        before = look(p1=[{**BUSY, "requests": 100}])
        for after in (look(p1=[{**BUSY, "number": 2}]), look(p2=[BUSY])):
            (row,) = rates(before, after, 1.0)
            self.assertEqual(row.requests, 10.0)

    def test_gone(self) -> None:
        """A site that has fallen idle has no row."""
        self.assertEqual(rates(look(p1=[BUSY]), look(p1=[]), 1.0), [])


class QuantileTests(SynchronousTestCase):
    """Latencies from buckets."""

    def test_edges(self) -> None:
        """Nothing has none; beyond the last bound is the last bound."""
        self.assertIsNone(quantile([0, 0, 0, 0], BOUNDS, 0.5))
        self.assertEqual(quantile([0, 0, 0, 5], BOUNDS, 0.5), 0.1)
        self.assertAlmostEqual(quantile([0, 4, 0, 0], BOUNDS, 0.5) or 0, 0.0055)

    @given(st.lists(st.integers(0, 50), min_size=4, max_size=4))
    def test_rises(self, counts: list[int]) -> None:
        """More takes no less time."""
        found = [quantile(counts, BOUNDS, part / 20) or 0 for part in range(1, 21)]
        self.assertEqual(found, sorted(found))
        self.assertLessEqual(max(found), BOUNDS[-1])


class OrderTests(SynchronousTestCase):
    """Rows."""

    def test_ordered(self) -> None:
        """The most first, whatever they are compared by; names from the beginning."""
        rows = [
            Row(
                f"{n}.test", *([float(n)] * 2), *([n] * 2), float(n) if n else None, n / 2, float(n)
            )
            for n in range(5)
        ]
        for key in ORDERS:
            shuffled = random.sample(rows, len(rows))
            wanted = rows if key == "site" else rows[::-1]
            self.assertEqual(ordered(shuffled, key), wanted, key)
        self.assertEqual(total(rows), (10.0, 10.0, 10, 10))
        self.assertEqual(ORDERS, WORDS)

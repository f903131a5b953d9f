"""Tests of `hostedge.cli.top`; the command at a terminal is in `tests.live.test_top`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.rates import ORDERS, Row
from hostedge.cli.top import HEAD, KEYS, LEGEND, QUIT, lines

ROWS = [
    Row("demo.localhost", 1234.4, 0.5, 2, 17, 0.0012, 0.125, 1_234_567.0),
    Row("idle.localhost", 0.0, 0.0, 0, 0, None, None, 0.0),
    Row("slow.localhost", 2.5, 2.5, 0, 1, 1.5, 60.0, 999.6),
]


class LinesTests(SynchronousTestCase):
    """The table."""

    def test_lines(self) -> None:
        """A line for each site under one for all; what decides the order has a star."""
        self.assertEqual(
            list(lines(ROWS, "requests")),
            [
                "3 active sites: 1237 requests/s, 3.0 errors/s, 2 waiting, 18 in flight",
                "",
                "SITE            REQ/S*  ERR/S  WAIT  FLIGHT    P50    P95  SENT/S",
                "demo.localhost    1234    0.5     2      17  1.2ms  125ms   1.2MB",
                "idle.localhost     0.0    0.0     0       0      -      -      0B",
                "slow.localhost     2.5    2.5     0       1   1.5s  60.0s   1.0kB",
            ],
        )

    def test_none(self) -> None:
        """A node that nobody asks has a head all the same."""
        first, _, head = lines([], "site")
        self.assertTrue(first.startswith("0 active sites: 0.0 requests/s"))
        self.assertTrue(head.startswith("SITE*"))

    def test_width(self) -> None:
        """Names of any length fit a terminal of 80 columns, and a narrow one."""
        row = Row("x" * 250 + ".test", 123456.0, 99999.0, 10000, 10000, 59.9, 59.9, 5e9)
        for width in (80, 66):
            for order in ORDERS:
                self.assertLessEqual(max(map(len, lines([row], order, width))), width)

    def test_keys(self) -> None:
        """There is a key for each order, and the legend has them all."""
        self.assertEqual(tuple(KEYS.values()), ORDERS)
        for key in (*KEYS, QUIT[0]):
            self.assertIn(f"{key} ", LEGEND)
        self.assertLessEqual(len(LEGEND), 80)
        self.assertEqual(len(HEAD), len(ORDERS))

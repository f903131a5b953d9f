"""What is a flood, and what is not."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.h2_budget import FREE_BYTES, PERIOD, RESETS, Budget, Flood
from hostedge.wire.h2_frame import PING, SETTINGS


class BudgetTests(SynchronousTestCase):
    """One connection's budget."""

    def setUp(self) -> None:
        self.budget = Budget()

    def test_resets(self) -> None:
        """A burst of two hundred, then twenty a second, for ever."""
        for _ in range(int(RESETS)):
            self.budget.spend_reset(0.0)
        for second in range(1, 1000):
            for _ in range(20):
                self.budget.spend_reset(float(second))
        self.assertRaises(Flood, self.budget.spend_reset, 999.0)

    def test_restEarnsNoMoreThanABurst(self) -> None:
        """A day without resets allows no more than the beginning did."""
        for _ in range(int(RESETS)):
            self.budget.spend_reset(86_400.0)
        self.assertRaises(Flood, self.budget.spend_reset, 86_400.0)

    def test_frames(self) -> None:
        """Each kind has its own number in a period."""
        for kind, most in ((PING, 60), (SETTINGS, 14)):
            budget = Budget()
            for now in (1.0, 1.0 + PERIOD):
                for _ in range(most):
                    budget.spend_frame(kind, now)
            self.assertRaises(Flood, budget.spend_frame, kind, 2 * PERIOD)

    def test_framesWithoutUse(self) -> None:
        """A number in a period, and more for a client that asks for more in it."""
        for streams, more in (((0, 0), (0, 0)), ((300, 300), (2400, 0)), ((300, 310), (2400, 80))):
            budget = Budget()
            for period in (0, 1):
                now = 1.0 + period * PERIOD
                for _ in range(120 + more[period]):
                    budget.spend_other(now, streams[period])
            self.assertRaises(Flood, budget.spend_other, 2 * PERIOD, streams[1])

    def test_updates(self) -> None:
        """A few, and more with each stream and with what was sent."""
        for _ in range(5 + 2 * (3 + 10 * 4)):
            self.budget.spend_update(3, 4)
        self.assertRaises(Flood, self.budget.spend_update, 3, 4)
        self.budget.spend_update(4, 4)

    def test_emptyData(self) -> None:
        """Sixteen in a row; data in between makes it a new row."""
        for _ in range(3):
            for _ in range(16):
                self.budget.spend_empty()
            self.budget.earn_data()
        for _ in range(16):
            self.budget.spend_empty()
        self.assertRaises(Flood, self.budget.spend_empty)

    def test_overhead(self) -> None:
        """Frames around nothing: judged only once there is enough of them."""
        self.budget.check_overhead(8 * FREE_BYTES, 0)
        self.assertRaises(Flood, self.budget.check_overhead, 8 * FREE_BYTES + 1, 0)
        self.budget.check_overhead(80 * FREE_BYTES, 10 * FREE_BYTES)

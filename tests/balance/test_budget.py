"""What many lines may hold together."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.balance.budget import Budget


class BudgetTests(SynchronousTestCase):
    def test_room(self) -> None:
        """There is room up to the limit; who is in stays when it sinks."""
        budget = Budget(10)
        self.assertTrue(budget.has_room(10))
        budget.taken = 8
        self.assertEqual([budget.has_room(amount) for amount in (1, 2, 3)], [True, True, False])
        budget.limit = 5
        self.assertFalse(budget.has_room())
        self.assertEqual(budget.taken, 8)

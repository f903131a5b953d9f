"""
Tests for `hostedge.supervise.demand`.
"""

from twisted.trial.unittest import SynchronousTestCase

from hostedge.ipc import Use
from hostedge.supervise.demand import Demand


class DemandTests(SynchronousTestCase):
    def setUp(self):
        self.demand = Demand(100.0)

    def note(self, now, edge=0, **use):
        self.demand.note(
            edge, Use("a/x", 7, use.pop("in_flight", 0), use.pop("age", 0.0), **use), now
        )

    def test_idle(self):
        """
        Idleness begins with the end of the last request, on whatever edge.
        """
        self.note(110.0, in_flight=1)
        self.assertEqual(self.demand.idle_left(60.0, 200.0), 60.0)
        self.note(210.0, age=2.0)
        self.note(210.0, edge=1, age=99.0)
        self.assertEqual(self.demand.idle_left(60.0, 218.0), 50.0)
        self.assertIsNone(self.demand.idle_left(0.0, 218.0))

    def test_lately(self):
        """
        It is in use for a minute after the last request, and while there is one.
        """
        self.assertTrue(self.demand.lately(159.0))
        self.assertFalse(self.demand.lately(160.0))
        self.note(300.0, in_flight=2)
        self.note(300.0, edge=1, in_flight=1)
        self.assertTrue(self.demand.lately(999.0))
        self.assertEqual(self.demand.in_flight, 3)
        self.demand.edge_gone(0)
        self.demand.edge_gone(1)
        self.assertFalse(self.demand.lately(999.0))

    def test_openWebSocket(self):
        """
        Who has WebSockets open is not frozen, silent as they may be.
        """
        self.note(110.0, sockets=1)
        self.assertEqual(self.demand.idle_left(60.0, 200.0), -30.0)
        self.assertEqual(self.demand.freeze_left(60.0, 200.0), 60.0)
        self.note(110.0)
        self.assertEqual(self.demand.freeze_left(60.0, 200.0), -30.0)
        self.assertIsNone(self.demand.freeze_left(0.0, 200.0))

    def test_served(self):
        """
        A generation has served when an edge says so of it.
        """
        self.note(110.0, served=2)
        self.note(120.0)
        self.assertTrue(self.demand.has_served(7))
        self.assertFalse(self.demand.has_served(8))
        self.demand.forget(7)
        self.assertFalse(self.demand.has_served(7))

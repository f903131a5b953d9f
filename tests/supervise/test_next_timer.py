"""
Tests for `hostedge.supervise.next_timer`.
"""

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.next_timer import next_timer


class NextTimerTests(SynchronousTestCase):
    def told(self, state, **more):
        found = next_timer(state, 100.0, **more)
        return found and (found["what"], found["seconds"])

    def test_failed(self):
        """
        Who has failed is tried again, or may be; never in the past.
        """
        self.assertEqual(self.told("BACKOFF", retry_at=103.14), ("retry", 3.1))
        self.assertEqual(self.told("FAILED", retry_at=160.0), ("may_retry", 60.0))
        self.assertEqual(self.told("BACKOFF", retry_at=99.0), ("retry", 0.0))

    def test_starting(self):
        """
        A start is given up at its end; one that waits for its turn is not.
        """
        self.assertEqual(self.told("STARTING", start_ends=160.0), ("give_up", 60.0))
        self.assertIsNone(self.told("RELOADING", start_ends=90.0))
        self.assertIsNone(self.told("QUEUED"))

    def test_idle(self):
        """
        Whichever comes first of being frozen and being stopped; frozen it is not frozen again.
        """
        self.assertEqual(self.told("READY", idle_left=1800.0), ("idle_stop", 1800.0))
        self.assertEqual(self.told("READY", idle_left=1800.0, freeze_left=300.0)[0], "freeze")
        self.assertEqual(self.told("FROZEN", idle_left=9.0, freeze_left=-3.0), ("idle_stop", 9.0))
        self.assertIsNone(self.told("READY"))
        self.assertIsNone(self.told("COLD"))

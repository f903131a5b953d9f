"""
Tests for `hostedge.supervise.daemon_counts`.
"""

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.daemon_counts import BOUNDS, WHOLE, DaemonCounts, Durations
from hostedge.supervise.event import Event
from hostedge.supervise.journey import Start


class DaemonCountsTests(SynchronousTestCase):
    def setUp(self):
        self.counts = DaemonCounts()

    def tell(self, event, generation=1, **facts):
        self.counts.hear(Event(1.0, "a/x", generation, event, facts))

    def test_counts(self):
        """
        Wakes by who wanted it, ends by their kind, reloads by what came of them.
        """
        self.tell("queued", by="request")
        self.tell("queued", by="change")
        self.tell("queued")
        self.tell("evicted")
        self.tell("oom")
        self.tell("oom")
        self.tell("reload_kept_old")
        told = self.counts.tell()
        self.assertEqual(told["wakes"], {"request": 2, "change": 1})
        self.assertEqual((told["events"]["evictions"], told["events"]["oom"]), (1, 2))
        self.assertEqual(told["reloads"], {"ok": 0, "kept_old": 1})

    def test_generations(self):
        """
        Who was launched or taken back lives until it has ended, however that is told.
        """
        self.tell("launched", 1)
        self.tell("adopted", 2)
        self.tell("launched", 3)
        self.tell("crashed", 1)
        self.tell("exited", 1)
        self.assertEqual(self.counts.tell()["generations"], 2)

    def test_starts(self):
        """
        How long the parts of good starts took is counted; of failed ones only how many.
        """
        steps = [("token", 10.2), ("launched", 10.23), ("ready", 11.0)]
        self.counts.ended(Start("a/x", 10.0, steps=steps), True)
        self.counts.ended(Start("a/x", 10.0, steps=steps), False)
        told = self.counts.tell()
        self.assertEqual(told["starts"], {"ok": 1, "failed": 1})
        phases = told["phases"]
        self.assertEqual(phases[WHOLE]["seconds"], 1.0)
        self.assertEqual(phases["fork"]["seconds"], 0.03)
        self.assertEqual(sum(phases["token"]["counts"]), 1)
        self.assertEqual(sum(phases["exec"]["counts"]), 0)

    def test_bounds(self):
        """
        A duration counts where it is within the bound, the last is without.
        """
        durations = Durations()
        for seconds in (BOUNDS[0], BOUNDS[0] + 0.001, BOUNDS[-1] + 1):
            durations.add(seconds)
        self.assertEqual(durations.counts[:2], [1, 1])
        self.assertEqual(durations.counts[-1], 1)

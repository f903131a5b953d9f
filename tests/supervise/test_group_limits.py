"""
Tests for `hostedge.supervise.group_limits`; `test_cgroup` writes them into groups.
"""

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.group_limits import AccountLimits, LeafLimits, controller_of


class LimitTests(SynchronousTestCase):
    def test_plan(self):
        """
        A plan's memory slows down at nine tenths, ends at the whole, and swaps a quarter.
        """
        files = AccountLimits(memory=1_000_000_000, cpu=1.5, cpu_weight=2).files()
        self.assertEqual(
            files,
            {
                "memory.high": "900000000",
                "memory.max": "1000000000",
                "memory.swap.max": "250000000",
                "pids.max": "256",
                "cpu.weight": "2",
                "cpu.max": "150000 100000",
                "io.weight": "default 100",
            },
        )

    def test_none(self):
        """
        What has no limit is written as such: an earlier one goes.
        """
        files = AccountLimits(pids=None).files()
        for name, text in (("memory.max", "max"), ("pids.max", "max"), ("cpu.max", "max 100000")):
            self.assertEqual(files[name], text)

    def test_leaf(self):
        """
        One process is ended whole, a master loses a worker.
        """
        self.assertEqual(LeafLimits().files(), {"memory.oom.group": "1"})
        self.assertEqual(LeafLimits(whole=False).files(), {"memory.oom.group": "0"})

    def test_refused(self):
        """
        What the kernel would refuse at a launch is refused where it is written.
        """
        for name, value in (
            *(("memory", 0), ("pids", 0), ("pids", 1 << 30), ("cpu", 0.001), ("cpu", -1)),
            *(("cpu_weight", 0), ("cpu_weight", 10_001), ("io_weight", 0)),
        ):
            error = self.assertRaises(ValueError, AccountLimits, **{name: value})
            self.assertIn(f"{name}: want ", str(error))

    def test_controller(self):
        """
        Each file says by its name what it needs.
        """
        names = {controller_of(file) for file in (*AccountLimits().files(), *LeafLimits().files())}
        self.assertEqual(names, {"cpu", "io", "memory", "pids"})

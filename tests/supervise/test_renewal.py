"""
Tests for `hostedge.supervise.renewal`.
"""

import os
import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.renewal import Renewal
from tests.supervise.ports import FakePorts


class RenewalTests(SynchronousTestCase):
    def setUp(self):
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        self.file = folder / "restart.txt"
        self.ports = FakePorts()
        self.size = 100
        self.renewal = Renewal(self.ports, lambda generation: self.size)
        self.outgrown = []

    def outgrow(self, *told):
        self.outgrown.append(told)

    def after(self, seconds):
        self.ports.clock.pump([1.0] * seconds)

    def touch(self, time):
        self.file.touch()
        os.utime(self.file, (time, time))

    def test_outgrown(self):
        """
        Looked at every ten seconds; a generation outgrows its bounds once, and one that is born too
        large is told from one that has grown.
        """
        self.renewal.configure(100, None)
        self.renewal.watch(7, self.outgrow)
        self.after(25)
        self.size = 101
        self.after(4)
        self.assertEqual(self.outgrown, [])
        self.after(1)
        self.assertEqual(self.outgrown, [(101, True)])
        self.renewal.watch(7, self.outgrow)
        self.after(20)
        self.assertEqual(self.outgrown, [(101, True)])
        self.renewal.watch(8, self.outgrow)
        self.after(10)
        self.assertEqual(self.outgrown, [(101, True), (101, False)])

    def test_paused(self):
        """
        Who stands still before ten seconds are over, again and again, is looked at all the same.
        """
        self.renewal.configure(100, None)
        for _ in range(4):
            self.renewal.watch(7, self.outgrow)
            self.after(3)
            self.renewal.pause()
            self.after(3)
        self.size = 101
        self.after(10)
        self.assertEqual(self.outgrown, [])
        self.renewal.watch(7, self.outgrow)
        self.after(1)
        self.assertEqual(self.outgrown, [(101, True)])

    def test_notWatched(self):
        """
        Who has no bounds, or does not serve, is not looked at.
        """
        self.renewal.watch(7, self.outgrow)
        self.assertEqual(self.ports.clock.getDelayedCalls(), [])
        self.renewal.configure(10, None)
        self.renewal.watch(7, self.outgrow)
        self.renewal.pause()
        self.assertEqual(self.ports.clock.getDelayedCalls(), [])

    def test_touched(self):
        """
        A file that is made, touched or removed is seen, once each, at most every ten seconds.
        """
        self.renewal.configure(0, self.file)
        self.after(10)
        self.touch(1000)
        self.assertTrue(self.renewal.is_touched(now=False))
        self.touch(1001)
        self.after(9)
        self.assertFalse(self.renewal.is_touched(now=False))
        self.assertTrue(self.renewal.is_touched(now=True))
        self.after(10)
        self.assertFalse(self.renewal.is_touched(now=False))
        self.file.unlink()
        self.assertTrue(self.renewal.is_touched(now=True))

    def test_launched(self):
        """
        What was touched before the launch is no news, nor is a file that was there.
        """
        self.touch(1000)
        self.renewal.configure(0, self.file)
        self.assertFalse(self.renewal.is_touched(now=True))
        self.touch(1001)
        self.renewal.launched()
        self.assertFalse(self.renewal.is_touched(now=True))
        self.renewal.configure(0, None)
        self.assertFalse(self.renewal.is_touched(now=True))

"""
Tests for `hostedge.supervise.pressure`.
"""

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.pressure import Pressure, longest_idle, read_pressure

PSI = """some avg10=20.05 avg60=3.10 avg300=0.90 total=123456
full avg10=1.00 avg60=0.10 avg300=0.00 total=3456
"""
MEMINFO = """MemTotal:        8000000 kB
MemFree:          100000 kB
MemAvailable:     640000 kB
"""


class PressureTests(SynchronousTestCase):
    def test_read(self):
        """
        The share of stalled time is that of somebody, in the last ten seconds.
        """
        self.assertEqual(read_pressure(PSI, MEMINFO), Pressure(20.05, 0.08))

    def test_unknown(self):
        """
        A kernel that says nothing is under no pressure.
        """
        self.assertEqual(read_pressure("", ""), Pressure(0.0, 1.0))
        self.assertFalse(Pressure().is_high)

    def test_high(self):
        """
        Each of the two is enough.
        """
        self.assertFalse(Pressure(20.0, 0.08).is_high)
        self.assertTrue(Pressure(20.05, 0.5).is_high)
        self.assertTrue(Pressure(0.0, 0.079).is_high)

    def test_longestIdle(self):
        """
        Who was idle for longest goes first.
        """
        self.assertEqual(longest_idle([(70.0, "a/x"), (900.0, "b/x"), (80.0, "c/x")]), "b/x")
        self.assertEqual(longest_idle([]), "")

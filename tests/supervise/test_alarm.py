"""
Tests for `hostedge.supervise.alarm`.
"""

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.alarm import Alarm
from tests.supervise.ports import FakePorts


class AlarmTests(SynchronousTestCase):
    def test_oneTimer(self):
        """
        The later setting counts; a rung or cleared alarm can be cleared again.
        """
        ports = FakePorts()
        alarm = Alarm(ports)
        rung = []
        alarm.set(1, lambda: rung.append("first"))
        alarm.set(2, lambda: rung.append("second"))
        ports.clock.advance(3)
        alarm.clear()
        self.assertEqual(rung, ["second"])

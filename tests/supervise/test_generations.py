"""
Tests for `hostedge.supervise.generations`.
"""

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.generations import DaemonCore
from tests.supervise.ports import FakePorts


class CoreTests(SynchronousTestCase):
    def setUp(self):
        self.ports = FakePorts()
        self.core = DaemonCore(self.ports)

    def test_pause(self):
        """
        The pause doubles with each failure and stays below its limit, jitter aside.
        """
        pauses = []
        for number in range(9):
            self.core.failures = [0.0] * number
            pauses.append(self.core.pause())
        self.assertEqual(pauses, [1, 1, 2, 4, 8, 16, 32, 60, 60])

    def test_endedOnce(self):
        """
        A generation is brought to its end once, however often that is asked for.
        """
        self.core.end(None)
        self.core.end(4)
        self.core.end(4, drain=5.0)
        self.assertEqual(self.ports.happened, [("TERM", 4)])

    def test_hurry(self):
        """
        What was draining is told to end, and what was told so is killed sooner.
        """
        self.core.end(4, drain=5.0)
        self.core.hurry(0.0, None)
        self.assertEqual(self.ports.happened, [("retire", 4), ("TERM", 4)])
        self.ports.clock.advance(0.25)
        self.core.hurry(0.0, 1.0)
        self.ports.clock.advance(0.75)
        self.assertEqual(self.ports.happened[-1], ("KILL", 4))

    def test_hurryWithDrain(self):
        """
        What lasted for the sake of WebSockets has no longer than what is dismissed now.
        """
        self.core.drain_websockets = 3600.0
        self.core.end(4, drain=30.0)
        self.core.hurry(5.0, None)
        self.ports.clock.pump([0.5] * 9)
        self.assertEqual(self.ports.happened, [("retire", 4)])
        self.ports.clock.pump([0.5] * 2)
        self.assertEqual(self.ports.happened[-1], ("TERM", 4))

    def test_tokens(self):
        """
        A state that does not say it needs the start token gives it back.
        """
        self.ports.token = "held"
        self.core.enter("STARTING", token=True)
        self.assertEqual(self.ports.token, "held")
        self.core.enter("READY")
        self.assertEqual(self.ports.token, "none")

    def test_answering(self):
        """
        Asking for the serving generation where there is none is our own mistake.
        """
        self.assertRaises(AssertionError, lambda: self.core.answering)

    def test_lasting(self):
        """
        An edge that links is not sent to a generation that is asked about or being ended.
        """
        self.core.serving = 4
        lasting = {}
        for state in ("READY", "RELOADING", "DRAINING", "STOPPING"):
            self.core.enter(state)
            lasting[state] = self.core.lasting
        self.assertEqual(lasting, {"READY": 4, "RELOADING": 4, "DRAINING": None, "STOPPING": None})

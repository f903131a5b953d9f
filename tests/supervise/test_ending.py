"""
Tests for `hostedge.supervise.ending`.
"""

from itertools import count

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.ending import EndingCore, make_ending
from tests.supervise.ports import FakePorts


class EndingTests(SynchronousTestCase):
    def setUp(self):
        self.ports = FakePorts()
        numbers = count(1)
        self.core = EndingCore(self.ports, 7, 30.0, 10.0, lambda: next(numbers))
        self.ending = make_ending(self.core)

    def test_finishFirst(self):
        """
        The edges are told once and asked each second; when they are done TERM is sent.
        """
        self.ending.drain()
        self.ports.clock.pump([0.5] * 5)
        self.assertEqual(self.ports.question, 3)
        self.ending.finished()
        self.assertEqual(self.ports.happened, [("retire", 7), ("TERM", 7)])

    def test_deadline(self):
        """
        Edges that never finish are not waited for longer than the drain time.
        """
        self.ending.drain()
        self.ports.clock.pump([1] * 30)
        self.assertEqual(self.ports.happened[-1], ("TERM", 7))

    def test_lasting(self):
        """
        What may last longer than requests is waited for, as long as it is there.
        """
        self.core.lasting = 50.0
        self.ending.drain()
        self.ports.clock.pump([1] * 49)
        self.assertEqual(self.ports.happened, [("retire", 7)])
        self.ports.clock.pump([1])
        self.assertEqual(self.ports.happened[-1], ("TERM", 7))

    def test_ignoredTerm(self):
        """
        Who ignores TERM is killed, said to be stuck if that does not help, and killed again.
        """
        self.ending.tell()
        self.ports.clock.pump([10, 5, 5])
        self.assertEqual(
            [name for name, _ in self.ports.happened], ["TERM", "KILL", "KILL", "stuck", "KILL"]
        )
        self.ending.exited()
        self.assertEqual(self.ports.clock.getDelayedCalls(), [])

    def test_saidTwice(self):
        """
        An end that was asked for twice happens once, and nothing follows the exit.
        """
        self.ending.tell()
        for again in (self.ending.drain, self.ending.tell, self.ending.finished):
            again()
        self.ending.exited()
        for late in (self.ending.drain, self.ending.tell, self.ending.finished):
            late()
        self.ending.exited()
        self.assertEqual(self.ports.happened, [("TERM", 7)])

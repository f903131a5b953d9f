"""What has gone to a back end: `hostedge.observe.traffic`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.observe.traffic import COUNTS, Traffic


class TrafficTests(SynchronousTestCase):
    """One back end's."""

    def test_requests(self) -> None:
        """Those of connections that are over and of those that are open; nothing ever shrinks."""
        traffic = Traffic()
        told = traffic.tell([5, 1, 0])
        self.assertEqual((told["requests"], told["reused"]), (6, 4))
        self.assertEqual(traffic.tell([1])["requests"], 6)
        traffic.ended(5)
        traffic.ended(0)
        told = traffic.tell([2])
        self.assertEqual((told["requests"], told["reused"]), (7, 5))
        self.assertEqual({*told}, {*COUNTS})

    def test_gone(self) -> None:
        """Whoever has taken it in has also what is counted later."""
        gone, traffic = Traffic(), Traffic()
        traffic.ended(3)
        traffic.connects, traffic.errors = 2, 1
        gone.take_in(traffic)
        traffic.ended(4)
        told = gone.tell([])
        self.assertEqual((told["requests"], told["reused"]), (7, 5))
        self.assertEqual((told["connects"], told["errors"], told["retries"]), (2, 1, 0))

"""
Tests for `hostedge.http.last_requests`.
"""

from attrs import define
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.last_requests import KEPT, LASTING, LONG, NAMED, LastRequests


@define
class Asking:
    target: bytes = b"/a?secret=1"
    method: bytes = b"POST"
    host: str = "demo.test"
    id: str = "0198"


class LastRequestsTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.last = LastRequests(self.clock.seconds)

    def test_told(self):
        """
        Method, host, path without its query, id and how long it was there; only of this
        generation of this app.
        """
        self.clock.advance(10)
        self.last.died("demo/x", 4, Asking(), 7.5)
        self.last.died("demo/x", 5, Asking(), 7.5)
        self.last.died("demo/y", 4, Asking(), 7.5)
        told = {"method": "POST", "host": "demo.test", "path": "/a", "id": "0198", "seconds": 2.5}
        self.assertEqual(self.last.of("demo/x", 4), [told])

    def test_forgotten(self):
        """
        After some seconds nobody asks any more.
        """
        self.last.died("demo/x", 4, Asking(), 0.0)
        self.clock.advance(LASTING + 1)
        self.assertEqual(self.last.of("demo/x", 4), [])

    def test_bounded(self):
        """
        Many requests, and long paths, are cut to what can be sent; the oldest are named.
        """
        self.clock.advance(KEPT * 2)
        for number in range(KEPT * 2):
            self.last.died("demo/x", 4, Asking(b"/" + b"x" * 5000), float(number))
        told = self.last.of("demo/x", 4)
        self.assertEqual(len(told), NAMED)
        self.assertEqual(len(told[0]["path"]), LONG)
        self.assertEqual(told[0]["seconds"], float(KEPT))

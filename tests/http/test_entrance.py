"""What the connections of a listener have in common."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.entrance import STAGES
from hostedge.http.exchange import Exchange
from hostedge.http.h1 import FIRST
from tests.http.parts import Scene

GET = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"


class Pending:
    """A leaf that does not answer by itself."""

    limits = None

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.answer = self.exchanges.append

    def explain(self) -> list[str]:
        return []


class EntranceTests(SynchronousTestCase):
    """Counting and ending."""

    def setUp(self) -> None:
        self.leaf = Pending()
        self.scene = Scene(lambda exchange: self.leaf)
        self.busy, self.client = self.scene.connect()
        self.busy.dataReceived(GET)
        self.idle, self.other = self.scene.connect()
        self.idle.dataReceived(GET)
        self.leaf.exchanges.pop().respond(200, [], b"")
        self.other.clear()

    def test_inFlight(self) -> None:
        """Requests are in flight, connections are not."""
        self.assertEqual(self.scene.entrance.in_flight, 1)
        self.leaf.exchanges[0].respond(200, [], b"")
        self.assertEqual(self.scene.entrance.in_flight, 0)

    def test_stages(self) -> None:
        """Every connection stands somewhere: with a request, without, with a part of one, ended."""
        entrance = self.scene.entrance
        self.assertEqual(entrance.stages(), {"active": 1, "idle": 1})
        self.idle.dataReceived(b"GET /")
        self.leaf.exchanges[0].respond(200, [], b"")
        self.assertEqual(entrance.stages(), {"idle": 1, "reading": 1})
        self.busy.dataReceived(b"?\r\n\r\n")
        self.assertEqual(entrance.stages(), {"closing": 1, "reading": 1})
        self.busy.end()
        self.assertEqual(entrance.stages(), {"reading": 1})
        self.assertLessEqual({"closing", "reading", "active", "idle"}, {*STAGES})

    def test_drain(self) -> None:
        """Idle connections end now, busy ones with their answer; then it is done."""
        done = self.scene.entrance.drain()
        self.assertFalse(self.other.connected)
        self.assertNoResult(done)
        self.leaf.exchanges[0].respond(200, [], b"")
        self.assertIn(b"Connection: close", self.client.value())
        self.successResultOf(done)

    def test_requestOnItsWay(self) -> None:
        """
        A connection on which a request may be coming is not closed under it: one that has asked
        for nothing yet, one whose bytes lie in the kernel, one that has just shaken hands.
        """
        fresh, first = self.scene.connect()
        self.other.unread = True
        self.scene.entrance.drain()
        late, last = self.scene.connect()
        for protocol, client in ((fresh, first), (self.idle, self.other), (late, last)):
            self.assertTrue(client.connected)
            protocol.dataReceived(GET)
            self.leaf.exchanges.pop().respond(200, [], b"")
            self.assertIn(b"Connection: close", client.value())
            self.assertFalse(client.connected)

    def test_nothingOnItsWay(self) -> None:
        """A client that asks for nothing does not hold up the end."""
        _, first = self.scene.connect()
        self.scene.entrance.drain()
        _, last = self.scene.connect()
        self.scene.pass_time(FIRST + 2)
        self.assertFalse(first.connected or last.connected)

    def test_nothingToDrain(self) -> None:
        """Without connections draining is done at once."""
        self.successResultOf(Scene(lambda exchange: self.leaf).entrance.drain())

    def test_end(self) -> None:
        """What does not end in time is broken off, and its leaf told."""
        done = self.scene.entrance.drain()
        self.scene.entrance.end()
        self.assertTrue(self.client.aborted)
        self.successResultOf(done)
        self.assertEqual([e.status for e in self.scene.recorded], [200, 499])

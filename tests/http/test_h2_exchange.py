"""One exchange of HTTP/2: its facts, and an answer that begins and ends once."""

from __future__ import annotations

import gc
import weakref

from twisted.trial.unittest import SynchronousTestCase

from tests.http.h2_parts import H2Scene, frame, request
from tests.http.parts import Waiting


class ExchangeTests(SynchronousTestCase):
    """What a leaf can do."""

    def setUp(self) -> None:
        self.leaf = Waiting()
        self.scene = H2Scene(self.leaf)
        self.protocol, self.client, self.heard = self.scene.meet()
        self.protocol.dataReceived(request(1, "POST", "/a%62?c", end=False))
        (self.exchange,) = self.leaf.exchanges

    def test_facts(self) -> None:
        """The same facts as of HTTP/1.1."""
        exchange = self.exchange
        self.assertEqual((exchange.path, exchange.query, exchange.length), (b"/ab", b"c", None))
        self.assertEqual((exchange.scheme, exchange.id, exchange.upgrade), (b"http", "the-id", ""))
        self.assertEqual((exchange.limited, exchange.revision), (frozenset(), 0))

    def test_informed(self) -> None:
        """Early hints are a head before the answer's; after the answer began they get lost."""
        self.exchange.inform(103, [(b"Link", b"</a.css>")])
        self.scene.hear(self.client, self.heard)
        self.assertEqual(self.heard.fields[1], [(b":status", b"103"), (b"link", b"</a.css>")])
        self.assertNotIn(1, self.heard.ended)
        self.exchange.respond(200, [], b"ok")
        self.exchange.inform(103, [])
        self.scene.hear(self.client, self.heard)
        self.assertEqual(self.heard.statuses, {1: [103, 200]})
        self.assertEqual(self.heard.bodies[1], b"ok")

    def test_beginsOnce(self) -> None:
        """A second beginning is a fault of ours, unless the client is gone."""
        self.exchange.begin(200, [], None)
        self.assertRaises(AssertionError, self.exchange.begin, 200, [], None)

    def test_nothingAfterTheEnd(self) -> None:
        """Whatever a leaf does after the end has no effect."""
        exchange = self.exchange
        exchange.respond(200, [], b"ok")
        self.scene.hear(self.client, self.heard)
        exchange.refuse("internal")
        exchange.begin(200, [], None)
        exchange.write(b"x")
        exchange.finish()
        exchange.abort()
        exchange.resume_body()
        producer = Stoppable()
        exchange.register_producer(producer)
        self.assertEqual((self.client.value(), producer.calls), (b"", ["stop"]))
        self.assertEqual(len(self.scene.recorded), 1)

    def test_refusedTooLate(self) -> None:
        """A refusal after the beginning resets the stream: a broken answer never looks whole."""
        self.exchange.begin(200, [], None)
        self.exchange.write(b"half")
        self.exchange.refuse("upstream_died")
        self.scene.hear(self.client, self.heard)
        self.assertEqual(self.heard.reset, {1: "INTERNAL_ERROR"})
        self.assertNotIn(1, self.heard.ended)
        self.assertEqual(self.scene.counters["refused_upstream_died"], 1)
        self.assertFalse(self.exchange.whole)  # type: ignore[attr-defined]

    def test_refusal(self) -> None:
        """The page has the form that was asked for, and the id."""
        self.exchange.fields.append((b"accept", b"application/json"))
        self.exchange.refuse("queue_full", 2.5)
        self.scene.hear(self.client, self.heard)
        fields = dict(self.heard.fields[1])
        self.assertEqual((fields[b"retry-after"], fields[b"x-request-id"]), (b"3", b"the-id"))
        self.assertIn(b'"cause": "queue_full"', self.heard.bodies[1])

    def test_producerOfACrowdedStream(self) -> None:
        """A producer that comes when much waits already is paused at once."""
        self.exchange.begin(200, [], None)
        self.exchange.write(b"x" * 200_000)
        producer = Stoppable()
        self.exchange.register_producer(producer)
        self.assertEqual(producer.calls, ["pause"])
        for number in (0, 1):
            self.protocol.dataReceived(
                frame("WINDOW_UPDATE", 0, number, (1 << 20).to_bytes(4, "big"))
            )
        self.assertEqual(producer.calls, ["pause", "resume"])

    def test_pauseWithinAPiece(self) -> None:
        """A receiver that pauses at a piece hears of no further one."""
        heard = self.leaf.heard
        exchange = self.exchange

        class Pausing(Waiting):
            def body_data(self, data: bytes) -> None:
                heard.append(data)
                exchange.pause_body()

        exchange.receive(Pausing())
        self.protocol.dataReceived(frame("DATA", 0, 1, b"a") + frame("DATA", 1, 1, b"b"))
        self.assertEqual(heard, [b"a"])
        exchange.resume_body()
        self.assertEqual(heard, [b"a", b"b"])

    def test_freedWithoutTheCollector(self) -> None:
        """An exchange that is over, and its stream, are in no cycle."""
        self.exchange.respond(200, [], b"ok")
        self.scene.recorded.clear()
        self.leaf.exchanges.clear()
        gc.disable()
        self.addCleanup(gc.enable)
        gone = weakref.ref(self.exchange.receive)
        there = [each for each in gc.get_objects() if each is self.exchange]
        self.assertEqual(len(there), 1)
        marker = Marker()
        self.exchange.fields.append(marker)  # type: ignore[arg-type]
        watched = weakref.ref(marker)
        del marker, there, self.exchange, gone
        self.assertIsNone(watched())


class Marker:
    """Something that can be watched."""


class Stoppable:
    """A producer that notes what it is told."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        self.calls.append("resume")

    def stopProducing(self) -> None:
        self.calls.append("stop")

"""What exchanges of both protocols do alike."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.answering import CLIENT_GONE, Answering
from hostedge.wire.fields import LastingFields
from tests.http.h2_parts import H2Scene, request
from tests.http.parts import Scene, Waiting

POST = b"POST / HTTP/1.1\r\nHost: a.test\r\nAccept: text/html\r\nContent-Length: 9\r\n\r\n"


class Receiver:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def body_data(self, data: bytes) -> None:
        self.heard.append(data)

    def body_end(self) -> None:
        self.heard.append("end")

    def client_gone(self) -> None:
        self.heard.append("gone")


class AnsweringTests(SynchronousTestCase):
    """An exchange whose body has not come yet, by either protocol."""

    def exchanges(self) -> Iterator[tuple[Answering, Scene]]:
        leaf = Waiting()
        first = Scene(leaf)
        first.connect()[0].dataReceived(POST)
        second = H2Scene(leaf)
        accept = ("accept", "text/html")
        second.meet()[0].dataReceived(request(1, "POST", "/", accept, end=False))
        yield from zip(leaf.exchanges, (first, second), strict=True)

    def test_refused(self) -> None:
        """A cause becomes its answer, in the form that the client takes; and only once."""
        for exchange, scene in self.exchanges():
            self.assertIsInstance(exchange, Answering)
            exchange.refuse("no_server")
            exchange.refuse("internal")
            (line,) = scene.recorded
            self.assertEqual((line.status, line.cause, line.whole), (503, "no_server", True))
            self.assertEqual(scene.counters["refused_no_server"], 1)
            self.assertEqual(scene.counters["refused_internal"], 0)

    def test_strict(self) -> None:
        """What the site asks of browsers stands once, in place of what the answer says."""
        for exchange, _ in self.exchanges():
            fields = [(b"strict-Transport-security", b"max-age=0"), (b"X-Mine", b"1")] * 2
            self.assertEqual(exchange.strict, b"")
            exchange.strict = b"max-age=5"
            exchange.begin(200, fields, 0)
            self.assertEqual(exchange.head.lower().count(b"x-mine"), 2)
            self.assertEqual(exchange.head.count(b"max-age=5"), 1)
            self.assertNotIn(b"max-age=0", exchange.head)
            exchange.finish()

    def test_strictEachTime(self) -> None:
        """Fields of many answers stay as they are: what the site asks is not among them."""
        said = LastingFields([(b"Strict-Transport-Security", b"max-age=0"), (b"X-Mine", b"1")])
        for fields in (said, LastingFields(said[1:])):
            for exchange, _ in self.exchanges():
                before = [*fields]
                exchange.strict = b"max-age=5"
                exchange.begin(200, fields, 0)
                self.assertEqual((exchange.head.count(b"max-age"), fields), (1, before))
                self.assertNotIn(b"max-age=5", fields.lines)
                exchange.finish()

    def test_refusedTooLate(self) -> None:
        """What has begun is broken off instead, and counted for the same cause."""
        for exchange, scene in self.exchanges():
            exchange.begin(200, [], None)
            exchange.refuse("upstream_died")
            (line,) = scene.recorded
            self.assertEqual((line.status, line.cause, line.whole), (200, "upstream_died", False))
            self.assertEqual(scene.counters["refused_upstream_died"], 1)

    def test_clientIsGone(self) -> None:
        """The receiver hears it, once; nobody was answered."""
        for exchange, scene in self.exchanges():
            receiver = Receiver()
            exchange.receive(receiver)
            exchange.lose_client()
            exchange.lose_client()
            exchange.resume_body()
            self.assertEqual(receiver.heard, ["gone"])
            (line,) = scene.recorded
            self.assertEqual((line.status, line.whole), (CLIENT_GONE, False))

    def test_goneMeanwhile(self) -> None:
        """An answer that had begun keeps its status."""
        for exchange, scene in self.exchanges():
            exchange.begin(200, [], None)
            exchange.lose_client()
            self.assertEqual((scene.recorded[0].status, scene.recorded[0].whole), (200, False))

    def test_turnedAway(self) -> None:
        """
        Who is refused for the head has one line that says what was asked for, and where the host is
        somebody's his page; no router has seen it.
        """

        def claim(exchange: Answering) -> None:
            self.assertEqual(exchange.client, "192.168.1.1")
            exchange.revision = 7

        first, second = Scene(self.fail), H2Scene(self.fail)
        for scene in (first, second):
            scene.entrance.claim = claim
            scene.entrance.page = lambda host, status: f"<p>{host} {{{{status}}}}"
        client = first.connect()[1]
        client.protocol.dataReceived(POST.replace(b"POST / ", b"TRACE /a?b "))
        self.assertIn(b"\r\nAllow: GET, ", client.value())
        self.assertTrue(client.value().endswith(b"\r\n\r\n<p>a.test 405"), client.value())
        protocol, client, heard = second.meet()
        protocol.dataReceived(request(1, "TRACE", "/a?b", ("accept", "text/html")))
        second.hear(client, heard)
        self.assertEqual(heard.bodies[1], b"<p>a.test 405")
        self.assertIn(b"allow", dict(heard.fields[1]))
        for scene in (first, second):
            (line,) = scene.recorded
            self.assertEqual((line.method, line.target, line.host), (b"TRACE", b"/a?b", "a.test"))
            self.assertEqual((line.status, line.cause, line.whole), (405, "method", True))
            self.assertEqual((line.revision, line.sent), (7, 13))
            self.assertIs(line.turned_away, True)
            self.assertEqual(scene.counters["refused_method"], 1)
            self.assertEqual(scene.counters["http_requests"], 0)
            (kept,) = scene.refusals.newest()
            self.assertEqual((kept.cause, kept.host, kept.verbatim), ("method", "a.test", False))

    def test_ownerThatIsNotFound(self) -> None:
        """A store that fails costs the site's page, not the answer."""

        def claim(exchange: Answering) -> None:
            raise ZeroDivisionError

        scene = Scene(self.fail)
        scene.entrance.claim = claim
        client = scene.connect()[1]
        client.protocol.dataReceived(POST.replace(b"POST ", b"TRACE "))
        self.assertTrue(client.value().startswith(b"HTTP/1.1 405 "), client.value())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_notARequest(self) -> None:
        """What has no line that can be read is kept as it came, and has no method for the log."""
        scene = Scene(self.fail)
        for number, raw in enumerate(
            (b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\nHost a\r\n")
        ):
            scene.connect()[0].dataReceived(raw)
            line = scene.recorded[number]
            self.assertEqual((line.method, line.status), ((b"", b"GET")[number], 400))
            kept = next(scene.refusals.newest())
            self.assertEqual((kept.request, kept.verbatim), (raw, True))

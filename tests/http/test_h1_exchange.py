"""Answers on the wire: framing, lengths, what is sent together."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.fields import LastingFields
from tests.http.parts import DATE, Scene, Waiting, split_answers

GET = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"


class AnswerTests(SynchronousTestCase):
    """One exchange of one connection."""

    def setUp(self) -> None:
        self.leaf = Waiting()
        self.scene = Scene(self.leaf)
        self.protocol, self.client = self.scene.connect()

    def test_oneWrite(self) -> None:
        """Head and body of an answer leave in one write."""
        writes: list[bytes] = []
        self.client.write = writes.append  # type: ignore[method-assign]
        self.protocol.dataReceived(GET)
        self.leaf.exchanges[0].respond(200, [(b"A", b"b")], b"hello")
        self.assertEqual(
            writes,
            [b"HTTP/1.1 200 OK\r\nA: b\r\nDate: " + DATE + b"\r\nContent-Length: 5\r\n\r\nhello"],
        )

    def test_sameFields(self) -> None:
        """Fields that many answers have are written as those of one; HEAD gets them as well."""
        fields = LastingFields([(b"A", b"b"), (b"c", b"d")])
        for method in (b"GET", b"GET", b"HEAD"):
            self.client.clear()
            self.protocol.dataReceived(GET.replace(b"GET", method))
            self.leaf.exchanges.pop().respond(200, fields, b"hello")
            self.assertEqual(
                self.client.value(),
                b"HTTP/1.1 200 OK\r\nA: b\r\nc: d\r\nDate: " + DATE
                + b"\r\nContent-Length: 5\r\n\r\n" + (b"" if method == b"HEAD" else b"hello"),
            )  # fmt: skip

    def test_head(self) -> None:
        """HEAD is answered with the length and without the body."""
        self.protocol.dataReceived(GET.replace(b"GET", b"HEAD"))
        self.leaf.exchanges[0].respond(200, [], b"hello")
        text = self.client.value()
        self.assertIn(b"Content-Length: 5\r\n", text)
        self.assertTrue(text.endswith(b"\r\n\r\n"))

    def test_withoutBody(self) -> None:
        """204 and 304 have neither body nor framing."""
        for status in (204, 304):
            self.protocol.dataReceived(GET)
            self.leaf.exchanges[-1].respond(status, [], b"")
            text = self.client.value()
            self.assertNotIn(b"Content-Length", text)
            self.assertNotIn(b"Transfer-Encoding", text)

    def test_chunked(self) -> None:
        """Without a length the answer is chunked, for HTTP/1.0 it ends with the connection."""
        for version in (b"1.1", b"1.0"):
            protocol, client = self.scene.connect()
            protocol.dataReceived(GET.replace(b"1.1", version))
            exchange = self.leaf.exchanges[-1]
            exchange.begin(200, [], None)
            self.assertEqual(client.value(), b"")
            exchange.write(b"")
            head = client.value()
            client.clear()
            exchange.write(b"hello")
            exchange.finish()
            if version == b"1.1":
                self.assertIn(b"Transfer-Encoding: chunked\r\n", head)
                self.assertEqual(client.value(), b"5\r\nhello\r\n0\r\n\r\n")
            else:
                self.assertIn(b"Connection: close\r\n", head)
                self.assertEqual((client.value(), client.ended), (b"hello", True))

    def test_wrongLengthAborts(self) -> None:
        """Fewer or more bytes than promised abort the connection: the client must see it."""
        for body in (b"", b"1234", b"123456"):
            protocol, client = self.scene.connect()
            protocol.dataReceived(GET)
            exchange = self.leaf.exchanges[-1]
            exchange.begin(200, [], 5)
            exchange.write(body)
            exchange.finish()
            self.assertTrue(client.aborted, body)
            self.assertFalse(self.scene.recorded[-1].whole)

    def test_continueOnlyWhenWanted(self) -> None:
        """`100 Continue` waits until the leaf wants the body."""
        leaf = Waiting()
        leaf.answer = lambda exchange: leaf.exchanges.append(exchange)  # type: ignore[method-assign]
        protocol, client = Scene(leaf).connect()
        protocol.dataReceived(
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
        )
        exchange = leaf.exchanges[0]
        exchange.pause_body()
        exchange.receive(leaf)
        self.assertEqual(client.value(), b"")
        exchange.resume_body()
        self.assertEqual(client.value(), b"HTTP/1.1 100 Continue\r\n\r\n")

    def test_refusedAfterItBegan(self) -> None:
        """A refusal in the middle of an answer can only abort it."""
        self.protocol.dataReceived(GET)
        exchange = self.leaf.exchanges[0]
        exchange.begin(200, [], None)
        exchange.write(b"x")
        exchange.refuse("upstream_died")
        self.assertTrue(self.client.aborted)
        ended = self.scene.recorded[0]
        self.assertEqual((ended.status, ended.cause, ended.whole), (200, "upstream_died", False))

    def test_producer(self) -> None:
        """A producer is the transport's until the answer ends; afterwards it is stopped at once."""
        self.protocol.dataReceived(GET)
        exchange = self.leaf.exchanges[0]
        exchange.begin(200, [], None)
        exchange.register_producer(stopped := Stopped())
        self.assertIs(self.client.producer, stopped)
        exchange.finish()
        self.assertIsNone(self.client.producer)
        exchange.register_producer(stopped)
        self.assertTrue(stopped.is_stopped)

    def test_formOfRefusals(self) -> None:
        """Who wants HTML gets HTML, and the id that is in the log."""
        self.protocol.dataReceived(GET[:-2] + b"Accept: text/html\r\n\r\n")
        self.leaf.exchanges[0].refuse("queue_full", 2.5)
        status, fields, body = split_answers(self.client.value())[0]
        self.assertEqual((status, fields[b"retry-after"]), (503, b"3"))
        self.assertIn(b"<h1>", body)
        self.assertIn(b"the-id", body)


class Stopped:
    """A producer that knows whether it was stopped."""

    is_stopped = False

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def stopProducing(self) -> None:
        self.is_stopped = True

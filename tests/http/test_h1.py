"""A client's connection: order, time, limits, ends; what it must not send is in `test_cases`."""

from __future__ import annotations

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.client import LINGER, LINGER_SIZE
from hostedge.http.exchange import Exchange
from tests.http.parts import EchoLeaf, Scene, Waiting, split_answers, with_limits

GET = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"


class EchoLeafRouter(EchoLeaf):
    """A router that always gives the same leaf."""

    def __call__(self, exchange: Exchange) -> EchoLeaf:
        return self


class ConnectionTests(SynchronousTestCase):
    """One connection, step by step."""

    def setUp(self) -> None:
        self.leaf = Waiting()
        self.scene = Scene(self.leaf)
        self.protocol, self.client = self.scene.connect()

    def answer(self) -> list[tuple[int, dict[bytes, bytes], bytes]]:
        text = self.client.value()
        self.client.clear()
        return split_answers(text)

    def test_pipelinedRequestsWait(self) -> None:
        """Reading stops while a request waits for its turn; each begins after the one before."""
        self.protocol.dataReceived(GET * 3)
        self.assertEqual((len(self.leaf.exchanges), self.client.producerState), (1, "paused"))
        for turn in range(3):
            self.assertEqual(len(self.leaf.exchanges), turn + 1)
            self.leaf.exchanges[turn].respond(200, [], b"%d" % turn)
        self.assertEqual([body for _, _, body in self.answer()], [b"0", b"1", b"2"])
        self.assertEqual(self.client.producerState, "producing")

    def test_manyPipelinedRequests(self) -> None:
        """Ten thousand requests in one write are answered, without deep recursion."""
        leaf = EchoLeafRouter()
        limits = with_limits(connection_requests=20_000)
        protocol, client = Scene(leaf, limits).connect()
        protocol.dataReceived(GET * 10_000)
        self.assertEqual(len(split_answers(client.value())), 10_000)

    def test_bodyBackpressure(self) -> None:
        """A paused body stays with the client; it comes in order afterwards."""
        self.protocol.dataReceived(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nab")
        exchange = self.leaf.exchanges[0]
        exchange.pause_body()
        self.protocol.dataReceived(b"cd")
        self.assertEqual((self.leaf.heard, self.client.producerState), ([b"ab"], "paused"))
        exchange.resume_body()
        self.protocol.dataReceived(b"ef")
        self.assertEqual(self.leaf.heard, [b"ab", b"cd", b"ef", "end"])
        self.assertEqual(self.client.producerState, "producing")

    def test_answerBeforeTheBody(self) -> None:
        """An answer to a request that is not complete is the last; the rest is not a request."""
        self.protocol.dataReceived(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 600\r\n\r\n")
        self.leaf.exchanges[0].refuse("forbidden")
        self.assertEqual(self.answer()[0][1][b"connection"], b"close")
        self.protocol.dataReceived(GET)
        self.assertEqual((len(self.leaf.exchanges), self.client.value()), (1, b""))
        self.scene.pass_time(LINGER + 2)
        self.assertFalse(self.client.connected)

    def test_lingeringIsBounded(self) -> None:
        """A client that goes on sending after a refusal is cut off."""
        self.protocol.dataReceived(b"garbage\r\n\r\n")
        self.assertTrue(self.client.half_closed)
        for _ in range(LINGER_SIZE // 16384 + 1):
            self.protocol.dataReceived(b"x" * 16384)
        self.assertFalse(self.client.connected)

    def test_undrainedBody(self) -> None:
        """A body that no leaf asked for is read away when all of it has come."""
        leaf = Waiting()
        leaf.answer = lambda exchange: exchange.respond(200, [], b"ok")  # type: ignore[method-assign]
        protocol, client = Scene(leaf).connect()
        post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 34\r\n\r\n" + b"x" * 34
        protocol.dataReceived(post + GET)
        answers = split_answers(client.value())
        self.assertEqual([status for status, _, _ in answers], [200, 200])

    def test_bodyTooLarge(self) -> None:
        """A body in chunks that grows over the limit is refused, and its receiver told."""
        self.scene.entrance.limits = with_limits(body_size=10)
        self.protocol.dataReceived(
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n"
        )
        self.protocol.dataReceived(b"8\r\n12345678\r\n")
        self.assertEqual(self.leaf.heard, [b"12345678", "gone"])
        self.assertEqual(self.answer()[0][0], 413)
        self.assertTrue(self.client.ended)

    def test_clientLeaves(self) -> None:
        """A client that goes is told of once, and logged as gone."""
        self.protocol.dataReceived(GET)
        self.protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.leaf.heard, ["end", "gone"])
        exchange = self.leaf.exchanges[0]
        exchange.respond(200, [], b"late")
        exchange.abort()
        self.assertEqual([(e.status, e.whole) for e in self.scene.recorded], [(499, False)])

    def test_halfClose(self) -> None:
        """Half closing means giving up, unless the answer is already on its way."""
        self.protocol.dataReceived(GET)
        self.leaf.exchanges[0].begin(200, [], 5)
        self.protocol.readConnectionLost()
        self.assertTrue(self.client.connected)
        self.leaf.exchanges[0].write(b"hello")
        self.leaf.exchanges[0].finish()
        self.assertFalse(self.client.connected)
        protocol, client = self.scene.connect()
        protocol.dataReceived(GET)
        protocol.readConnectionLost()
        self.assertEqual((self.leaf.heard[-1], client.connected), ("gone", False))

    def test_failingLeaf(self) -> None:
        """A leaf that raises is logged, the client gets 500 without its text."""
        leaf = Waiting()
        leaf.answer = lambda exchange: 1 / 0  # type: ignore[assignment]
        protocol, client = Scene(leaf).connect()
        protocol.dataReceived(GET)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        status, _, body = split_answers(client.value())[0]
        self.assertEqual(status, 500)
        self.assertNotIn(b"division", body)

    def test_unknownHost(self) -> None:
        """The router's word for what is missing is the answer; the connection lives on."""
        scene = Scene(lambda exchange: "unknown_host")
        protocol, client = scene.connect()
        protocol.dataReceived(GET + GET)
        self.assertEqual([a[0] for a in split_answers(client.value())], [404, 404])
        self.assertEqual(scene.counters["refused_unknown_host"], 2)


class TimeTests(SynchronousTestCase):
    """Who is too slow."""

    def setUp(self) -> None:
        self.leaf = Waiting()
        self.scene = Scene(self.leaf)
        self.protocol, self.client = self.scene.connect()

    def test_slowHeader(self) -> None:
        """A head has ten seconds from its first byte, however busily it trickles."""
        self.protocol.dataReceived(GET[:20])
        for byte in GET[20:31]:
            self.scene.pass_time(1)
            self.protocol.dataReceived(bytes([byte]))
        self.assertEqual(split_answers(self.client.value())[0][0], 408)
        self.assertEqual(self.scene.counters["refused_header_timeout"], 1)

    def test_slowSecondHeader(self) -> None:
        """So has one that began while the request before was being answered."""
        self.protocol.dataReceived(GET + GET[:10])
        self.leaf.exchanges[0].respond(200, [], b"")
        self.scene.pass_time(11)
        self.assertEqual([a[0] for a in split_answers(self.client.value())], [200, 408])

    def test_idle(self) -> None:
        """A connection without a request ends after a minute, without a word."""
        self.protocol.dataReceived(GET)
        self.scene.pass_time(100)
        self.assertTrue(self.client.connected)
        self.leaf.exchanges[0].respond(200, [], b"")
        self.client.clear()
        self.scene.pass_time(59)
        self.assertTrue(self.client.connected)
        self.scene.pass_time(3)
        self.assertEqual((self.client.connected, self.client.value()), (False, b""))

    def test_slowBody(self) -> None:
        """A body that stops for thirty seconds is refused."""
        post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n"
        self.protocol.dataReceived(post)
        self.scene.pass_time(25)
        piece = b"x" * 16_000
        self.protocol.dataReceived(piece)
        self.scene.pass_time(25)
        self.assertEqual(self.leaf.heard, [piece])
        self.scene.pass_time(12)
        self.assertEqual(self.leaf.heard, [piece, "gone"])
        self.assertEqual(split_answers(self.client.value())[0][0], 408)

    def test_leafsLimits(self) -> None:
        """From when it is routed, a request has the limits of what answers it."""
        self.leaf.limits = with_limits(body_size=20, body_timeout=5, write_timeout=100)
        self.scene.entrance.limits = with_limits(body_size=10)
        post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
        self.protocol.dataReceived(post % 20 + b"x" * 20)
        self.assertEqual(self.leaf.heard, [b"x" * 20, "end"])
        self.leaf.exchanges[0].respond(200, [], b"x" * 1000)
        self.client.unsent = 1000
        self.scene.pass_time(90)
        self.assertFalse(self.client.aborted)
        self.client.unsent = 0
        self.client.clear()
        self.protocol.dataReceived(post % 20 + b"x" * 9)
        self.scene.pass_time(11)
        self.assertEqual(split_answers(self.client.value())[0][0], 408)

    def test_largeForTheLeaf(self) -> None:
        """One that is too large for it gets no 100 Continue, and comes to no leaf; 0 is any."""
        large = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n"
        self.scene.entrance.limits = with_limits(body_size=20)
        for limits in (with_limits(body_size=10), None, with_limits(body_size=0)):
            self.leaf.limits = limits
            protocol, client = self.scene.connect()
            protocol.dataReceived(large + b"Expect: 100-continue\r\n\r\n")
            fits = bool(limits) and not limits.body_size
            expected = b"HTTP/1.1 100" if fits else b"HTTP/1.1 413"
            self.assertTrue(client.value().startswith(expected), client.value())
            self.assertEqual(client.half_closed, not fits)
            self.assertEqual(len(self.leaf.exchanges), fits)
        self.assertEqual(self.scene.counters["refused_too_large"], 2)
        self.assertEqual([each.cause for each in self.scene.recorded], ["too_large"] * 2)

    def test_requestThatTakesTooLong(self) -> None:
        """Where a leaf bounds the whole time, it is over then, whatever was happening."""
        self.leaf.limits = with_limits(request_timeout=2)
        self.protocol.dataReceived(GET)
        self.scene.pass_time(1.5)
        self.assertEqual(self.client.value(), b"")
        self.scene.pass_time(2)
        self.assertEqual(split_answers(self.client.value())[0][0], 504)
        self.assertEqual(self.leaf.heard, ["end", "gone"])
        self.assertEqual(self.scene.recorded[0].cause, "request_timeout")
        for answered in (False, True):
            protocol, client = self.scene.connect()
            protocol.dataReceived(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
            if answered:
                self.leaf.exchanges[-1].begin(200, [], None)
                self.leaf.exchanges[-1].write(b"part")
            for _ in range(4):
                self.scene.pass_time(1)
                protocol.dataReceived(b"x")
            self.assertEqual(client.aborted, answered)
            self.assertEqual(client.value()[:12], b"HTTP/1.1 200" if answered else b"HTTP/1.1 504")
            line = self.scene.recorded[-1]
            self.assertEqual((line.cause, line.whole), ("request_timeout", not answered))  # type: ignore[attr-defined]
            # also whoever was answering
            self.assertEqual(self.leaf.heard[-1], "gone")
        self.assertEqual(self.scene.counters["refused_request_timeout"], 3)

    def test_requestsInTime(self) -> None:
        """The time is one request's, not the connection's."""
        self.leaf.limits = with_limits(request_timeout=2)
        for _ in range(4):
            self.protocol.dataReceived(GET)
            self.scene.pass_time(1)
            self.leaf.exchanges[-1].respond(200, [], b"ok")
            self.scene.pass_time(1)
        self.leaf.limits = None
        self.protocol.dataReceived(GET)
        self.scene.pass_time(10)
        self.leaf.exchanges[-1].respond(200, [], b"ok")
        statuses = [answer[0] for answer in split_answers(self.client.value())]
        self.assertEqual(statuses, [200] * 5)

    def test_tricklingBody(self) -> None:
        """So is one that comes byte by byte; unless any rate will do."""
        post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n"
        for rate in (500.0, 0.0):
            self.scene.entrance.limits = with_limits(body_rate=rate)
            protocol, client = self.scene.connect()
            protocol.dataReceived(post)
            for _ in range(40):
                self.scene.pass_time(3)
                if client.connected:
                    protocol.dataReceived(b"x")
            self.assertEqual(client.connected, rate == 0.0)
        self.assertEqual(self.scene.counters["refused_body_timeout"], 1)

    def test_pausedBodyIsNotSlow(self) -> None:
        """A body that we do not read is not late."""
        self.protocol.dataReceived(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n")
        self.leaf.exchanges[0].pause_body()
        self.scene.pass_time(100)
        self.assertEqual(self.leaf.heard, [])

    def test_stalledReader(self) -> None:
        """A client that takes nothing for a minute is cut off; one that takes enough is not."""
        self.protocol.dataReceived(GET)
        self.leaf.exchanges[0].respond(200, [], b"x" * 100_000)
        for unsent in (90_000, 70_000, 50_000, 30_000):
            self.client.unsent = unsent
            self.scene.pass_time(50)
        self.assertTrue(self.client.connected)
        self.scene.pass_time(75)
        self.assertTrue(self.client.aborted)
        self.assertEqual(self.scene.counters["http_write_stalled"], 1)

    def test_enoughRequests(self) -> None:
        """After so many requests, or when it is old, a connection is ended by its next answer."""
        leaf = EchoLeaf()
        scene = Scene(lambda _: leaf, with_limits(connection_requests=3))
        protocol, client = scene.connect()
        for number in (1, 2, 3):
            protocol.dataReceived(GET)
            ((status, fields, _),) = split_answers(client.value())
            client.clear()
            self.assertEqual((status, b"connection" in fields), (200, number == 3))
        self.assertFalse(client.connected)

    def test_oldConnection(self) -> None:
        """None lives for more than 1.1 times the age that is set, however busy it is."""
        leaf = EchoLeaf()
        scene = Scene(lambda _: leaf, with_limits(connection_age=600.0))
        protocol, client = scene.connect()
        protocol.dataReceived(GET)
        while client.connected and scene.clock.seconds() < 1000:
            scene.pass_time(50)
            protocol.dataReceived(GET)
        self.assertTrue(540 <= scene.clock.seconds() <= 700, scene.clock.seconds())
        self.assertEqual(split_answers(client.value())[-1][1][b"connection"], b"close")

    def test_tricklingReader(self) -> None:
        """One that takes an answer byte by byte is cut off too, unless any rate will do."""
        for rate in (250.0, 0.0):
            self.scene.entrance.limits = with_limits(read_rate=rate)
            protocol, client = self.scene.connect()
            protocol.dataReceived(GET)
            self.leaf.exchanges[-1].respond(200, [], b"x" * 1000)
            for unsent in range(1000, 970, -1):
                client.unsent = unsent
                self.scene.pass_time(5)
            self.assertEqual(client.aborted, rate > 0)
        self.assertEqual(self.scene.counters["http_write_stalled"], 1)

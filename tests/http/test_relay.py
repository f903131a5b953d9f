"""Requests through the data path: a client's protocol in front, an app behind."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.exchange import MOUTHFUL
from hostedge.http.h2_outflow import CROWDED
from hostedge.http.pool_backend import PoolBackend
from hostedge.http.relay import PIECE, Relay
from hostedge.model.site import Pool, Server
from hostedge.settings import Limits
from tests.http.h2_parts import PREFACE, H2Scene, frame
from tests.http.h2_parts import request as h2_request
from tests.http.network import Network, PlayedApp, is_ended, make_means, received
from tests.http.parts import Scene, split_answers

GET = b"GET /a?b HTTP/1.1\r\nHost: a.test:80\r\nUser-Agent: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-App: 1\r\n\r\nhello"


def post(body: bytes, *fields: bytes) -> bytes:
    lines = b"".join(field + b"\r\n" for field in fields)
    head = b"POST /p HTTP/1.1\r\nHost: a.test\r\n" + lines
    return head + b"Content-Length: %d\r\n\r\n" % len(body) + body


class Stage:
    """One client, one relay, one server of one pool."""

    def __init__(self, buffer: str, limits: Limits | None = None, maxconn: int = 2) -> None:
        self.network = Network()
        self.app = PlayedApp()
        self.means = make_means(self.network, limits)
        pool = Pool("p", (Server(self.app.address),), maxconn=maxconn, queue=10)
        self.backend = PoolBackend("demo/p", pool, self.means)
        self.relay = Relay(
            self.backend, buffer, self.means.limits, self.means.counters, self.means.disk
        )
        self.scene = Scene(lambda exchange: self.relay, limits)
        self.scene.entrance.wheel = self.scene.wheel = self.means.wheel
        self.protocol, self.client = self.scene.connect()

    def ask(self, data: bytes) -> None:
        self.protocol.dataReceived(data)
        self.network.turn()

    def answer(self, connection: socket.socket, data: bytes) -> None:
        connection.sendall(data)
        self.network.turn()

    def answers(self) -> list[tuple[int, dict[bytes, bytes], bytes]]:
        text = self.client.value()
        self.client.clear()
        return split_answers(text)

    @property
    def taken(self) -> int:
        return self.backend.places.taken

    def close(self) -> None:
        for connection in list(self.backend.lanes[0].upstream.open):
            connection.transport.abortConnection()
        self.network.turn()
        self.app.close()


class RelayCase(SynchronousTestCase):
    """Tests that need a stage."""

    buffer = "spool"

    def stage(self, buffer: str = "", **options: Any) -> Stage:
        stage = Stage(buffer or self.buffer, **options)
        self.addCleanup(stage.close)
        return stage


class SimpleTests(RelayCase):
    """What every request goes through."""

    def test_thereAndBack(self) -> None:
        """The app sees one clean head, the client one answer in one write; the line is kept."""
        stage = self.stage()
        stage.ask(GET)
        served = stage.app.accept()
        self.assertEqual(
            received(served),
            b"GET /a?b HTTP/1.1\r\nHost: a.test:80\r\nUser-Agent: x\r\n"
            b"X-Forwarded-For: 192.168.1.1\r\nX-Real-IP: 192.168.1.1\r\n"
            b"X-Forwarded-Proto: http\r\nX-Forwarded-Port: 12345\r\nVia: 1.1 hostedge\r\n"
            b"CDN-Loop: hostedge\r\nX-Forwarded-Host: a.test:80\r\nX-Request-ID: the-id\r\n"
            b"traceparent: 00-theid--00\r\n\r\n",
        )
        writes: list[bytes] = []
        stage.client.write = writes.append  # type: ignore[method-assign]
        stage.answer(served, OK)
        self.assertEqual(len(writes), 1)
        status, fields, body = split_answers(writes[0])[0]
        self.assertEqual((status, body, fields[b"x-app"]), (200, b"hello", b"1"))
        stage.ask(GET)
        self.assertTrue(stage.app.nobody_waits)
        self.assertIn(b"GET /a?b", received(served))
        self.assertEqual(stage.means.counters["upstream_reused"], 1)

    def test_fieldsOfThisHopStayHere(self) -> None:
        """Hop-by-hop fields and claims of identity do not pass, what Connection names neither."""
        stage = self.stage()
        stage.ask(
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Drop, Cookie\r\nX-Drop: 1\r\n"
            b"Cookie: c\r\nTE: trailers\r\nUpgrade: h2c\r\nX-Forwarded-For: 6.6.6.6\r\n"
            b"X_Forwarded_For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nVia: 1.0 x\r\n"
            b"X-HTTP-Method-Override: DELETE\r\nCDN-Loop: other\r\n\r\n"
        )
        self.assertEqual(stage.scene.counters["fields_dropped"], 1)
        head = received(served := stage.app.accept())
        for gone in (
            b"X-Drop",
            b"TE:",
            b"Upgrade",
            b"6.6.6.6",
            b"Connection",
            b"Forwarded:",
            b"Over",
        ):
            self.assertNotIn(gone, head)
        for kept in (b"Cookie: c\r\n", b"Via: 1.0 x\r\n", b"Via: 1.1 hostedge\r\n"):
            self.assertIn(kept, head)
        # RFC 8586 section 2: nobody may take it away
        for kept in (b"CDN-Loop: other\r\n", b"CDN-Loop: hostedge\r\n"):
            self.assertIn(kept, head)
        stage.answer(
            served,
            b"HTTP/1.1 200 OK\r\nConnection: X-Gone\r\nX-Gone: 1\r\nServer: s\r\nDate: d\r\n"
            b"Keep-Alive: timeout=9\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n",
        )
        fields = stage.answers()[0][1]
        self.assertEqual(fields[b"set-cookie"], b"a=b")
        self.assertNotIn(b"x-gone", fields)
        self.assertNotIn(b"server", fields)
        self.assertNotIn(b"keep-alive", fields)
        self.assertEqual(stage.backend.lanes[0].upstream.idle_life, 8.0)

    def test_dotSegments(self) -> None:
        """A path with dot segments goes on in the form that it was judged by."""
        stage = self.stage()
        stage.ask(b"GET /x/../a%2Fb/%7Ec HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertTrue(received(stage.app.accept()).startswith(b"GET /a%2Fb/~c HTTP/1.1\r\n"))

    def test_head(self) -> None:
        """An answer to HEAD has the length of the body and no body; the line is kept."""
        stage = self.stage()
        for _ in range(2):
            stage.ask(GET.replace(b"GET", b"HEAD"))
            if not stage.app.accepted:
                stage.app.accept()
            stage.answer(stage.app.accepted[0], OK.removesuffix(b"hello"))
            text = stage.client.value()
            stage.client.clear()
            self.assertIn(b"Content-Length: 5\r\n", text)
            self.assertTrue(text.endswith(b"\r\n\r\n"))
        self.assertEqual(stage.taken, 0)

    def test_withoutBody(self) -> None:
        """204 and 304 end with their head; a 100 before it is swallowed."""
        stage = self.stage()
        for status in (b"204 No Content", b"304 Not Modified"):
            stage.ask(GET)
            if not stage.app.accepted:
                stage.app.accept()
            stage.answer(
                stage.app.accepted[0],
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 " + status + b"\r\nETag: x\r\n\r\n",
            )
            self.assertIn(b"HTTP/1.1 " + status, stage.client.value())
            self.assertNotIn(b"100", stage.client.value())
            stage.client.clear()
        self.assertEqual(stage.taken, 0)

    def test_earlyHints(self) -> None:
        """A 103 passes to a browser, as soon as it comes; what is this hop's stays here."""
        hints = (
            b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: X-Hop\r\n"
            b"X-Hop: 1\r\nServer: x\r\n\r\n"
        )
        passed = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
        stage = self.stage()
        browser = GET.replace(b"\r\n\r\n", b"\r\nSec-Fetch-Mode: navigate\r\n\r\n")
        stage.ask(browser)
        connection = stage.app.accept()
        stage.answer(connection, hints + hints[:20])
        self.assertEqual(stage.client.value(), passed)
        stage.answer(connection, hints[20:] + OK)
        self.assertTrue(stage.client.value().startswith(passed * 2 + b"HTTP/1.1 200 OK\r\n"))
        stage.client.clear()
        for request in (GET, browser.replace(b"HTTP/1.1", b"HTTP/1.0")):
            stage.ask(request)
            stage.answer(connection, hints + OK)
            self.assertNotIn(b"103", stage.client.value(), request)
            self.assertIn(b"200 OK", stage.client.value(), request)
            stage.client.clear()
        self.assertEqual(stage.taken, 0)

    def test_hintsThatAreNone(self) -> None:
        """Early hints that break the protocol, or never end, fail the request."""
        for hints in (
            b"HTTP/1.1 103 Early Hints\r\nConnection: a b\r\nContent-Length: x\r\n\r\n",
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 2000,
        ):
            stage = self.stage()
            stage.ask(GET)
            connection = stage.app.accept()
            with contextlib.suppress(OSError):
                stage.answer(connection, hints)
            stage.network.turn(50)
            self.assertEqual([status for status, _, _ in stage.answers()], [502])
            self.assertEqual(stage.taken, 0)

    def test_logged(self) -> None:
        """The exchange knows where it was answered and how long that took."""
        stage = self.stage()
        stage.ask(GET)
        stage.answer(stage.app.accept(), OK)
        ended = stage.scene.recorded[0]
        self.assertEqual((ended.status, ended.sent, ended.upstream), (200, 5, stage.app.address))
        self.assertGreater(ended.first_byte, 0)


RESPONSES = (
    (b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n" + b"0123456789" * 4, False),
    (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"A\r\n0123456789\r\n14;x\r\n01234567890123456789\r\na\r\n0123456789\r\n0\r\nT: x\r\n\r\n",
        False,
    ),
    (b"HTTP/1.1 200 OK\r\n\r\n" + b"0123456789" * 4, True),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 40\r\n\r\n" + b"0123456789" * 4, False),
)


def body_of(text: bytes) -> bytes:
    """The body of the only answer, whatever its framing."""
    head, _, rest = text.partition(b"\r\n\r\n")
    if b"chunked" not in head:
        return rest
    body = b""
    while True:
        size, _, rest = rest.partition(b"\r\n")
        count = int(size, 16)
        if not count:
            assert rest == b"\r\n", rest
            return body
        body, rest = body + rest[:count], rest[count + 2 :]


class FramingTests(RelayCase):
    """The same body, however the response is framed and cut."""

    @settings(max_examples=40, deadline=None)
    @given(
        st.sampled_from(RESPONSES),
        st.lists(st.integers(1, 120), max_size=6),
        st.sampled_from(["spool", "stream"]),
        st.lists(st.booleans(), min_size=8, max_size=8),
    )
    def test_anyCut(
        self, response: tuple[bytes, bool], cuts: list[int], buffer: str, pauses: list[bool]
    ) -> None:
        """Cut anywhere, with a client that pauses anywhere, it arrives whole, once."""
        stage = Stage(buffer, evolve(Limits(), spool_memory=5, spool_disk=20))
        try:
            text, until_close = response
            stage.ask(GET)
            served = stage.app.accept()
            borders = [0, *sorted(c for c in cuts if c < len(text)), len(text)]
            pieces = zip(borders, borders[1:], strict=False)
            for (start, end), pause in zip(pieces, [*pauses, False], strict=False):
                producer = stage.client.producer
                if producer is not None:
                    producer.pauseProducing() if pause else producer.resumeProducing()
                stage.answer(served, text[start:end])
            if until_close:
                # closed with the request unread it would be a reset, and no end to believe
                received(served)
                served.close()
            for _ in range(20):
                if stage.client.producer is not None:
                    stage.client.producer.resumeProducing()
                stage.network.turn()
            self.assertEqual(body_of(stage.client.value()), b"0123456789" * 4)
            self.assertEqual(stage.taken, 0)
            self.assertFalse(stage.client.aborted)
        finally:
            stage.close()

    def test_wrongResponses(self) -> None:
        """What is not a response that we asked for is a 502, and the connection is gone."""
        ok = b"HTTP/1.1 200 OK\r\n"
        for text in (
            b"SSH-2.0-x\r\n",
            b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/0.9 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 O\x1bK\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 404 a\x7f\r\nContent-Length: 0\r\n\r\n",
            b"\r\n" + ok + b"Content-Length: 0\r\n\r\n",
            b"\n" + ok + b"Content-Length: 0\r\n\r\n",
            ok + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            ok + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            ok + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            ok + b"Transfer-Encoding: gzip\r\n\r\n0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
            b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
            b"HTTP/1.1 99 Low\r\n\r\n",
            b"HTTP/1.1 600 High\r\nContent-Length: 0\r\n\r\n",
            ok + b"X: a\r\n b\r\nContent-Length: 0\r\n\r\n",
            ok + b"X: a\x00b\r\nContent-Length: 0\r\n\r\n",
            ok + b"X: " + b"a" * 70_000,
            # a head of two reads, whose end is in the second one
            ok + (b"X: " + b"a" * 30_000 + b"\r\n") * 4 + b"Content-Length: 0\r\n\r\n",
            b"HTTP/1.1 103 X\r\nLink: " + b"a" * 70_000 + b"\r\n\r\n" + ok + b"\r\n",
            ok + b"X: 1\r\n" * 300 + b"Content-Length: 0\r\n\r\n",
        ):
            stage = Stage("spool")
            stage.ask(GET)
            served = stage.app.accept()
            stage.answer(served, text)
            stage.network.turn(5)
            status, fields, _ = stage.answers()[0]
            self.assertEqual((status, fields[b"x-hostedge-reason"]), (502, b"bad_response"), text)
            self.assertTrue(is_ended(served))
            self.assertEqual(stage.taken, 0)
            stage.close()

    def test_largeHeads(self) -> None:
        """Within the limit, the mapping's own, a head may come in pieces and with a large body."""
        large = b"HTTP/1.1 200 OK\r\nX: %b\r\nContent-Length: 100000\r\n\r\n" % (b"a" * 60_000)
        larger = large.replace(b"\r\nC", b"\r\nY: " + b"b" * 99_999 + b"\r\nC")
        for more, head in ((0, large), (262_144, larger)):
            stage = Stage("stream")
            self.addCleanup(stage.close)
            if more:
                stage.relay.limits = evolve(stage.relay.limits, response_head_size=more)
            stage.ask(GET)
            served, text = stage.app.accept(), head + b"b" * 100_000
            while text:
                text = text[served.send(text) :]
                stage.network.turn(5)
            self.assertEqual(stage.answers()[0][::2], (200, b"b" * 100_000))

    def test_moreThanAsked(self) -> None:
        """A second response that nobody asked for ends the connection, not the first response."""
        stage = self.stage()
        stage.ask(GET)
        served = stage.app.accept()
        stage.answer(served, OK + OK)
        self.assertEqual([a[2] for a in stage.answers()], [b"hello"])
        self.assertTrue(is_ended(served))

    def test_bytesWhileIdle(self) -> None:
        """Bytes on an idle connection end it; the next request gets another one."""
        stage = self.stage()
        stage.ask(GET)
        served = stage.app.accept()
        stage.answer(served, OK)
        stage.answer(served, OK)
        self.assertEqual(stage.means.counters["upstream_idle_bytes"], 1)
        stage.ask(GET)
        stage.answer(stage.app.accept(), OK.replace(b"hello", b"other"))
        self.assertEqual([a[2] for a in stage.answers()], [b"hello", b"other"])


class FailureTests(RelayCase):
    """What breaks, and what the client sees of it."""

    def test_diesInMidResponse(self) -> None:
        """An answer that breaks off is aborted, never ended cleanly."""
        for buffer in ("spool", "stream"):
            stage = self.stage(buffer)
            stage.ask(GET)
            served = stage.app.accept()
            stage.answer(served, OK[:-2])
            served.close()
            stage.network.turn()
            self.assertTrue(stage.client.aborted)
            self.assertEqual((stage.taken, stage.scene.recorded[0].whole), (0, False))

    def test_reusedConnectionEnds(self) -> None:
        """GET goes once more on a new connection; POST is a 502, for it may have been done."""
        for request, wanted in ((GET, 200), (post(b"x"), 502)):
            stage = self.stage()
            stage.ask(GET)
            served = stage.app.accept()
            stage.answer(served, OK)
            stage.ask(request)
            received(served)
            served.close()
            stage.network.turn()
            if wanted == 200:
                stage.answer(stage.app.accept(), OK)
            self.assertEqual([a[0] for a in stage.answers()], [200, wanted])
            self.assertEqual(stage.taken, 0)

    def test_emptyChunksAgain(self) -> None:
        """What was announced in chunks and had none is whole when it is sent once more, too."""
        stage = self.stage("stream")
        stage.ask(GET)
        served = stage.app.accept()
        stage.answer(served, OK)
        stage.ask(b"PUT /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
        self.assertTrue(received(served).endswith(b"\r\n\r\n0\r\n\r\n"))
        served.close()
        stage.network.turn()
        head = received(stage.app.accept())
        self.assertNotIn(b"Transfer-Encoding", head)
        self.assertTrue(head.endswith(b"\r\nContent-Length: 0\r\n\r\n"), head)

    def test_bodyThatMeansNothing(self) -> None:
        """A GET with a body is not sent again once it was; without one it is, on any connection."""
        for body, wanted in ((b"", 200), (b"x", 502)):
            for buffer in ("spool", "stream"):
                for used_before in (True, False):
                    stage = self.stage(buffer)
                    if used_before:
                        stage.ask(GET)
                        stage.answer(stage.app.accept(), OK)
                        stage.answers()
                    stage.ask(post(body).replace(b"POST", b"GET"))
                    if not used_before:
                        stage.app.accept()
                    served = stage.app.accepted[0]
                    received(served)
                    served.close()
                    stage.network.turn()
                    self.assertIs(stage.app.nobody_waits, wanted != 200)
                    if wanted == 200:
                        stage.answer(stage.app.accept(), OK)
                    self.assertEqual([a[0] for a in stage.answers()], [wanted])

    def test_strangeReasons(self) -> None:
        """Other words than ours beside a status are no fault, nor are bytes over 127 or none."""
        for line in (b"200 Fine\tby me", b"200 \xe9", b"200 ", b"200"):
            stage = self.stage()
            stage.ask(GET)
            stage.answer(stage.app.accept(), b"HTTP/1.1 " + line + b"\r\nContent-Length: 0\r\n\r\n")
            self.assertEqual([a[0] for a in stage.answers()], [200], line)

    def test_postWantsAFreshConnection(self) -> None:
        """A connection that was idle for a while is not used for a POST."""
        stage = self.stage()
        stage.ask(GET)
        stage.answer(stage.app.accept(), OK)
        stage.network.pass_time(2.5)
        stage.ask(post(b"x"))
        self.assertFalse(stage.app.nobody_waits)

    def test_idleConnectionsEndBeforeTheAppEndsThem(self) -> None:
        """After four seconds of idleness a connection is gone."""
        stage = self.stage()
        stage.ask(GET)
        served = stage.app.accept()
        stage.answer(served, OK)
        stage.network.pass_time(3.5)
        self.assertFalse(is_ended(served))
        stage.network.pass_time(2)
        self.assertTrue(is_ended(served))

    def test_nobodyListens(self) -> None:
        """Where no server can be connected to, nobody is there, also for a POST."""
        stage = self.stage()
        stage.app.close()
        for request in (GET, post(b"x")):
            stage.ask(request)
            self.assertEqual(stage.answers()[0][1][b"x-hostedge-reason"], b"no_server")
        self.assertEqual(stage.taken, 0)

    def test_noResponse(self) -> None:
        """A request without a response is a 504 after a minute."""
        stage = self.stage()
        stage.ask(GET)
        served = stage.app.accept()
        stage.network.pass_time(62)
        self.assertEqual(stage.answers()[0][0], 504)
        self.assertTrue(is_ended(served))
        self.assertEqual(stage.taken, 0)

    def test_mappingsTimes(self) -> None:
        """Until the head and from then on are two times, and each mapping's own."""
        stage = self.stage()
        node = stage.relay.limits
        stage.relay.limits = evolve(node, response_timeout=5.0, response_idle=100.0)
        stage.ask(GET)
        connection = stage.app.accept()
        stage.network.pass_time(7)
        self.assertEqual(stage.answers()[0][0], 504)
        self.assertTrue(is_ended(connection))
        stage.protocol, stage.client = stage.scene.connect()
        stage.ask(GET)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
        connection = stage.app.accept()
        stage.answer(connection, head + b"part")
        stage.network.pass_time(90)
        stage.answer(connection, b" rest")
        self.assertEqual([answer[::2] for answer in stage.answers()], [(200, b"part rest")])
        stage.relay.limits = evolve(node, response_timeout=100.0, response_idle=5.0)
        stage.ask(GET)
        stage.network.pass_time(90)
        stage.answer(connection, head + b"part")
        stage.network.pass_time(7)
        self.assertTrue(stage.client.aborted)

    def test_clientLeaves(self) -> None:
        """Who is gone leaves the line, the place and the app's connection."""
        for buffer in ("spool", "stream"):
            stage = self.stage(buffer, maxconn=1)
            stage.ask(GET)
            served = stage.app.accept()
            second, _ = stage.scene.connect()
            second.dataReceived(GET)
            third, client = stage.scene.connect()
            third.dataReceived(GET)
            self.assertEqual(len(stage.backend.places), 2)
            second.connectionLost(Failure(ConnectionLost()))
            self.assertEqual(len(stage.backend.places), 1)
            stage.protocol.connectionLost(Failure(ConnectionLost()))
            stage.network.turn()
            received(served)
            self.assertTrue(is_ended(served))
            stage.answer(stage.app.accept(), OK)
            self.assertEqual(split_answers(client.value())[0][0], 200)
            self.assertEqual(stage.taken, 0)


class SpoolTests(RelayCase):
    """Complete requests in, responses that wait for their client."""

    def test_nothingBeforeTheEnd(self) -> None:
        """The app sees nothing of a request that is not complete; then it has a length."""
        stage = self.stage()
        stage.ask(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        self.assertTrue(stage.app.nobody_waits)
        stage.ask(b"2\r\nde\r\n0\r\n\r\n")
        text = received(stage.app.accept())
        self.assertIn(b"Content-Length: 5\r\n", text)
        self.assertTrue(text.endswith(b"\r\n\r\nabcde"))

    def test_refusedBeforeTheBody(self) -> None:
        """Who asks before sending a body hears at once that there is no room, and sends none."""
        stage = self.stage(maxconn=1)
        stage.backend.places.limit = 1
        asking = post(b"", b"Expect: 100-continue").replace(b"Length: 0", b"Length: 5")
        for said in (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 503 "):
            protocol, client = stage.scene.connect()
            protocol.dataReceived(asking)
            self.assertTrue(client.value().startswith(said), client.value())
            if said.endswith(b"503 "):
                self.assertIn(b"X-Hostedge-Reason: queue_full", client.value())
                self.assertTrue(client.ended)
            for _ in range(2):
                stage.scene.connect()[0].dataReceived(GET)

    def test_largeBody(self) -> None:
        """A body larger than memory goes through a file, as fast as the app takes it."""
        stage = self.stage(limits=evolve(Limits(), spool_memory=1000))
        body = bytes(range(256)) * 2000
        for start in range(0, len(data := post(body)), 16384):
            stage.protocol.dataReceived(data[start : start + 16384])
        served = stage.app.accept()
        text = b""
        for _ in range(200):
            stage.network.turn(1)
            text += received(served)
        self.assertGreater(len(body), 3 * PIECE)
        self.assertEqual(text.partition(b"\r\n\r\n")[2], body)
        stage.answer(served, OK)
        self.assertEqual(stage.answers()[0][0], 200)
        stage.ask(GET)
        self.assertIn(b"GET", received(served))

    def test_slowClientHoldsNoPlace(self) -> None:
        """The place is free once the response was read, though the client has not taken it."""
        stage = self.stage(limits=evolve(Limits(), spool_memory=100_000, spool_disk=2_000_000))
        stage.ask(GET)
        served = stage.app.accept()
        body = bytes(range(256)) * 4000
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
        stage.answer(served, head + body[:1000])
        stage.client.producer.pauseProducing()
        sent = 1000
        while sent < len(body):
            sent += served.send(body[sent : sent + 50_000])
            stage.network.turn()
        self.assertEqual(stage.taken, 0)
        self.assertLess(len(stage.client.value()), 2000)
        stage.client.producer.resumeProducing()
        self.assertEqual(stage.answers()[0][2], body)

    def test_moreThanTheSpoolTakes(self) -> None:
        """Beyond its limit the response waits in the app."""
        stage = self.stage(limits=evolve(Limits(), spool_memory=1000, spool_disk=5000))
        stage.ask(GET)
        served = stage.app.accept()
        stage.answer(served, b"HTTP/1.1 200 OK\r\n\r\nx")
        stage.client.producer.pauseProducing()
        stage.answer(served, b"x" * 6000)
        connection = next(iter(stage.backend.lanes[0].upstream.open))
        self.assertNotIn(connection.transport, stage.network.readers)
        stage.client.producer.resumeProducing()
        self.assertIn(connection.transport, stage.network.readers)


class StreamTests(RelayCase):
    """Bytes that pass as they come."""

    buffer = "stream"

    def test_asItComes(self) -> None:
        """Head first, then each piece, in chunks when the length is not known."""
        stage = self.stage()
        stage.ask(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        served = stage.app.accept()
        text = received(served)
        self.assertIn(b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", text)
        stage.ask(b"2\r\nde\r\n0\r\n\r\n")
        self.assertEqual(received(served), b"2\r\nde\r\n0\r\n\r\n")
        stage.answer(served, OK)
        stage.ask(post(b"xy"))
        self.assertTrue(received(served).endswith(b"Content-Length: 2\r\n\r\nxy"))
        stage.answer(served, OK)
        self.assertEqual([a[2] for a in stage.answers()], [b"hello", b"hello"])

    def test_faultBehindTheHead(self) -> None:
        """Of a request whose fault is already there no server sees a byte."""
        for line in (b"0" * 17, b"zz", b"2;" + b"x" * 300):
            stage = self.stage()
            stage.ask(
                b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
                + line
                + b"\r\n"
            )
            self.assertTrue(stage.app.nobody_waits)
            status, fields, _ = stage.answers()[0]
            self.assertEqual((status, fields[b"connection"]), (400, b"close"))
            self.assertEqual(stage.scene.counters["refused_bad_request"], 1)
            self.assertTrue(stage.client.ended)
            (ended,) = stage.scene.recorded
            self.assertEqual((ended.status, ended.cause), (400, "bad_request"))
            (kept,) = stage.scene.refusals.newest()
            self.assertTrue(kept.request.endswith(b"\r\n\r\n" + (line + b"\r\n")[:258]))

    def test_faultOfTheNext(self) -> None:
        """A fault behind a whole request is the next one's."""
        stage = self.stage()
        stage.ask(post(b"abc") + b"garbage\r\n\r\n")
        stage.answer(stage.app.accept(), OK)
        self.assertEqual([a[0] for a in stage.answers()], [200, 400])

    def test_continueWithThePlace(self) -> None:
        """`100 Continue` is sent when there is a place, not before."""
        stage = self.stage(maxconn=1)
        stage.ask(GET)
        first = stage.app.accept()
        second, client = stage.scene.connect()
        second.dataReceived(
            b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
        )
        self.assertEqual(client.value(), b"")
        stage.answer(first, OK)
        self.assertEqual(client.value(), b"HTTP/1.1 100 Continue\r\n\r\n")

    def test_slowAppHoldsTheClientBack(self) -> None:
        """An app that reads nothing stops the client's body; then it goes on."""
        stage = self.stage()
        size = 3_000_000
        stage.ask(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        served = stage.app.accept()
        left = size
        while stage.client.producerState == "producing" and left:
            stage.protocol.dataReceived(b"x" * min(left, 16000))
            left -= min(left, 16000)
        self.assertGreater(left, 0)
        got = 0
        for _ in range(1000):
            got += len(received(served))
            stage.network.turn(1)
            if stage.client.producerState == "producing" and left:
                stage.protocol.dataReceived(b"x" * min(left, 16000))
                left -= min(left, 16000)
        self.assertGreater(got, size)
        self.assertEqual(left, 0)

    def test_slowClientHoldsTheAppBack(self) -> None:
        """A client that reads nothing stops the app's response."""
        stage = self.stage()
        stage.ask(GET)
        served = stage.app.accept()
        stage.answer(served, b"HTTP/1.1 200 OK\r\n\r\nx")
        connection = next(iter(stage.backend.lanes[0].upstream.open))
        stage.client.producer.pauseProducing()
        self.assertNotIn(connection.transport, stage.network.readers)
        stage.client.producer.resumeProducing()
        self.assertIn(connection.transport, stage.network.readers)

    def test_answerBeforeTheEndOfTheRequest(self) -> None:
        """An early answer reaches the client; neither connection is used again."""
        stage = self.stage()
        stage.ask(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nabc")
        served = stage.app.accept()
        stage.answer(served, OK)
        status, fields, _ = stage.answers()[0]
        self.assertEqual((status, fields[b"connection"]), (200, b"close"))
        stage.network.turn()
        received(served)
        self.assertTrue(is_ended(served))
        self.assertEqual(stage.taken, 0)

    def test_bodyIsNotSentTwice(self) -> None:
        """Once a part of the body has gone, the request cannot be repeated, whatever its method."""
        stage = self.stage()
        stage.ask(GET)
        served = stage.app.accept()
        stage.answer(served, OK)
        stage.ask(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc")
        received(served)
        served.close()
        stage.network.turn()
        self.assertEqual([a[0] for a in stage.answers()], [200, 502])

    def test_headGoneBodyHere(self) -> None:
        """As long as nothing of the body has gone, an idempotent request is repeated whole."""
        stage = self.stage()
        stage.ask(GET)
        served = stage.app.accept()
        stage.answer(served, OK)
        stage.ask(b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
        received(served)
        served.close()
        stage.network.turn()
        other = stage.app.accept()
        stage.ask(b"abc")
        self.assertTrue(received(other).endswith(b"Content-Length: 3\r\n\r\nabc"))


class CrowdedTests(SynchronousTestCase):
    """A client of HTTP/2 that asks for much and reads nothing."""

    ASKED = 40
    BODY = bytes(range(256)) * 235

    def stage(self, buffer: str) -> Stage:
        stage = Stage(buffer, evolve(Limits(), spool_memory=100_000), maxconn=100)
        self.addCleanup(stage.close)
        scene = H2Scene(lambda exchange: stage.relay, stage.scene.limits)
        scene.entrance.wheel = scene.wheel = stage.means.wheel
        shut = frame("SETTINGS", 0, 0, b"\0\4" + bytes(4))
        self.scene, self.h2 = scene, scene.meet(PREFACE + shut)
        return stage

    def ask(self, stage: Stage) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(self.BODY)
        for number in range(self.ASKED):
            self.h2[0].dataReceived(h2_request(2 * number + 1))
            stage.network.turn()
            served = stage.app.accept()
            # some at once, some in pieces
            cut = 10 if number % 3 else len(self.BODY)
            stage.answer(served, head + self.BODY[:cut])
            stage.answer(served, self.BODY[cut:])
            served.close()

    def check(self, buffer: str) -> None:
        stage = self.stage(buffer)
        self.ask(stage)
        protocol, client, heard = self.h2
        self.assertLess(protocol.engine.waiting, CROWDED + PIECE + self.ASKED * 2 * MOUTHFUL)
        self.assertLessEqual(protocol.kept, 100_000)
        self.assertGreater(protocol.kept + stage.means.disk.size, 500_000)
        protocol.dataReceived(frame("SETTINGS", 0, 0, b"\0\4" + (1 << 30).to_bytes(4)))
        protocol.dataReceived(frame("WINDOW_UPDATE", 0, 0, (1 << 30).to_bytes(4)))
        for _ in range(20):
            stage.network.turn()
        self.scene.hear(client, heard)
        self.assertEqual(list(heard.bodies.values()), [self.BODY] * self.ASKED)
        self.assertEqual((protocol.kept, stage.means.disk.size, stage.taken), (0, 0, 0))
        self.assertEqual(stage.means.disk.files.count, 0)

    def test_spool(self) -> None:
        """Whole answers wait in memory, as far as the connection has any, and then on disk."""
        self.check("spool")

    def test_stream(self) -> None:
        """The same, where bytes pass as they come: of each answer what has come already."""
        self.check("stream")

    def test_fullDisk(self) -> None:
        """Where the disk takes nothing either, those answers are broken off, and only those."""
        stage = self.stage("spool")
        stage.means.disk.limit = 0
        self.ask(stage)
        _, client, heard = self.h2
        self.scene.hear(client, heard)
        self.assertEqual(set(heard.reset.values()), {"INTERNAL_ERROR"})
        self.assertEqual(self.scene.counters["refused_spool_full"], len(heard.reset))
        self.assertTrue(0 < len(heard.reset) < self.ASKED)
        self.assertFalse(client.ended)

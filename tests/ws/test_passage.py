"""Opening handshakes on their way."""

from __future__ import annotations

import contextlib
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.app_backend import AppBackend
from hostedge.http.onward_head import head_writer
from hostedge.http.relay import Relay
from hostedge.ipc import Woken
from hostedge.model.site import App
from hostedge.settings import Limits
from tests.http.network import received
from tests.ws.stage import REQUEST, Stage, Strictly

KEY_LINE = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"


class PassageTests(SynchronousTestCase):
    """A request until it is a WebSocket, or none."""

    def start(self, limits: Limits | None = None, **options: int) -> Stage:
        stage = Stage(limits, **options)
        self.addCleanup(stage.close)
        return stage

    def say(self, stage: Stage, request: bytes) -> object:
        client = stage.connect()
        self.addCleanup(client.close)
        client.send(request)
        stage.network.turn(6)
        return client

    def test_ownHandshake(self) -> None:
        """The app gets a key and extensions of ours, and all that is the client's besides."""
        stage = self.start()
        lines = (
            b"Origin: https://a.test\r\nCookie: a=1\r\nCookie: b=2\r\n"
            b"Sec-WebSocket-Protocol: chat, v2\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"
            b"X-Forwarded-For: 6.6.6.6\r\n"
        )
        self.say(stage, REQUEST % lines)
        head = received(stage.app.accept())
        self.assertTrue(head.startswith(b"GET /chat?a=1 HTTP/1.1\r\nHost: a.test\r\n"), head)
        self.assertTrue(head.endswith(b"\r\n\r\n"))
        for line in (
            b"Connection: Upgrade\r\n",
            b"Upgrade: websocket\r\n",
            b"Sec-WebSocket-Version: 13\r\n",
            b"Origin: https://a.test\r\n",
            b"Cookie: a=1\r\n",
            b"Cookie: b=2\r\n",
            b"Sec-WebSocket-Protocol: chat, v2\r\n",
            b"X-Forwarded-For: 192.0.2.1\r\n",
            b"Via: 1.1 hostedge\r\n",
        ):
            self.assertEqual(head.count(line), 1, line)
        self.assertEqual(head.count(b"Sec-WebSocket-Key: "), 1)
        self.assertNotIn(KEY_LINE, head)
        # over a UNIX socket compression would only cost
        self.assertNotIn(b"Extensions", head)

    def test_answerOfTheApp(self) -> None:
        """End-to-end fields of the 101 reach the client, our own accept and its subprotocol."""
        stage = self.start()
        client = self.say(stage, REQUEST % b"Sec-WebSocket-Protocol: chat, v2\r\n")
        app = stage.serve(subprotocols=["v2"])
        stage.grant(app, Set_Cookie="s=1", Server="secret")
        answer = received(client)
        self.assertTrue(answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n"), answer)
        for line in (
            b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n",
            b"Set-Cookie: s=1\r\n",
            b"Sec-WebSocket-Protocol: v2\r\n",
            b"Upgrade: websocket\r\n",
            b"Connection: Upgrade\r\n",
        ):
            self.assertEqual(answer.count(line), 1, (line, answer))
        self.assertNotIn(b"secret", answer)

    def test_headOfItsMapping(self) -> None:
        """A handshake is written as any other request of the mapping."""
        stage = self.start()
        stage.leaf.relay.make_head = head_writer(True, ("x_kept",), "b.test")
        self.say(stage, REQUEST % b"X_Kept: 1\r\nX_Other: 2\r\n")
        head = received(stage.app.accept())
        self.assertTrue(head.startswith(b"GET /chat?a=1 HTTP/1.1\r\nHost: b.test\r\n"), head)
        self.assertIn(b"\r\nForwarded: for=192.0.2.1;host=a.test;proto=http\r\n", head)
        self.assertIn(b"\r\nX_Kept: 1\r\n", head)
        self.assertNotIn(b"X_Other", head)
        self.assertEqual(head.count(b"\r\n\r\n"), 1)

    def test_strict(self) -> None:
        """What the site asks of browsers stands in the 101 as well, in place of the app's."""
        stage = self.start()
        stage.leaf = Strictly(stage.leaf)  # type: ignore[assignment]
        client = self.say(stage, REQUEST % b"")
        stage.grant(stage.serve(), Strict_Transport_Security="max-age=0")
        answer = received(client)
        self.assertTrue(answer.startswith(b"HTTP/1.1 101 "), answer)
        self.assertEqual(answer.count(b"Strict-Transport-Security: max-age=5\r\n"), 1)
        self.assertNotIn(b"max-age=0", answer)

    def test_otherAnswers(self) -> None:
        """What the app answers instead is an answer, and the connection lives on."""
        stage = self.start()
        for status in (200, 302, 401, 403, 404, 426, 503):
            client = self.say(stage, REQUEST % b"")
            app = stage.app.accept()
            received(app)
            app.send(b"HTTP/1.1 %d X\r\nX-Why: me\r\nContent-Length: 2\r\n\r\nno" % status)
            stage.network.turn(6)
            answer = received(client)
            self.assertTrue(answer.startswith(b"HTTP/1.1 %d " % status), answer)
            self.assertIn(b"X-Why: me\r\n", answer)
            self.assertTrue(answer.endswith(b"\r\n\r\nno"))
            client.send(REQUEST % b"")
            stage.network.turn(6)
            received(stage.app.accept())
        self.assertEqual(stage.backend.sockets, 0)

    def test_appThatIsGone(self) -> None:
        """It waits as any request does for an app whose end the keeper hears of after us."""
        stage = self.start()
        means = stage.backend.means
        app = AppBackend("demo/hello", App("hello", "wsgi", None), means)
        stage.leaf = stage.sockets.leaf(
            Relay(app, "stream", stage.limits, stage.counters, app.means.disk)
        )
        app.moved(1, "unix:/gone")
        client = self.say(stage, REQUEST % b"")
        keeper: Any = means.keeper
        keeper.waiting.pop().callback(Woken(1, "unix:/gone"))
        stage.network.advance(0.04)
        self.assertEqual((len(keeper.asked), received(client)), (1, b""))
        stage.network.advance(0.12)
        keeper.waiting.pop().callback(Woken(2, stage.app.address))
        stage.network.turn(6)
        stage.grant(stage.serve())
        self.assertTrue(received(client).startswith(b"HTTP/1.1 101 "))
        self.assertEqual((app.places.taken, app.sockets), (0, 1))
        app.cut("suspended")

    def test_invalid101(self) -> None:
        """One that is not the answer to our key opens nothing."""
        for lines in (
            b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b=\r\n"
            % (b"A" * 27),
            b"Upgrade: h2c\r\nConnection: Upgrade\r\n",
            b"Connection: Upgrade\r\n",
            b"",
        ):
            stage = self.start()
            client = self.say(stage, REQUEST % b"")
            app = stage.app.accept()
            received(app)
            app.send(b"HTTP/1.1 101 X\r\n%b\r\nGET / HTTP/1.1\r\n\r\n" % lines)
            stage.network.turn(6)
            self.assertTrue(received(client).startswith(b"HTTP/1.1 502 "), lines)
            self.assertEqual(stage.backend.places.taken, 0)

    def test_101WithABody(self) -> None:
        """It would be read as frames by one and as a body by another; a length of 0 is none."""
        for line, status in (
            (b"Content-Length: 5", b"502"),
            (b"Transfer-Encoding: chunked", b"502"),
            (b"Content-Length: 0", b"101"),
        ):
            stage = self.start()
            client = self.say(stage, REQUEST % b"")
            app = stage.serve()
            response = app.protocol.accept(app.events.pop(0)).serialize()
            app.unsent = response.replace(b"\r\n\r\n", b"\r\n" + line + b"\r\n\r\nhello")
            stage.turn()
            self.assertTrue(received(client).startswith(b"HTTP/1.1 %b " % status), line)
            self.assertEqual(stage.backend.places.taken, 0)

    def test_laterRequest(self) -> None:
        """A connection whose upgrade was refused serves others, and a late 101 opens nothing."""
        stage = self.start()
        client = self.say(stage, REQUEST % b"")
        app = stage.serve()
        granting = app.protocol.accept(app.events.pop(0)).serialize()
        app.unsent = b"HTTP/1.1 403 X\r\nContent-Length: 0\r\n\r\n"
        stage.turn()
        self.assertTrue(received(client).startswith(b"HTTP/1.1 403 "))
        client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        stage.network.turn(6)
        self.assertTrue(received(app.socket).startswith(b"GET / "))
        app.unsent = granting
        stage.turn()
        self.assertTrue(received(client).startswith(b"HTTP/1.1 502 "))
        self.assertEqual(stage.backend.places.taken, 0)

    def test_unwantedExtension(self) -> None:
        """An app that compresses though nobody offered it is not understood."""
        stage = self.start()
        client = self.say(stage, REQUEST % b"")
        app = stage.serve()
        stage.grant(app, Sec_WebSocket_Extensions="permessage-deflate")
        self.assertTrue(received(client).startswith(b"HTTP/1.1 502 "))
        self.assertEqual(stage.backend.places.taken, 0)

    def test_notAsked(self) -> None:
        """Other requests to the same path are relayed as ever."""
        stage = self.start()
        self.say(stage, b"GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: h2c\r\n\r\n")
        head = received(stage.app.accept())
        self.assertTrue(head.startswith(b"GET / HTTP/1.1"))
        self.assertNotIn(b"pgrade", head)

    def test_wronglyAsked(self) -> None:
        """400, and 426 with the version that is spoken; the app hears of neither."""
        stage = self.start()
        client = self.say(stage, REQUEST.replace(KEY_LINE, b"") % b"")
        self.assertTrue(received(client).startswith(b"HTTP/1.1 400 "))
        client = self.say(stage, REQUEST.replace(b"Version: 13", b"Version: 777") % b"")
        answer = received(client)
        self.assertTrue(answer.startswith(b"HTTP/1.1 426 "), answer)
        self.assertIn(b"Sec-WebSocket-Version: 13\r\n", answer)
        self.assertTrue(stage.app.nobody_waits)

    def test_earlyFrames(self) -> None:
        """What comes with the handshake waits, bounded, and is not lost."""
        stage = self.start()
        early = b"\x82\x84\x00\x00\x00\x00GET "
        client = self.say(stage, REQUEST % b"" + early)
        app = stage.serve()
        flood = early * 1_000_000
        sent = 0
        for _ in range(20):
            with contextlib.suppress(BlockingIOError):
                sent += client.send(flood[sent:])
            stage.network.turn(2)
        self.assertLess(sent, len(flood))
        (protocol,) = stage.entrance.connections
        self.assertLess(len(protocol._reader.rest), 300_000)
        stage.grant(app)
        stage.turn(60)
        self.assertEqual(app.frames[0], (2, b"GET ", True))
        self.assertEqual(len(app.frames), 1 + sent // len(early))

    def test_earlyRequest(self) -> None:
        """What comes after a handshake that was refused is a request."""
        stage = self.start()
        client = self.say(stage, REQUEST % b"" + b"GET /next HTTP/1.1\r\nHost: a.test\r\n\r\n")
        app = stage.app.accept()
        received(app)
        app.send(b"HTTP/1.1 403 X\r\nContent-Length: 0\r\n\r\n")
        stage.network.turn(6)
        self.assertTrue(received(client).startswith(b"HTTP/1.1 403 "))
        self.assertIn(b"GET /next", received(app))

    def test_partOfARequest(self) -> None:
        """So is what comes after it in pieces: the connection is read on."""
        stage = self.start()
        client = self.say(stage, REQUEST % b"")
        client.send(b"G")
        stage.network.turn(6)
        app = stage.app.accept()
        received(app)
        app.send(b"HTTP/1.1 403 X\r\nContent-Length: 0\r\n\r\n")
        stage.network.turn(6)
        self.assertTrue(received(client).startswith(b"HTTP/1.1 403 "))
        client.send(b"ET /next HTTP/1.1\r\nHost: a.test\r\n\r\n")
        stage.network.turn(6)
        self.assertIn(b"GET /next", received(app))

    def test_places(self) -> None:
        """The handshake waits for a place like any request; open, it has given it back."""
        stage = self.start(maxconn=1)
        first, app = stage.open()
        second = stage.ask()
        self.assertFalse(stage.app.nobody_waits)
        stage.ask()
        self.assertEqual(len(stage.backend.places), 1)
        self.assertEqual(
            (stage.backend.sockets, stage.backend.lanes[0].in_flight, stage.sockets.bridges.open),
            (1, 1, 1),
        )
        second.socket.close()
        stage.peers.remove(second)
        stage.turn()
        self.assertEqual(len(stage.backend.places), 0)

    def test_limits(self) -> None:
        """So many on an edge, so many on an app or pool; then 503, with the time to come again."""
        stage = self.start(evolve(Limits(), websockets=1))
        stage.open()
        client = self.say(stage, REQUEST % b"")
        answer = received(client)
        self.assertTrue(answer.startswith(b"HTTP/1.1 503 "), answer)
        self.assertIn(b"Retry-After: 5\r\n", answer)
        self.assertEqual(stage.counters["refused_websockets_full"], 1)
        other = self.start()
        other.backend.sockets = other.limits.app_websockets
        self.assertTrue(received(self.say(other, REQUEST % b"")).startswith(b"HTTP/1.1 503 "))

    def test_fullMeanwhile(self) -> None:
        """The limit holds for those that were under way at the same time."""
        stage = self.start(evolve(Limits(), websockets=1))
        late = self.say(stage, REQUEST % b"")
        app = stage.serve()
        stage.open()
        stage.grant(app)
        self.assertTrue(received(late).startswith(b"HTTP/1.1 503 "))
        self.assertEqual(stage.backend.places.taken, 0)

    def test_clientLeaves(self) -> None:
        """A client that goes before the answer costs no place."""
        stage = self.start()
        client = self.say(stage, REQUEST % b"")
        app = stage.app.accept()
        client.close()
        stage.network.turn(6)
        self.assertEqual(stage.backend.places.taken, 0)
        self.assertIn(b"GET", received(app))

    def test_explain(self) -> None:
        """The leaf says what it does with upgrades."""
        stage = self.start()
        stage.open()
        lines = stage.leaf.explain()
        self.assertEqual(lines[1], "upgrades to WebSocket are forwarded, 1 open here")
        self.assertEqual(stage.leaf.app, "")

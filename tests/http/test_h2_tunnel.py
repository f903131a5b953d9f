"""WebSockets over HTTP/2: streams that become connections; the app notices no difference."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.frames import BINARY, CLOSE, TEXT, frame, read_message
from hostedge.http.h2 import H2
from hostedge.net.eager import EagerServer
from hostedge.settings import Limits
from tests.http.h2_parts import HELLO, Heard, block
from tests.http.h2_parts import frame as h2_frame
from tests.ws.stage import Peer, Stage, Strictly

OPENING = [
    *((b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"http")),
    *((b":path", b"/chat?a=1"), (b":authority", b"a.test"), (b"sec-websocket-version", b"13")),
    (b"sec-websocket-protocol", b"two"),
]
MASK = b"mask"


class H2Stage(Stage):
    """The same stage, and clients of HTTP/2."""

    def connect(self) -> socket.socket:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            mine = socket.create_connection(listener.getsockname())
            its, _ = listener.accept()
        for each in (mine, its):
            each.setblocking(False)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        protocol = H2(self.entrance)
        transport = EagerServer(its, protocol, ("192.0.2.1", 4000), None, 0, self.network)
        protocol.makeConnection(transport)
        return mine


class Client:
    """One connection of HTTP/2, and what came on it."""

    def __init__(self, stage: H2Stage, hello: bytes = HELLO) -> None:
        self.stage = stage
        self.socket = stage.connect()
        self.heard = Heard()
        self._rest = b""
        self.tell(hello)

    def tell(self, *frames: bytes) -> None:
        """Send, let everybody take a turn, and read whole frames."""
        data = b"".join(frames)
        while data:
            with contextlib.suppress(BlockingIOError):
                data = data[self.socket.send(data) :]
            self.stage.turn(1)
        self.stage.turn()
        with contextlib.suppress(BlockingIOError, ConnectionResetError):
            while more := self.socket.recv(1 << 20):
                self._rest += more
                self.stage.turn(2)
        whole = 0
        while len(self._rest) >= whole + 9:
            size = 9 + int.from_bytes(self._rest[whole : whole + 3], "big")
            if len(self._rest) < whole + size:
                break
            whole += size
        self.heard.take(self._rest[:whole])
        self._rest = self._rest[whole:]

    def open(self, number: int = 1, fields: Any = OPENING) -> None:
        self.tell(h2_frame("HEADERS", 0x4, number, block(fields)))

    def say(self, payload: bytes, opcode: int = TEXT, number: int = 1, end: bool = False) -> None:
        """Send a message in DATA."""
        raw = frame(opcode, payload, MASK)
        pieces = [raw[at : at + 16384] for at in range(0, len(raw), 16384)]
        frames = [h2_frame("DATA", 0, number, piece) for piece in pieces]
        if end:
            frames.append(h2_frame("DATA", 1, number))
        self.tell(*frames)

    def messages(self, number: int = 1) -> list[tuple[int, bytes]]:
        """All whole messages that came on a stream."""
        data, found = self.heard.bodies.get(number, b""), []
        while data and (message := read_message(data)) is not None:
            found.append((message.opcode, message.payload))
            data = data[message.size :]
        return found


class TunnelTests(SynchronousTestCase):
    """From the CONNECT to the end."""

    def setUp(self) -> None:
        self.stage = H2Stage(Limits(write_timeout=8.0))
        self.addCleanup(self.stage.close)
        self.client = Client(self.stage)
        self.addCleanup(self.client.socket.close)

    def opened(self) -> Peer:
        """Open a WebSocket on stream 1; give the app's side."""
        self.client.open()
        app = self.stage.serve(subprotocols=["one", "two"])
        self.stage.grant(app)
        self.client.tell()
        self.assertEqual(self.client.heard.statuses, {1: [200]})
        app.events.clear()
        return app

    def test_open(self) -> None:
        """The app gets an upgrade of HTTP/1.1, the client a 200 without what is only for that."""
        self.client.open()
        app = self.stage.serve(subprotocols=["two"])
        asked = app.events[0]
        self.assertEqual((asked.path, asked.headers["Host"]), ("/chat?a=1", "a.test"))
        self.assertEqual(asked.headers["Upgrade"], "websocket")
        self.stage.grant(app)
        self.client.tell()
        fields = dict(self.client.heard.fields[1])
        self.assertEqual(fields[b"sec-websocket-protocol"], b"two")
        unwanted = {b"upgrade", b"connection", b"sec-websocket-accept", b"content-length"}
        self.assertEqual(fields.keys() & unwanted, set())
        self.assertEqual(self.stage.backend.places.taken, 0)
        self.assertEqual(self.stage.backend.sockets, 1)
        self.assertEqual(self.stage.entrance.stages(), {"websocket": 1})

    def test_strict(self) -> None:
        """What the site asks of browsers stands in the answer as well."""
        self.stage.leaf = Strictly(self.stage.leaf)  # type: ignore[assignment]
        self.client.open()
        self.stage.grant(self.stage.serve())
        self.client.tell()
        fields = dict(self.client.heard.fields[1])
        self.assertEqual(fields[b"strict-transport-security"], b"max-age=5")
        self.assertEqual(fields[b":status"], b"200")

    def test_messages(self) -> None:
        """Messages of all sizes pass both ways, beside requests on other streams."""
        app = self.opened()
        for size in (0, 1, 125, 126, 65_535, 65_536, 300_000):
            app.events.clear()
            self.client.say(b"x" * size, BINARY)
            # a large one is passed on piece by piece
            self.assertEqual(b"".join(each[1] for each in app.frames), b"x" * size)
            self.assertEqual([each[2] for each in app.frames][-1:], [True])
            self.client.heard.bodies[1] = b""
            app.protocol.send_text(b"y" * size)
            self.client.tell(
                h2_frame("WINDOW_UPDATE", 0, 0, (size + 20).to_bytes(4, "big")),
                h2_frame("WINDOW_UPDATE", 0, 1, (size + 20).to_bytes(4, "big")),
            )
            self.assertEqual(self.client.messages(), [(TEXT, b"y" * size)])

    def test_closing(self) -> None:
        """The client's close goes to the app, its answer comes back, and the stream ends."""
        app = self.opened()
        self.client.say(b"\x03\xe8bye", CLOSE)
        self.assertEqual([each[0] for each in app.frames], [CLOSE])
        self.client.tell()
        self.assertEqual(self.client.messages(), [(CLOSE, b"\x03\xe8bye")])
        self.client.tell(h2_frame("DATA", 1, 1))
        self.stage.pass_time(1)
        self.client.tell()
        self.assertIn(1, self.client.heard.ended)
        self.assertEqual(self.client.heard.goodbyes, [])
        (logged,) = self.stage.recorded
        self.assertEqual((logged.status, logged.whole, logged.cause), (101, True, ""))
        self.assertEqual(self.stage.backend.sockets, 0)
        self.assertEqual(self.stage.sockets.bridges.open, 0)

    def test_appCloses(self) -> None:
        """The app's close comes first; the client's answer ends it."""
        app = self.opened()
        app.protocol.send_close(4000, "enough")
        self.client.tell()
        self.assertEqual(self.client.messages(), [(CLOSE, b"\x0f\xa0enough")])
        self.client.say(b"\x0f\xa0enough", CLOSE, end=True)
        self.stage.pass_time(1)
        self.client.tell()
        self.assertIn(1, self.client.heard.ended)
        self.assertEqual(self.stage.sockets.bridges.open, 0)

    def test_reset(self) -> None:
        """A client that resets the stream is gone; its connection goes on."""
        app = self.opened()
        self.client.tell(h2_frame("RST_STREAM", 0, 1, (8).to_bytes(4, "big")))
        self.stage.pass_time(12)
        self.assertTrue(app.ended)
        self.assertEqual(self.stage.sockets.bridges.open, 0)
        self.assertEqual(self.stage.recorded[0].whole, False)
        self.client.open(3)
        self.stage.grant(self.stage.serve(subprotocols=["two"]))
        self.client.tell()
        self.assertEqual(self.client.heard.statuses[3], [200])

    def test_connectionLost(self) -> None:
        """With the connection all its WebSockets are gone."""
        self.opened()
        self.client.open(3)
        self.stage.grant(self.stage.serve(subprotocols=["two"]))
        self.assertEqual(self.stage.sockets.bridges.open, 2)
        self.client.socket.close()
        self.stage.pass_time(12)
        self.assertEqual(self.stage.sockets.bridges.open, 0)
        self.assertEqual(len(self.stage.recorded), 2)

    def test_appDies(self) -> None:
        """The client is told that the app went away, and the stream ends."""
        app = self.opened()
        app.socket.close()
        self.stage.peers.remove(app)
        self.stage.pass_time(1)
        self.client.tell()
        ((opcode, payload),) = self.client.messages()
        self.assertEqual((opcode, int.from_bytes(payload[:2], "big")), (CLOSE, 1012))
        self.stage.pass_time(12)
        self.client.tell()
        self.assertEqual(self.stage.sockets.bridges.open, 0)
        self.assertEqual(self.stage.recorded[0].cause, "upstream_died")

    def test_refused(self) -> None:
        """Any other answer of the app is the client's answer."""
        self.client.open()
        app = self.stage.serve()
        request = app.events.pop(0)
        del request
        app.protocol.send_response(app.protocol.reject(403, "no"))
        self.stage.turn()
        self.client.tell()
        self.assertEqual(self.client.heard.statuses, {1: [403]})
        self.assertEqual(self.client.heard.bodies[1], b"no")

    def test_misunderstood(self) -> None:
        """An app that answers 200 has granted nothing: the client must not take it for a yes."""
        self.client.open()
        accepted = self.stage.app.accept()
        accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage")
        self.stage.turn()
        self.client.tell()
        self.assertEqual(self.client.heard.words(), ["1 502 upgrade_failed", "1 reset NO_ERROR"])
        (logged,) = self.stage.recorded
        self.assertEqual((logged.cause, logged.upstream != ""), ("upgrade_failed", True))
        self.assertGreater(logged.first_byte, 0)
        # what else it has to say is nobody's
        self.client.open(3)
        accepted = self.stage.app.accept()
        accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\npa")
        self.stage.turn()
        self.client.tell()
        self.assertEqual(self.client.heard.statuses[3], [502])
        self.assertEqual(self.stage.backend.places.taken, 0)

    def test_early(self) -> None:
        """What the client sends before it has the answer waits for it."""
        self.client.open()
        self.client.say(b"early")
        app = self.stage.serve(subprotocols=["two"])
        self.stage.grant(app)
        self.assertEqual(app.frames, [(TEXT, b"early", True)])

    def test_slowClient(self) -> None:
        """Without a window, the app is not read from; with one, all of it comes."""
        app = self.opened()
        sent = 0
        for _ in range(200):
            if app.unsent:
                break
            app.protocol.send_binary(b"z" * 60_000)
            sent += 60_000
            self.stage.turn(2)
        self.assertTrue(app.unsent)
        self.assertLess(len(self.client.heard.bodies.get(1, b"")), 65_536)
        for _ in range(200):
            more = (1 << 20).to_bytes(4, "big")
            self.client.tell(
                h2_frame("WINDOW_UPDATE", 0, 0, more), h2_frame("WINDOW_UPDATE", 0, 1, more)
            )
            if len(self.client.messages()) * 60_000 == sent:
                break
        self.assertEqual(self.client.messages(), [(BINARY, b"z" * 60_000)] * (sent // 60_000))

    def test_stalledClient(self) -> None:
        """One that gives no window for long enough loses its stream."""
        app = self.opened()
        for _ in range(40):
            app.protocol.send_binary(b"z" * 60_000)
        self.stage.turn()
        self.stage.pass_time(40)
        self.client.tell()
        self.assertEqual(self.client.heard.reset[1], "CANCEL")
        self.assertEqual(self.stage.sockets.bridges.open, 0)

    def test_slowApp(self) -> None:
        """An app that reads nothing gives the client no window."""
        app = self.opened()
        app.reads = False
        piece = frame(BINARY, b"x" * 16_000, MASK)
        room = 65_535
        sent = 0
        for _ in range(2000):
            room = 65_535 + self.client.heard.updates.get(1, 0) - sent
            if room < len(piece):
                break
            self.client.tell(h2_frame("DATA", 0, 1, piece))
            sent += len(piece)
        self.assertLess(room, len(piece))
        app.reads = True
        self.client.tell()
        self.client.tell()
        self.assertEqual(len(app.frames), sent // len(piece))

    def test_keptWhileDraining(self) -> None:
        """An edge that has been followed keeps its sockets until they are told to go."""
        app = self.opened()
        self.stage.entrance.drain(keep_sockets=True)
        self.client.tell()
        self.assertEqual((self.client.messages(), app.frames), ([], []))
        self.client.say(b"x")
        self.assertEqual(app.frames[-1][1], b"x")
        self.stage.entrance.drain_sockets()
        self.client.tell()
        self.assertEqual([each[0] for each in self.client.messages()], [CLOSE])
        self.assertEqual(app.frames[-1][0], CLOSE)

    def test_drain(self) -> None:
        """An edge that ends says so to both sides."""
        app = self.opened()
        self.stage.entrance.drain()
        self.client.tell()
        ((opcode, payload),) = self.client.messages()
        self.assertEqual((opcode, payload[:2]), (CLOSE, b"\x03\xe9"))
        self.assertEqual(app.frames[-1][0], CLOSE)
        self.client.say(payload, CLOSE, end=True)
        self.stage.pass_time(3)
        self.client.tell()
        self.assertEqual(self.stage.sockets.bridges.open, 0)

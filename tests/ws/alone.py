"""
What Autobahn makes of bytes when nobody else has a hand in it, and what stands in bytes passed on.
"""

from __future__ import annotations

from typing import Any

from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateOfferAccept,
    PerMessageDeflateResponseAccept,
)
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame
from websockets.streams import StreamReader

from hostedge.wire.upgrade import accept_for

# a message with whether it is bytes, a ping or pong, what a close frame says, a code of failure
Event = tuple[object, ...]

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)
ANSWER = b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"


class Keeping:
    """Keeps what it is told, and hears nothing after the end."""

    def keep(self: Any, *event: object) -> None:
        if self.events[-1:] and self.events[-1][0] in ("close", "failed"):
            return
        self.events.append(event)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.keep("message", isBinary, payload)

    def onPing(self, payload: bytes) -> None:
        self.keep("ping", payload)

    def onPong(self, payload: bytes) -> None:
        self.keep("pong", payload)

    def onCloseFrame(self: Any, code: int | None, reasonRaw: bytes | None) -> bool:
        # its own list of codes is older than the registry: see test_bridge for each of them
        is_known = code is None or code in self.CLOSE_STATUS_CODES_ALLOWED or 3000 <= code < 5000
        if is_known:
            self.keep("close", code, reasonRaw or b"")
        else:
            self._fail_connection()
        return True

    def _fail_connection(self: Any, code: int = 1002, reason: str = "") -> None:
        self.keep("failed", code)
        self.failedByMe = True


class Server(Keeping, WebSocketServerProtocol):  # type: ignore[misc]
    """Hears a client."""


class Client(Keeping, WebSocketClientProtocol):  # type: ignore[misc]
    """Hears a server."""


class Alone:
    """Makes open protocols with limits for frames and messages."""

    def __init__(self, frame: int, message: int) -> None:
        options: dict[str, Any] = {
            "maxFramePayloadSize": frame,
            "maxMessagePayloadSize": message,
            "openHandshakeTimeout": 0,
            "closeHandshakeTimeout": 0,
        }
        self._server = WebSocketServerFactory(reactor=Clock())
        self._server.protocol = Server
        self._server.setProtocolOptions(
            perMessageCompressionAccept=lambda offers: PerMessageDeflateOfferAccept(offers[0]),
            **options,
        )
        self._client = WebSocketClientFactory(reactor=Clock())
        self._client.protocol = Client
        self._client.setProtocolOptions(
            perMessageCompressionOffers=[PerMessageDeflateOffer()],
            perMessageCompressionAccept=PerMessageDeflateResponseAccept,
            **options,
        )

    def hears(self, data: bytes, masked: bool, deflate: bool) -> list[Event]:
        """What a server, or without masks a client, makes of these bytes."""
        end: Any = (self._server if masked else self._client).buildProtocol(None)
        end.events = []
        transport = StringTransport()
        end.makeConnection(transport)
        line = DEFLATE if deflate else b""
        if masked:
            end.dataReceived(b"%b%b\r\n" % (REQUEST, line))
        else:
            key = transport.value().partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
            accept = b"Sec-WebSocket-Accept: %b\r\n" % accept_for(key)
            end.dataReceived(b"%b%b%b\r\n" % (ANSWER, accept, line))
        assert end.state == end.STATE_OPEN
        end.dataReceived(data)
        events: list[Event] = end.events
        return events


def read_events(data: bytes, masked: bool, deflate: bool) -> list[Event]:
    """The messages and control frames in whole frames; by a library of another make."""
    reader = StreamReader()
    reader.feed_data(data)
    extensions = [PerMessageDeflate(False, False, 15, 15)] if deflate else []
    events: list[Event] = []
    message: tuple[int, list[bytes]] | None = None
    while reader.buffer:
        frame = _whole(Frame.parse(reader.read_exact, mask=masked, extensions=extensions))
        opcode, payload = int(frame.opcode), bytes(frame.data)
        if opcode > 7:
            events.append(({9: "ping", 10: "pong"}[opcode], payload))
            continue
        assert (opcode == 0) is (message is not None), "a fragment out of order"
        message = message or (opcode, [])
        message[1].append(payload)
        if frame.fin:
            events.append(("message", message[0] == 2, b"".join(message[1])))
            message = None
    return events


def read_code(data: bytes, masked: bool) -> int:
    """What the close frame says that these bytes are."""
    reader = StreamReader()
    reader.feed_data(data)
    closing = _whole(Frame.parse(reader.read_exact, mask=masked))
    assert closing.opcode == 8 and not reader.buffer
    return int.from_bytes(closing.data[:2])


def _whole(parsing: Any) -> Frame:
    try:
        next(parsing)
    except StopIteration as done:
        found: Frame = done.value
        return found
    raise AssertionError("a part of a frame")

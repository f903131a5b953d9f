"""
The two ends of a WebSocket that the node stands between, as Autobahn's protocols.

In:  bytes of the client or the app; the bridge and the other end send.
Out: frames to the other end as they come; what ends a WebSocket goes to the bridge.
Spec: RFC 6455 sections 5 to 7, RFC 7692.

    a plain frame, whole       ->   passes as it came: checked, neither copied nor masked anew
    all else                   ->   Autobahn, piece by piece: a message is never collected
    ping, pong                 ->   the other end
    close                      ->   the bridge, which passes it on
    a breach of the protocol   ->   1002, 1007 or 1009 to who did it, and the bridge

A client's mask is kept for the app. It is there so that no script can choose the bytes on the
wire (RFC 6455 section 10.3), and who ran the script has drawn it; a second one adds nothing.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from typing import Any, Protocol

from autobahn.twisted.websocket import (
    WebSocketAdapterProtocol,
    WebSocketClientProtocol,
    WebSocketServerProtocol,
)
from autobahn.websocket.protocol import WebSocketProtocol
from autobahn.websocket.types import ConnectingRequest
from autobahn.websocket.xormasker import create_xor_masker  # type: ignore[attr-defined]
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from hostedge.wire.frame import SMALL, begins_plain, mask_small, plain_frames

# Autobahn copies what is left after each frame: of more, ten thousand empty ones would be 300 MB
FEED = 16_384
# a thousand times that, at most, once it is inflated
FEED_COMPRESSED = 1_024
# what a peer may send after it was told that it has broken the protocol
DEAF = 1 << 20

# What a frame costs that Autobahn takes apart, though there is next to nothing in it: a ping, a
# pong or an empty one, and one that has a few bytes. Each second so many points are forgiven.
HOLLOW, LIGHT = 10, 1
POINTS = 5_000
POINTS_PER_SECOND = 500.0
POLICY_VIOLATION = 1008

MAX_REASON = 123  # bytes; RFC 6455 section 5.5
TEXT, BINARY, CLOSE = 1, 2, 8
OPEN = WebSocketProtocol.STATE_OPEN

_UTF8 = getincrementaldecoder("utf-8")
# close codes that may stand in a frame: RFC 6455 section 7.4 and IANA's registry
CODES = frozenset((*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)))


class Bridge(Protocol):
    """Who is told what ends a WebSocket."""

    def close_came(self, end: End, code: int | None, reason: bytes) -> None:
        """A close frame; the answer to it is not sent yet."""

    def broke(self, end: End) -> None:
        """It has broken the protocol and knows it; nothing more comes from it."""

    def flooded(self, end: End) -> None:
        """The same, by many frames with nothing in them."""

    def too_much(self, end: End) -> None:
        """It goes on sending though nobody listens."""

    def lost(self, end: End) -> None:
        """Its connection is gone."""

    def drain(self) -> None:
        """The edge wants to end."""

    def cut(self, cause: str) -> None:
        """Everything that the app does ends now."""

    def look(self) -> None:
        """Find out whether anybody has said anything."""


class Quiet:
    """Autobahn's log. What peers do wrong is counted: line by line it would fill the disk."""

    _log = Logger()

    def debug(self, *_: object, **__: object) -> None:
        """Nothing."""

    info = warn = debug

    def error(self, problem: str = "", **fields: object) -> None:
        self._log.error("Autobahn: {problem} {fields}", problem=problem, fields=fields)


class Utf8:
    """Does what Autobahn's validator does; the interpreter's decoder is up to 30 times faster."""

    def __init__(self) -> None:
        self._decoder = _UTF8()

    def reset(self) -> None:
        self._decoder.reset()

    def validate(self, payload: bytes) -> tuple[bool, bool, int, int]:
        """Whether it is valid so far, and whether it could end here; never where it is not."""
        try:
            self._decoder.decode(payload)
        except UnicodeDecodeError:
            return False, False, 0, 0
        return True, not self._decoder.getstate()[0], 0, 0


def unmask(key: bytes, payload: bytes) -> bytes:
    """Apply a mask, in whichever way is faster for the size."""
    if len(payload) <= SMALL:
        return mask_small(key, payload)
    return create_xor_masker(key, len(payload)).process(payload)  # type: ignore[no-any-return]


@implementer(IPushProducer)
class End(WebSocketAdapterProtocol, WebSocketProtocol):  # type: ignore[misc]
    """
    One end, from the opened handshake on; `couple` gives it what it works with.

    A plain frame is kept until it is whole, so that small messages are not fragmented where the
    network has cut them. As a producer it is paused by the other one's transport; what comes
    all the same waits in `_waiting`, and is no more than the reads that were under way.
    `listening` until it has closed or broken the protocol.
    """

    log = Quiet()
    transport: Any
    # set by Autobahn, from its factory and its handshake
    maxFramePayloadSize: int  # noqa: N815
    maxMessagePayloadSize: int  # noqa: N815
    websocket_extensions_in_use: list[Any]
    utf8validator: Any
    masked = False
    # bytes from which on a frame has something in it
    light = 1

    def connectionMade(self) -> None:
        self.listening = True
        self.paused = False
        # bytes: come from here; of these, passed as they came; made for this end
        self.octets = self.passed = self.made = 0
        # pieces of messages that came in another way
        self.pieces = 0
        # for frames with nothing in them
        self.points = 0.0
        self._deaf_after = 0
        self._waiting = b""
        # the beginning of a plain frame
        self._part = b""
        # of a message that Autobahn takes apart: what is known not to be its end yet
        self._piece = b""
        self._opcode = 0
        self._quick = self._compresses = False
        self._feed = FEED
        super().connectionMade()
        self.utf8validator = Utf8()

    def shake(self, data: bytes) -> None:
        """Before `couple`: bytes of a handshake."""
        super().dataReceived(data)

    def couple(self, transport: Any, other: End, bridge: Bridge) -> None:
        """Begin: frames may come from now on."""
        self.transport = transport
        self.other = other
        self.bridge = bridge
        self.made = 0
        self._most = min(self.maxFramePayloadSize, self.maxMessagePayloadSize)
        self._compresses = bool(self.websocket_extensions_in_use)
        # a plain frame is compressed for an end that wants that
        self._quick = self._may_be_quick = not other.websocket_extensions_in_use
        if self._compresses:
            self._feed = FEED_COMPRESSED

    # what comes

    def dataReceived(self, data: bytes) -> None:
        self.octets += len(data)
        if self._part:
            data, self._part = self._part + data, b""
        other = self.other
        if self._quick and not self.paused and other.state == OPEN:
            run = plain_frames(data, self.masked, self._most, unmask)
            if run == len(data):
                other.transport.write(data)
                self.passed += run
                return
            if run:
                other.transport.write(data[:run])
                self.passed += run
                data = data[run:]
            if begins_plain(data, self.masked):
                self._part = data
                return
        if not self.listening:
            if self.octets > self._deaf_after:
                self.bridge.too_much(self)
            return
        self._waiting += data
        self._go_on()

    def _go_on(self) -> None:
        while self._waiting and not self.paused:
            piece, self._waiting = self._waiting[: self._feed], self._waiting[self._feed :]
            self._dataReceived(piece)
            if not self.listening:
                self.data = b""
        between = not (self.inside_message or self.data or self._waiting)
        self._quick = self._may_be_quick and between and self.current_frame is None

    def pauseProducing(self) -> None:
        """The other end takes no more for now."""
        self.paused = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self.paused = False
        self._go_on()
        if not self.paused:
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """The other end's connection is gone, and says so."""

    def stop_listening(self) -> None:
        """Nothing of what it may still send is of interest."""
        self.listening = self._quick = self._may_be_quick = False
        self._waiting = b""
        self._deaf_after = self.octets + DEAF

    # how its connection ends

    def read_ended(self) -> bool:
        # who has closed in order waits for the answer
        return not (self.listening or self.failedByMe)

    def connection_lost(self) -> None:
        self.listening = self._quick = self._may_be_quick = False
        self._waiting = b""
        self.bridge.lost(self)

    def drain(self) -> None:
        self.bridge.drain()

    def cut(self, cause: str) -> None:
        self.bridge.cut(cause)

    def look(self) -> None:
        self.bridge.look()

    @property
    def said(self) -> int:
        """Grows with all data that comes from here, and with nothing else."""
        return self.passed + self.pieces

    def drop(self) -> None:
        """End the connection once everything is sent."""
        transport = self.transport
        # it would wait for a producer that it has paused
        transport.unregisterProducer()
        self.other.be_free()
        if self.failedByMe:
            # what it has sent since would reset the connection, and it would not hear why
            transport.loseWriteConnection()
        else:
            transport.loseConnection()

    def be_free(self) -> None:
        """Nobody holds it back any more."""
        if self.paused:
            self.resumeProducing()

    def uncouple(self) -> None:
        """Both connections are gone."""
        self.connectionLost()
        del self.other, self.bridge, self.transport

    def forgive(self, seconds: float) -> None:
        """So much time is over."""
        self.points = max(0.0, self.points - seconds * POINTS_PER_SECOND)

    # what Autobahn makes of it

    def onFrameEnd(self) -> bool | None:
        frame = self.current_frame
        if (frame.length < self.light and frame.opcode != CLOSE) or frame.opcode > CLOSE:
            self.points += HOLLOW if not frame.length or frame.opcode > CLOSE else LIGHT
            if self.points > POINTS and self.listening:
                self._fail(POLICY_VIOLATION, "too many frames with nothing in them")
                self.bridge.flooded(self)
                return False
        return super().onFrameEnd()

    def onMessageBegin(self, isBinary: bool) -> None:
        super().onMessageBegin(isBinary)
        self.pieces += 1
        if self.listening:
            self.other.begin(isBinary)

    def onMessageFrameData(self, payload: bytes) -> None:
        self.pieces += 1
        if not payload or not self.listening:
            return
        if self._piece:
            self.other.send(self._piece, False)
        # whether the message ends with it is not known yet
        self._piece = payload

    def onMessageFrameEnd(self) -> None:
        piece = self._piece
        if piece and self.listening and not self.current_frame.fin:
            self._piece = b""
            self.other.send(piece, False)

    def onMessageEnd(self) -> None:
        piece, self._piece = self._piece, b""
        if self.listening:
            self.other.send(piece, True)

    def onPing(self, payload: bytes) -> None:
        if self.listening:
            self.other.sendPing(payload)

    def onPong(self, payload: bytes) -> None:
        if self.listening:
            self.other.sendPong(payload)

    def onCloseFrame(self, code: int | None, reasonRaw: bytes | None) -> bool:
        if not self.listening:
            return True
        if code is not None and code not in CODES:
            return self._protocol_violation(f"invalid close code {code}")
        reason = reasonRaw or b""
        try:
            reason.decode()
        except UnicodeDecodeError:
            return self._invalid_payload("the reason is not UTF-8")
        self.stop_listening()
        self.bridge.close_came(self, code, reason)
        return True

    def _fail_connection(self, code: int = 1002, reason: str = "") -> None:
        # Autobahn would drop the connection, and log
        if self.listening:
            self._fail(code, reason)
            self.bridge.broke(self)

    def _fail(self, code: int, reason: str) -> None:
        self.stop_listening()
        self.failedByMe = True
        self.sendCloseFrame(code, reason.encode()[:MAX_REASON])

    # what is sent

    def begin(self, is_binary: bool) -> None:
        """A message begins, of which `send` brings the pieces."""
        self._opcode = BINARY if is_binary else TEXT

    def send(self, payload: bytes, last: bool) -> None:
        """A piece of a message, as a fragment of its own; nothing once a close is sent."""
        if self.state != OPEN:
            return
        if self._compresses:
            self._send_compressed(payload, last)
        else:
            self.sendFrame(self._opcode, payload, last)
        self._opcode = 0

    def _send_compressed(self, payload: bytes, last: bool) -> None:
        opcode = self._opcode
        # what Autobahn bounds is the size once it is compressed, of which nobody knows the limit
        if opcode and last and 2 * len(payload) < self.maxMessagePayloadSize:
            self.sendMessage(payload, opcode == BINARY)
            return
        if opcode:
            self.beginMessage(opcode == BINARY)
        if opcode or payload:
            self.sendMessageFrame(payload)
        if last:
            self.endMessage()

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        # Autobahn's also logs and counts
        self.transport.write(data)
        self.made += len(data)


class ClientEnd(End, WebSocketServerProtocol):  # type: ignore[misc]
    """The client's."""

    masked = True
    # an app may have many small messages to tell
    light = 16


class AppEnd(End, WebSocketClientProtocol):  # type: ignore[misc]
    """The app's, or a server's of a pool."""

    def startHandshake(self) -> None:
        # Autobahn's describes the transport for its log: a third of what an opening costs
        self._actuallyStartHandshake(ConnectingRequest())

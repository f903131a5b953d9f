"""
Autobahn for connections whose opening handshake is over.

In:  `ws.passage` with what the client has offered, or what the app has agreed to.
Out: a protocol of `ws.ends` that is open; with a client's, what is agreed with the client.
Spec: RFC 6455 section 4, RFC 7692 section 7.

Our HTTP code has read the client's request and the app's answer: Autobahn's own handshake knows
nothing of repeated fields, of a queue for a place, or of an answer that is not a 101. But there
is no other way into an open protocol. So each protocol shakes hands once more, with a transport
that only listens: what it would send is dropped, what it waits for is written here. Nothing but
what goes over the wire is relied upon, and tests/ws/test_shaken.py fails when that changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketServerFactory
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateOfferAccept,
    PerMessageDeflateResponse,
    PerMessageDeflateResponseAccept,
)
from twisted.internet.address import UNIXAddress
from twisted.internet.interfaces import IConsumer, ITransport
from zope.interface import implementer

from hostedge.settings import Limits
from hostedge.wire.upgrade import accept_for
from hostedge.ws.ends import AppEnd, ClientEnd

# what is asked of an app that is reached over a network
OFFER = b"permessage-deflate; client_max_window_bits"
# of what we compress: 32 KiB a connection and direction where zlib's own choice takes 256
WINDOW_BITS = 12
MEM_LEVEL = 5

_REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
)
_ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"


@implementer(ITransport, IConsumer)
class Listening:
    """A transport that keeps what is written to it; nobody is there."""

    def __init__(self) -> None:
        self.written = b""

    def field(self, name: bytes) -> bytes:
        """The value of a field in what was written; empty without."""
        for line in self.written.split(b"\r\n"):
            found, _, value = line.partition(b": ")
            if found.lower() == name:
                return value
        return b""

    def write(self, data: bytes) -> None:
        self.written += data

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """The handshake has failed; the protocol's state says so."""

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """None will ever be asked for anything."""

    def unregisterProducer(self) -> None:
        """There is none."""

    def getPeer(self) -> UNIXAddress:
        return UNIXAddress(None)

    def getHost(self) -> UNIXAddress:
        return UNIXAddress(None)


class Shaken:
    """Makes protocols that are open; one of these for an edge."""

    def __init__(self, reactor: Any, limits: Limits) -> None:
        self._clients = WebSocketServerFactory(reactor=reactor)
        self._clients.protocol = ClientEnd
        self._apps = WebSocketClientFactory(reactor=reactor)
        self._apps.protocol = AppEnd
        # all waiting is the bridge's, and so is the end of every connection
        common = {
            "maxFramePayloadSize": limits.websocket_frame,
            "maxMessagePayloadSize": limits.websocket_message,
            "openHandshakeTimeout": 0,
            "closeHandshakeTimeout": 0,
            "tcpNoDelay": False,
        }
        self._clients.setProtocolOptions(perMessageCompressionAccept=_choose, **common)
        self._apps.setProtocolOptions(
            perMessageCompressionAccept=_agree,
            perMessageCompressionOffers=[PerMessageDeflateOffer()],
            serverConnectionDropTimeout=0,
            **common,
        )
        for factory in (self._clients, self._apps):
            factory.protocol = _with_options(factory)  # type: ignore[assignment]

    def client(self, offers: bytes) -> tuple[ClientEnd, bytes]:
        """
        Give the protocol for a client that offers these extensions, and what is agreed.

        An offer that is not valid is as good as none: RFC 7692 section 5.1.
        """
        for extensions in (offers, b""):
            end: Any = self._clients.buildProtocol(None)
            transport = Listening()
            end.makeConnection(transport)
            line = b"Sec-WebSocket-Extensions: %b\r\n" % extensions if extensions else b""
            end.shake(b"%b%b\r\n" % (_REQUEST, line))
            if end.state == end.STATE_OPEN:
                return end, transport.field(b"sec-websocket-extensions")
        raise AssertionError("Autobahn takes no request for a WebSocket")

    def app(self, agreed: bytes) -> AppEnd | None:
        """Give the protocol for an app that has agreed to this; None: it cannot have."""
        end: Any = self._apps.buildProtocol(None)
        transport = Listening()
        end.makeConnection(transport)
        accept = accept_for(transport.field(b"sec-websocket-key"))
        line = b"Sec-WebSocket-Extensions: %b\r\n" % agreed if agreed else b""
        if not line.isascii():
            return None
        end.shake(b"%bSec-WebSocket-Accept: %b\r\n%b\r\n" % (_ANSWER, accept, line))
        return end if end.state == end.STATE_OPEN else None


def _with_options(factory: Any) -> type:
    """
    Set a factory's options on its protocol's class.

    Autobahn would copy each of them to each connection, and pretty-print them for its log: half
    of what an opening costs.
    """
    names = factory.protocol.CONFIG_ATTRS
    options = {name: getattr(factory, name) for name in names}
    accept = staticmethod(options["perMessageCompressionAccept"])
    whole = {**options, "perMessageCompressionAccept": accept, "CONFIG_ATTRS": ()}
    return type(factory.protocol.__name__, (factory.protocol,), whole)


def _choose(offers: list[Any]) -> PerMessageDeflateOfferAccept | None:
    for offer in offers:
        if isinstance(offer, PerMessageDeflateOffer):
            bits = min(offer.request_max_window_bits or WINDOW_BITS, WINDOW_BITS)
            return PerMessageDeflateOfferAccept(offer, window_bits=bits, mem_level=MEM_LEVEL)
    return None


def _agree(response: Any) -> PerMessageDeflateResponseAccept | None:
    if not isinstance(response, PerMessageDeflateResponse):
        return None
    bits = min(response.client_max_window_bits or WINDOW_BITS, WINDOW_BITS)
    return PerMessageDeflateResponseAccept(response, window_bits=bits, mem_level=MEM_LEVEL)

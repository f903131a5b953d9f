"""
A stream that is no request any more: what was an upgrade in HTTP/1.1, as a transport.

In:  `http.h2_exchange`, once the upstream has granted what was asked for.
Out: the client's bytes to its successor; the successor's in DATA frames, as windows allow.
Spec: RFC 8441 section 5: END_STREAM for the end of a side, a reset with CANCEL for a broken end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hostedge.http.exchange import Producer, Successor, Transport
from hostedge.http.h2_outflow import Stream
from hostedge.wire.h2_frame import CANCEL

# bytes that a successor is given at once: what follows waits where it stops reading
PIECE = 65_536

if TYPE_CHECKING:
    from hostedge.http.h2 import H2


class Tunnel(Transport):
    """
    The transport of a successor, on one stream of a connection that others use as well.

    Like every transport, it says that it is gone in a later turn, and once.
    """

    def __init__(self, connection: H2, stream: Stream, successor: Successor) -> None:
        self._connection = connection
        self._engine = connection.engine
        self.stream = stream
        self._successor: Successor | None = successor
        self._producer: Producer | None = None
        self._paused = False
        self._is_ending = False
        # what has come while it was paused, and whether anything follows
        self._held = bytearray()
        self._ended = False

    # what the stream says

    def arrived(self, data: bytes, last: bool) -> None:
        """Bytes of the client; `last`: it has ended its side."""
        if data:
            self._held += data
        self._ended = self._ended or last
        self._deliver()

    def _deliver(self) -> None:
        while self._held and not self._paused and self._successor is not None:
            data = bytes(self._held[:PIECE])
            del self._held[:PIECE]
            self._successor.dataReceived(data)
            self._engine.read(self.stream, len(data))
        if self._ended and not self._held and not self._paused:
            self._ended = False
            if self._successor is not None and not self._successor.read_ended():
                self.loseConnection()
        self._connection.flush()

    def room(self) -> None:
        """What the producer was stopped for has been sent."""
        if self._producer is not None:
            self._producer.resumeProducing()

    def lost(self) -> None:
        """The stream is over."""
        successor, self._successor = self._successor, None
        self._producer = None
        self._held.clear()
        if successor is not None:
            successor.connection_lost()

    def drain(self) -> None:
        """The edge wants to end."""
        if self._successor is not None:
            self._successor.drain()

    # what transports can do

    @property
    def unsent(self) -> int:
        """Bytes that wait for the client."""
        return len(self.stream.waiting)

    def write(self, data: bytes) -> None:
        if self._is_ending or self._successor is None:
            return
        if self._engine.send(self.stream, data, False) and self._producer is not None:
            self._producer.pauseProducing()
        self._connection.flush()

    def registerProducer(self, producer: Producer, streaming: bool) -> None:
        self._producer = producer
        if self._engine.is_crowded(self.stream):
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        self._producer = None

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        if self._paused:
            self._paused = False
            self._deliver()

    def loseWriteConnection(self) -> None:
        """End our side when everything is sent; the stream ends with it, whatever still comes."""
        self.loseConnection()

    def loseConnection(self) -> None:
        if self._is_ending or self._successor is None:
            return
        self._is_ending = True
        self._engine.send(self.stream, b"", True)
        self._connection.flush()
        self._connection.await_end(self)

    def keep_alive(self) -> None:
        self._connection.transport.keep_alive()

    def abortConnection(self) -> None:
        if self._successor is None:
            return
        self._is_ending = True
        self._engine.reset(self.stream, CANCEL)
        self._connection.flush()
        self._connection.await_end(self)

"""
DNS over TCP: messages behind their length, answered in the order in which they come.

In:  connections that the edge's acceptors have taken.
Out: the responder's answers, each behind its length; whoever drains hears when all have ended.
Spec: RFC 1035 section 4.2.2, RFC 7766.

    <- length, message    any number of them in any pieces
    -> length, answer     in the same order
    || reading stops      while the client leaves answers unread
    -> end                nothing was asked for `dns_idle` seconds, or another needs the place
    -> reset              answers were left unread for as long
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from fcntl import ioctl
from termios import FIONREAD
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hostedge.http.wheel import NEVER, Wheel
from hostedge.net.eager import EagerServer

# the answer to a message of this client, whose address is packed; None: none is given
Respond = Callable[[bytes, bytes], bytes | None]

READ = 4096  # bytes read a turn, some 100 questions: nobody else waits for long
FLUSH = 16_384  # bytes of answers that are sent together

_NOTHING = bytes(4)  # an int of C


@implementer(IPushProducer, IHalfCloseableProtocol)
class DnsStream(Protocol):
    """
    One client's connection.

    `_held` is what has come and was not dealt with yet: the beginning of a message, or more while
    the client does not read its answers (`_paused`). It is never longer than a message and `READ`.
    """

    transport: EagerServer
    deadline = NEVER
    due = 0

    def __init__(self, streams: DnsStreams, client: bytes) -> None:
        self._streams = streams
        self._client = client
        self._held = b""
        self._paused = False
        self._ending = False

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)
        self._streams.add(self)

    def dataReceived(self, data: bytes) -> None:
        self._held = self._held + data if self._held else data
        if not self._paused:
            self._answer()

    def _answer(self) -> None:
        data, start = self._held, 0
        answers: list[bytes] = []
        size = 0
        while len(data) - start >= 2:
            end = start + 2 + (data[start] << 8 | data[start + 1])
            if end > len(data):
                break
            answer = self._streams.answer(data[start + 2 : end], self._client)
            start = end
            if answer is None:
                continue
            answers += (len(answer).to_bytes(2, "big"), answer)
            size += 2 + len(answer)
            if size >= FLUSH:
                self._send(answers)
                size = 0
                if self._paused:
                    break
        self._held = data[start:]
        if answers:
            self._send(answers)

    def _send(self, answers: list[bytes]) -> None:
        self.transport.write(b"".join(answers))
        answers.clear()
        if not self._ending:
            self._streams.asked(self)

    # what the transport says of the answers that the client has not taken

    def pauseProducing(self) -> None:
        self._paused = True
        # it has time to read, also when it was about to end
        self.deadline = self._streams.until
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self._paused = False
        self.deadline = self._streams.until
        self._answer()
        if self._paused:
            return
        self.transport.resumeProducing()
        if self._ending:
            self._end_soon()

    def stopProducing(self) -> None:
        """The connection is lost; `connectionLost` follows."""

    # its end

    def readConnectionLost(self) -> None:
        """The client asks no more, and may still be reading."""
        self.end()

    def writeConnectionLost(self) -> None:
        """We never end only our side."""

    def timed_out(self) -> None:
        if self._ending and not self._paused and not self.transport.disconnecting:
            if self._has_more():
                self._end_soon()
            else:
                self.end()
        elif self.transport.unsent:
            self._streams.counters["dns_tcp_stalled"] += 1
            self.transport.abortConnection()
        else:
            self.end()

    def drain(self) -> None:
        """Answer what has come and what is on its way, until the wheel comes by; then end."""
        self._ending = True
        if not self._paused:
            self._end_soon()

    def _end_soon(self) -> None:
        self.deadline = self._streams.wheel.now
        self._streams.wheel.hasten(self)

    def _has_more(self) -> bool:
        """Whether something has come: to close now would be a reset, and cost answers."""
        return ioctl(self.transport.fileno(), FIONREAD, _NOTHING) != _NOTHING

    def end(self) -> None:
        """Take no more questions; what is answered is still sent, if the client reads it."""
        self._ending = True
        self.deadline = self._streams.until
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def make_room(self) -> None:
        """Another client needs the place."""
        if self.transport.unsent:
            self.transport.abortConnection()
        else:
            self.end()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._streams.remove(self)


class DnsStreams:
    """
    All DNS connections of an edge, first the one that has asked nothing for the longest time.

    Beyond the limit that one makes room for a new one: whoever holds connections without using
    them keeps nobody out.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        respond: Respond,
        wheel: Wheel,
        counters: dict[str, int],
        idle: float,
        limit: int,
        closed: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._respond = respond
        self.wheel = wheel
        self.counters = counters
        self._idle = idle
        self._limit = limit
        self._closed = closed
        self._connections: dict[DnsStream, None] = {}
        # they have made room for others, and are about to end
        self._leaving: set[DnsStream] = set()
        self._drained: Deferred[None] | None = None

    def accept(self, connected: socket.socket, client: tuple[Any, ...]) -> None:
        """Take in a connection that a listener has accepted."""
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # a link-local address names its interface
        packed = socket.inet_pton(connected.family, client[0].partition("%")[0])
        protocol = DnsStream(self, packed)
        # no Port of Twisted's has accepted it
        transport = EagerServer(connected, protocol, client, None, 0, self._reactor)  # type: ignore[arg-type]
        transport.bufferSize = READ
        protocol.makeConnection(transport)

    def answer(self, message: bytes, client: bytes) -> bytes | None:
        self.counters["dns_queries"] += 1
        try:
            return self._respond(message, client)
        except Exception:  # noqa: BLE001 - one question must not cost the others' answers
            self._log.failure("a question could not be answered")
            self.counters["dns_failed"] += 1
            return None

    @property
    def until(self) -> float:
        """When a client that does nothing from now on has done so for too long."""
        return self.wheel.now + self._idle

    def add(self, stream: DnsStream) -> None:
        self.counters["dns_tcp_connections"] += 1
        if len(self._connections) >= self._limit:
            self.counters["dns_tcp_displaced"] += 1
            longest = next(iter(self._connections))
            del self._connections[longest]
            self._leaving.add(longest)
            longest.make_room()
        self._connections[stream] = None
        stream.deadline = self.until
        self.wheel.watch(stream)

    def asked(self, stream: DnsStream) -> None:
        """It has been answered: it moves to the end."""
        stream.deadline = self.until
        del self._connections[stream]
        self._connections[stream] = None

    def remove(self, stream: DnsStream) -> None:
        self.wheel.forget(stream)
        self._connections.pop(stream, None)
        self._leaving.discard(stream)
        self._closed()
        if self._drained is not None and not self._connections and not self._leaving:
            done, self._drained = self._drained, None
            done.callback(None)

    # as `http.entrance.Entrance`

    def stages(self) -> Counter[str]:
        """All of them speak DNS, and that says all."""
        return Counter(dns=len(self._connections) + len(self._leaving))

    @property
    def in_flight(self) -> int:
        """Whatever is asked is answered in the same turn."""
        return 0

    def drain(self, keep_sockets: bool = False) -> Deferred[None]:
        """End every connection once its client has its answers; fires when none is left."""
        done: Deferred[None] = Deferred()
        for stream in self._connections:
            stream.drain()
        if self._connections or self._leaving:
            self._drained = done
        else:
            done.callback(None)
        return done

    def drain_sockets(self) -> None:
        """There are none."""

    def end(self) -> None:
        """Break off what `drain` still waits for."""
        for stream in (*self._connections, *self._leaving):
            stream.transport.abortConnection()

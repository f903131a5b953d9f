"""
One request of an HTTP/2 connection, and the framing of its answer.

In:  `http.h2` makes it; the leaf answers on it.
Out: blocks and pieces of a body to the engine; the connection sends them.
Spec: RFC 9113 section 8.1, RFC 8441 section 5, RFC 9110 sections 8.6, 15.2-15.4.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from hostedge.http.answering import CLIENT_GONE, Answering
from hostedge.http.exchange import Fields, Producer, Successor
from hostedge.http.h2_head import Request, read_facts
from hostedge.http.h2_outflow import CROWDED, Stream
from hostedge.http.h2_tunnel import PIECE, Tunnel
from hostedge.http.pace import Pace
from hostedge.http.wheel import NEVER
from hostedge.observe.refused import written
from hostedge.wire.h2_frame import INTERNAL_ERROR
from hostedge.wire.header_block import make_block

if TYPE_CHECKING:
    from hostedge.http.h2 import H2

_CONTINUE = make_block(100, [])
# what says in HTTP/1.1 that a connection is something else from now on
_ONLY_HTTP1 = frozenset((b"connection", b"upgrade", b"sec-websocket-accept"))
SWITCHED = 101
_WITHOUT_BODY = frozenset((204, 304))


class H2Exchange(Answering):
    """
    The facts of a request, and where its answer stands.

    `pending` is what has come of the body and may not be told yet; `arrived` counts what came.
    `ended`: the engine knows that nothing follows.
    """

    __slots__ = (
        *("connection", "engine", "stream"),
        # the request's body
        *("pending", "arrived", "arrived_all", "tunnel"),
        # how it comes, None without one; when all has taken too long
        *("coming", "late"),
        # the answer
        *("ended", "producer"),
    )

    protocol = "HTTP/2"

    def __init__(self, connection: H2, stream: Stream, request: Request) -> None:
        super().__init__(
            connection,
            request.method,
            request.target,
            request.path,
            request.query,
            request.fields,
            request.length,
            request.host,
            request.authority,
        )
        self.connection = connection
        self.engine = connection.engine
        self.stream = stream
        self.expects = request.expects
        self.arrived_all = self.complete = stream.remote_ended
        self.producer: Producer | None = None
        # what it was switched to
        self.tunnel: Tunnel | None = None
        self.upgrade = request.upgrade
        if request.upgrade:
            # the stream stays open, but no body comes
            self.complete = True
        self.pending = bytearray()
        self.arrived = 0
        self.coming: Pace | None = None
        self.late = NEVER
        self.ended = False

    # the request's body

    @property
    def local_host(self) -> str:
        return self.connection.local_host

    @property
    def crowded(self) -> bool:
        return self.engine.waiting >= CROWDED

    @property
    def received(self) -> int:
        return self.arrived

    def _want_body(self) -> None:
        if self.expects and not self.begun:
            self.expects = False
            if not self.arrived:
                self.engine.answer(self.stream, _CONTINUE, False)
        self._tell()
        self.connection.flush()

    def take_body(self, data: bytes, last: bool) -> None:
        """A piece of the request's body, from the protocol; it has been counted."""
        if self.tunnel is not None:
            self.tunnel.arrived(data, last)
            return
        if data:
            # together, however small the pieces are in which it comes
            self.pending += data
        if last:
            self.arrived_all = True
            self.spend("body", monotonic() - self.started)
        if self.receiver is not None:
            if not self.paused:
                self._tell()
        elif self.begun:
            # nobody asks for it
            self._drop_body(True)

    def _tell(self) -> None:
        """Tell the receiver all that it may know; each piece may pause what follows."""
        pending = self.pending
        while self.receiver is not None and not self.paused:
            if pending:
                data = bytes(pending[:PIECE])
                del pending[:PIECE]
                self.receiver.body_data(data)
                self.engine.read(self.stream, len(data))
            elif self.arrived_all and not self.complete:
                self.complete = True
                self.receiver.body_end()
            else:
                return

    def _drop_body(self, wanted: bool) -> None:
        if self.pending:
            self.engine.read(self.stream, len(self.pending), wanted)
            self.pending.clear()

    # the answer

    def inform(self, status: int, fields: Fields) -> None:
        if not self.begun and not self.over:
            self.engine.answer(self.stream, make_block(status, fields), False)
            self.connection.flush()

    def begin(self, status: int, fields: Fields, length: int | None) -> None:
        if self.over:
            return
        assert not self.begun, "an answer begins once"  # noqa: S101
        self.begun = True
        self.status = status
        if status in _WITHOUT_BODY:
            self.bodyless = True
            length = None
        if self.strict:
            fields = self.strictly(fields)
        fields = [*fields, (b"date", self.entrance.date())]
        if length is not None:
            fields.append((b"content-length", b"%d" % length))
            self.left = length
        self.head = make_block(status, fields)

    def write(self, data: bytes) -> None:
        if self.over:
            return
        if self.bodyless:
            data = b""
        elif data and self.left is not None:
            self.left -= len(data)
            if self.left < 0:
                self.abort()
                return
        self._put(data, self.bodyless or self.left == 0)
        self.connection.flush()

    def finish(self) -> None:
        if self.over:
            return
        if self.left and not self.bodyless:
            self.abort()
            return
        self._put(b"", True)
        self._end()
        self.connection.flush()

    def _put(self, data: bytes, last: bool) -> None:
        if self.ended:
            return
        self.ended = last
        engine, stream = self.engine, self.stream
        if self.head:
            stream.answering = True
            engine.answer(stream, self.head, last and not data)
            self.head = b""
            if not data:
                return
        elif not data and not last:
            return
        self.sent += len(data)
        if engine.send(stream, data, last) and self.producer is not None:
            self.producer.pauseProducing()

    def abort(self) -> None:
        if self.over:
            return
        self.whole = False
        self._end()
        self.entrance.counters["http_aborted"] += 1
        self.engine.reset(self.stream, INTERNAL_ERROR)
        self.connection.flush()

    def register_producer(self, producer: Producer) -> None:
        if self.over:
            producer.stopProducing()
            return
        self.producer = producer
        self.began = monotonic()
        if self.engine.is_crowded(self.stream):
            producer.pauseProducing()

    def room(self) -> None:
        """From the protocol: what the producer was paused for has been sent."""
        if self.tunnel is not None:
            self.tunnel.room()
        elif self.producer is not None:
            self.producer.resumeProducing()

    def switch(self, fields: Fields, successor: Successor) -> tuple[Any, bytes]:
        assert not self.begun, "an answer begins once"  # noqa: S101
        self._leave_source()
        self.begun = self.stream.answering = True
        self.began = monotonic()
        # the log's word for it; the client is told 200
        self.status = SWITCHED
        if self.strict:
            fields = self.strictly(fields)
        told = [item for item in fields if item[0].lower() not in _ONLY_HTTP1]
        told.append((b"date", self.entrance.date()))
        self.engine.answer(self.stream, make_block(200, told), False)
        self.tunnel = Tunnel(self.connection, self.stream, successor)
        rest = bytes(self.pending)
        self._drop_body(True)
        if self.arrived_all:
            self.tunnel.arrived(b"", True)
        self.connection.flush()
        return self.tunnel, rest

    def leave(self, sent: int, received: int, whole: bool, cause: str) -> None:
        if self.over:
            return
        self.sent = sent
        self.arrived = received
        self.cause = cause
        self.whole = whole
        self._end()

    def lose_client(self, status: int = CLIENT_GONE) -> None:
        if self.tunnel is None:
            super().lose_client(status)
        else:
            self.tunnel.lost()

    def _end(self) -> None:
        self.over = True
        if self.asking is not None:
            self._leave_source()
        # receivers hold their exchange, and this its stream: without this only the collector
        # could free them
        self.receiver = self.producer = None
        self.stream.exchange = None
        self._drop_body(False)
        now = monotonic()
        self.total = now - self.started
        if self.began:
            self.spend("answer", now - self.began)
        self.entrance.h2_answers[self.status // 100] += 1
        self.entrance.record(self)


class H2TurnedAway(H2Exchange):
    """A request that is refused for its head, with as much of it as could be read."""

    turned_away = True

    __slots__ = ("asked",)

    def __init__(self, connection: H2, stream: Stream, asked: Fields, cause: str) -> None:
        super().__init__(connection, stream, read_facts(asked, cause))
        self.asked = asked

    def first_bytes(self) -> bytes:
        return written(b"", self.asked)

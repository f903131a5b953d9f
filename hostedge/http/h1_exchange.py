"""
One request of an HTTP/1 connection, and the framing of its answer.

In:  `http.h1` makes it; the leaf answers on it.
Out: head and body to the transport, joined into one write where both are there.
Spec: RFC 9112 sections 6 and 9, RFC 9110 sections 8.6, 15.2-15.4.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from hostedge.http.answering import Answering
from hostedge.http.exchange import Fields, Producer, Successor
from hostedge.http.refusal import phrase
from hostedge.memo import Memo
from hostedge.observe.refused import written
from hostedge.wire.broken_head import Readable
from hostedge.wire.fields import LastingFields

if TYPE_CHECKING:
    from hostedge.http.h1 import H1

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
UPGRADED = b"\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
SWITCHING = 101
_STRICT = b"\r\nStrict-Transport-Security: "
_SAYS_STRICT = _STRICT.lower()

_WITHOUT_BODY = frozenset((204, 304))
# what a field's line begins with, the end of the line before it included
_starts: Memo[bytes, bytes] = Memo(lambda name: b"\r\n" + name + b": ")
_status_lines: Memo[int, bytes] = Memo(
    lambda status: b"HTTP/1.1 %d %s" % (status, phrase(status).encode())
)


class H1Exchange(Answering):
    """The facts of a request, and where its answer stands."""

    # there is one answer at a time, and its producer stops
    crowded = False

    __slots__ = (
        *("connection", "received"),
        # HTTP/1.0, and whether the connection ends with this answer
        *("protocol", "old", "close"),
        *("chunked", "producing"),
    )

    def __init__(
        self,
        connection: H1,
        method: bytes,
        target: bytes,
        path: bytes,
        query: bytes | None,
        fields: Fields,
        length: int | None,
        host: str,
        authority: bytes,
    ) -> None:
        super().__init__(connection, method, target, path, query, fields, length, host, authority)
        self.connection = connection
        self.complete = length == 0
        self.received = 0
        self.protocol = "HTTP/1.1"
        self.old = self.close = self.chunked = self.producing = False

    @property
    def local_host(self) -> str:
        return self.connection.local_host

    def age(self) -> None:
        """The client speaks HTTP/1.0."""
        self.old = True
        self.protocol = "HTTP/1.0"

    def first_bytes(self) -> bytes:
        # what is wrong may lie in the framing of the body
        return super().first_bytes() + self.connection.broken_bytes

    def _want_body(self) -> None:
        if self.expects and not self.begun:
            self.expects = False
            self.connection.put(CONTINUE)
        self.connection.want_body()

    def inform(self, status: int, fields: Fields) -> None:
        if self.begun or self.over or self.old or not self._is_of_browser():
            return
        lines = [_starts[name] + value for name, value in fields]
        self.connection.put(b"".join((_status_lines[status], *lines, b"\r\n\r\n")))

    def _is_of_browser(self) -> bool:
        """
        Some clients of HTTP/1.1 take any 1xx for the answer, though they must not; RFC 8297
        section 3. Browsers say that they are some.
        """
        return any(name.lower().startswith(b"sec-fetch-") for name, _ in self.fields)

    def begin(self, status: int, fields: Fields, length: int | None) -> None:
        if self.over:
            return
        assert not self.begun, "an answer begins once"  # noqa: S101
        self.begun = True
        self.status = status
        connection = self.connection
        lines = fields.lines if type(fields) is LastingFields else b""
        if not lines:
            lines = b"".join([_starts[name] + value for name, value in fields])
            if type(fields) is LastingFields:
                fields.lines = lines
        if self.strict:
            lines = self._strict_lines(fields, lines)
        parts = [_status_lines[status], lines, b"\r\nDate: ", self.entrance.date()]
        if status in _WITHOUT_BODY:
            self.bodyless = True
        elif length is not None:
            self.left = length
            parts.append(b"\r\nContent-Length: %d" % length)
        elif self.bodyless:
            pass
        elif self.old:
            self.close = True
        else:
            self.chunked = True
            parts.append(b"\r\nTransfer-Encoding: chunked")
        if self.close or connection.must_close(self):
            self.close = True
            parts.append(b"\r\nConnection: close\r\n\r\n")
        elif self.old:
            parts.append(b"\r\nConnection: keep-alive\r\n\r\n")
        else:
            parts.append(b"\r\n\r\n")
        self.head = b"".join(parts)

    def _strict_lines(self, fields: Fields, lines: bytes) -> bytes:
        """As `strictly`: these lines of those fields; nearly never does one of them say it."""
        if _SAYS_STRICT in lines.lower():
            return b"".join([_starts[name] + value for name, value in self.strictly(fields)])
        return lines + _STRICT + self.strict

    def respond(self, status: int, fields: Fields, body: bytes) -> None:
        if self.over:
            return
        self.begin(status, fields, len(body))
        head, self.head = self.head, b""
        if self.bodyless:
            body = b""
        self.sent = len(body)
        self.connection.put(head + body)
        self._end()
        self.connection.answered(self)

    def write(self, data: bytes) -> None:
        if self.over:
            return
        if self.bodyless:
            data = b""
        elif data:
            if self.left is not None:
                self.left -= len(data)
                if self.left < 0:
                    self.abort()
                    return
            self.sent += len(data)
            if self.chunked:
                data = b"%x\r\n%b\r\n" % (len(data), data)
        if self.head:
            data = self.head + data
            self.head = b""
        if data:
            self.connection.put(data)

    def finish(self) -> None:
        if self.over:
            return
        if self.left and not self.bodyless:
            self.abort()
            return
        tail = b"0\r\n\r\n" if self.chunked else b""
        if self.head or tail:
            self.connection.put(self.head + tail)
            self.head = b""
        self._end()
        self.connection.answered(self)

    def abort(self) -> None:
        if self.over:
            return
        self.whole = False
        self._end()
        self.entrance.counters["http_aborted"] += 1
        self.connection.end()

    def register_producer(self, producer: Producer) -> None:
        if self.over:
            producer.stopProducing()
            return
        self.producing = True
        self.began = monotonic()
        self.connection.transport.registerProducer(producer, True)

    def switch(self, fields: Fields, successor: Successor) -> tuple[Any, bytes]:
        assert not self.begun, "an answer begins once"  # noqa: S101
        self._leave_source()
        self.begun = True
        self.began = monotonic()
        self.status = SWITCHING
        if self.strict:
            fields = self.strictly(fields)
        parts = [_status_lines[SWITCHING]]
        parts += [_starts[name] + value for name, value in fields]
        parts += (b"\r\nDate: ", self.entrance.date(), UPGRADED)
        self.connection.put(b"".join(parts))
        return self.connection.hand_over(successor)

    def leave(self, sent: int, received: int, whole: bool, cause: str) -> None:
        if self.over:
            return
        self.sent = sent
        self.received = received
        self.cause = cause
        self.whole = whole
        self._end()

    def take_body(self, data: bytes) -> None:
        """A piece of the request's body, from the protocol."""
        self.received += len(data)
        if self.receiver is not None and not self.over:
            self.receiver.body_data(data)

    def end_body(self) -> None:
        """The request is complete."""
        self.complete = True
        self.spend("body", monotonic() - self.started)
        if self.receiver is not None and not self.over:
            self.receiver.body_end()

    def _end(self) -> None:
        self.over = True
        asking, self.asking = self.asking, None
        if asking is not None:
            asking.end()
        # receivers hold their exchange: without this only the collector could free both
        self.receiver = None
        now = monotonic()
        self.total = now - self.started
        if self.began:
            self.spend("answer", now - self.began)
        if self.producing:
            self.producing = False
            self.connection.transport.unregisterProducer()
        self.entrance.record(self)


class H1TurnedAway(H1Exchange):
    """
    A request that is refused for its head, with as much of it as could be read; of one without a
    method nothing could.
    """

    turned_away = True

    __slots__ = ("version", "raw", "verbatim")

    def __init__(self, connection: H1, read: Readable, raw: bytes = b"") -> None:
        """`raw`: as it came, where it is not valid as far as fields can be told apart."""
        method, target, version, fields, host = read
        super().__init__(connection, method, target, target, None, fields, None, host, b"")
        self.version = version
        self.raw = raw
        self.verbatim = bool(raw) or not method
        self.old = version == b"1.0"
        # what follows could be taken for the next one
        self.close = True

    def first_bytes(self) -> bytes:
        if self.verbatim:
            return self.raw
        first_line = b"%b %b HTTP/%b" % (self.method, self.target, self.version)
        return written(first_line, self.fields)

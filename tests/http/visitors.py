"""
Clients of HTTP/1 and HTTP/2 that know what they asked, and judge what they get.

In:  `test_any_order`, which also says what servers have answered.
Out: bytes to the protocols; for each request the status of its answer once that is whole.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from struct import pack

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from hostedge.http.h1 import H1
from hostedge.http.h2 import H2
from hostedge.wire.h2_frame import DEFAULT_WINDOW, INITIAL_WINDOW_SIZE
from tests.http.h2_parts import PREFACE, Heard, block, frame
from tests.http.h2_parts import asked as make_fields
from tests.http.parts import ClientEnd, Scene

# what a request without a good answer may get
EXCUSES = frozenset((502, 503, 504, 408))
# in place of the status of an answer that was broken off
BROKEN = -1
WIDE = (1 << 31) - 1
_WITHOUT_BODY = frozenset((b"GET", b"HEAD"))


class Asked:
    """One request, and what became of it."""

    def __init__(self, number: int, method: bytes, body: bytes = b"") -> None:
        self.number = number
        self.method = method
        self.body = body
        # how often a server has had all of it
        self.arrived = 0
        # a server's whole answers to it, in the order in which they were given
        self.given: list[bytes] = []
        # the bodies of all that was given, whole or not
        self.bodies: list[bytes] = []
        # a server has begun to answer before it had all of it, or has broken off; or the client
        # has said that it wants no answer
        self.disturbed = False

    def check(self, status: int, number: bytes, body: bytes) -> None:
        """See that a whole answer is one to this request."""
        if status == 200:
            assert number == b"%d" % self.number, (number, self.number)
            assert self.given, "an answer that nobody gave"
            if self.method != b"HEAD":
                assert body in self.bodies, "another body than was given"
        else:
            assert status in EXCUSES, (status, body)


class Visitor(ABC):
    """One connection of a client: what it asked, what it has not sent yet."""

    def __init__(self, protocol: H1 | H2, transport: ClientEnd) -> None:
        self.protocol = protocol
        self.transport = transport
        self.asked: list[Asked] = []
        self.unsent = b""

    @property
    def is_there(self) -> bool:
        return self.transport.connected and not self.transport.half_closed

    def send(self, size: int) -> None:
        piece, self.unsent = self.unsent[:size], self.unsent[size:]
        if piece and self.is_there:
            self.protocol.dataReceived(piece)

    def say_all(self) -> None:
        """Hold nothing back any more."""
        self.send(1 << 20)

    def leave(self) -> None:
        """Its connection breaks."""
        if self.transport.connected:
            self.transport.connected = False
            self.protocol.connectionLost(Failure(ConnectionLost()))

    @abstractmethod
    def ask(self, asked: Asked, chunked: bool) -> None:
        """Put a request behind what is not sent yet; `chunked`: in a way that tells no length."""

    @abstractmethod
    def statuses(self) -> list[int]:
        """Those of its answers that are whole, in the order in which it asked; 0: it is not."""

    @property
    def is_done(self) -> bool:
        """Whether there is an answer to each request, or its connection has ended."""
        return not self.is_there or 0 not in self.statuses()

    @abstractmethod
    def may_lack(self, asked: Asked) -> bool:
        """Whether the client itself is to blame if it has not got what was given."""


class H1Visitor(Visitor):
    """Asks one request after the other."""

    def ask(self, asked: Asked, chunked: bool) -> None:
        self.asked.append(asked)
        head = b"%b /%d HTTP/1.1\r\nHost: a.test\r\n" % (asked.method, asked.number)
        body = asked.body
        if asked.method in _WITHOUT_BODY:
            self.unsent += head + b"\r\n"
        elif chunked:
            pieces = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            self.unsent += head + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n"
        else:
            self.unsent += head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)

    def statuses(self) -> list[int]:
        statuses: list[int] = []
        rest = self.transport.value()
        asked = iter(self.asked)
        while rest:
            if rest.startswith(b"HTTP/1.1 100 "):
                rest = rest.partition(b"\r\n\r\n")[2]
                continue
            of = next(asked)
            found = take_answer(rest, of.method)
            if found is None:
                break
            status, fields, body, rest = found
            statuses.append(status)
            of.check(status, fields.get(b"x-number", b""), body)
        return statuses + [0] * (len(self.asked) - len(statuses))

    def may_lack(self, asked: Asked) -> bool:
        return False


class H2Visitor(Visitor):
    """
    Asks as much as it likes at once. Bodies may come after the heads of later requests; answers
    have to fit in windows, which may be small until `make_room`.
    """

    def __init__(self, protocol: H2, transport: ClientEnd, window: int) -> None:
        super().__init__(protocol, transport)
        self.heard = Heard()
        # bodies that are held back, with their streams
        self.later: list[tuple[int, bytes]] = []
        self.cancelled: set[int] = set()
        # what the client itself may be blamed for: it takes little; it sends half a frame
        self.is_slow = self.is_small = window < WIDE
        self.has_dawdled = False
        room = frame("WINDOW_UPDATE", 0, 0, pack(">L", WIDE - DEFAULT_WINDOW))
        self.unsent = PREFACE + _settings(window) + room
        self.say_all()

    def send(self, size: int) -> None:
        super().send(size)
        self.has_dawdled = self.has_dawdled or bool(self.unsent)

    def say_all(self) -> None:
        self.release(len(self.later))
        super().say_all()

    def ask(self, asked: Asked, chunked: bool) -> None:
        stream = 2 * len(self.asked) + 1
        self.asked.append(asked)
        bare = asked.method in _WITHOUT_BODY
        size = () if chunked or bare else (("content-length", str(len(asked.body))),)
        fields = make_fields(asked.method.decode(), f"/{asked.number}", *size)
        self.unsent += frame("HEADERS", 0x5 if bare else 0x4, stream, block(fields))
        if not bare:
            half = len(asked.body) // 2
            self.later.append((stream, frame("DATA", 0, stream, asked.body[:half])))
            self.later.append((stream, frame("DATA", 0x1, stream, asked.body[half:])))

    def release(self, count: int) -> None:
        """Hold so many pieces of bodies back no more."""
        self.unsent += b"".join(piece for _, piece in self.later[:count])
        del self.later[:count]

    def make_room(self) -> None:
        """Let every answer come."""
        self.is_small = False
        self.unsent += _settings(WIDE)

    def cancel(self, which: int) -> None:
        """Take a request back that is under way."""
        super().say_all()
        statuses = self.statuses()
        open_ones = [place for place, status in enumerate(statuses) if not status]
        if open_ones and self.is_there:
            place = open_ones[which % len(open_ones)]
            stream = 2 * place + 1
            self.later = [each for each in self.later if each[0] != stream]
            self.cancelled.add(stream)
            self.asked[place].disturbed = True
            self.protocol.dataReceived(frame("RST_STREAM", 0, stream, pack(">L", 8)))

    def statuses(self) -> list[int]:
        data = self.transport.value()
        self.transport.clear()
        for kind, _, stream, _ in self.heard.take(data):
            assert stream not in self.cancelled or kind == "RST_STREAM", (kind, stream)
        return [self._status(place) for place in range(len(self.asked))]

    def _status(self, place: int) -> int:
        heard, stream = self.heard, 2 * place + 1
        if stream in self.cancelled:
            return BROKEN
        if stream in heard.ended:
            status = heard.statuses[stream][-1]
            number = dict(heard.fields[stream]).get(b"x-number", b"")
            self.asked[place].check(status, number, heard.bodies.get(stream, b""))
            return status
        return BROKEN if stream in heard.reset else 0

    def may_lack(self, asked: Asked) -> bool:
        return self.is_slow or self.has_dawdled


def _settings(window: int) -> bytes:
    return frame("SETTINGS", 0, 0, pack(">HL", INITIAL_WINDOW_SIZE, window))


def visit(scene: Scene, window: int | None) -> Visitor:
    """A new client of HTTP/2 with such windows; None: of HTTP/1."""
    if window is None:
        return H1Visitor(*scene.connect())
    protocol, transport = H2(scene.entrance), ClientEnd()
    transport.protocol = protocol
    protocol.makeConnection(transport)
    return H2Visitor(protocol, transport, window)


Answer = tuple[int, dict[bytes, bytes], bytes, bytes]


def take_answer(data: bytes, method: bytes) -> Answer | None:
    """Give status, fields, body and what follows; None if it is not whole."""
    head, blank, rest = data.partition(b"\r\n\r\n")
    if not blank:
        return None
    first, *lines = head.split(b"\r\n")
    status = int(first.split(b" ")[1])
    fields = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
    if method == b"HEAD" and status != 408:
        # of a head that never was whole nobody knows that it was one
        return status, fields, b"", rest
    if fields.get(b"transfer-encoding") == b"chunked":
        body = b""
        while True:
            line, blank, rest = rest.partition(b"\r\n")
            if not blank:
                return None
            size = int(line, 16)
            if len(rest) < size + 2:
                return None
            body, rest = body + rest[:size], rest[size + 2 :]
            if not size:
                return status, fields, body, rest
    size = int(fields[b"content-length"])
    return None if len(rest) < size else (status, fields, rest[:size], rest[size:])

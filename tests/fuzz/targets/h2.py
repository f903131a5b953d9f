"""
A connection of HTTP/2: frames, header blocks, requests, and an owner that answers.

In:  `targets.known`.
Out: `TARGET`. The first two bytes of an input say where the others are cut; if the first is odd,
     the client's greeting is put before.
"""

from __future__ import annotations

from collections.abc import Iterator

from hostedge.errors import CAUSES, BadRequest
from hostedge.http.h2_engine import CONNECTION_WINDOW, Engine, Terms
from hostedge.http.h2_head import is_trailer, read_request
from hostedge.http.h2_outflow import Stream
from hostedge.wire.header_block import Field, make_block
from tests.fuzz.targets.kind import Target, plain_cases, with_cuts
from tests.http.h2_parts import HELLO, read_case, split_frames

# more than all that an input of a fuzzer's size can ask for
MOST_SENT = 2_000_000


class Owner:
    """Answers each request with what it has read, and writes down what it was told."""

    def __init__(self) -> None:
        self.engine = Engine(self, Terms())
        self.told: list[object] = []
        self.open: set[int] = set()
        self.bodies: dict[int, bytes] = {}

    def head(self, stream: Stream, fields: list[Field], size: int, last: bool) -> None:
        assert stream.id not in self.open
        self.told.append((stream.id, tuple(fields), last))
        self.bodies[stream.id] = b""
        try:
            request = read_request(fields, size, b"https", last)
        except BadRequest as refusal:
            assert refusal.cause in CAUSES
            self.engine.fault(stream, 1)
            return
        assert request.target[:1] == b"/" or request.target == b"*"
        self.open.add(stream.id)
        if last:
            self.answer(stream)

    def body(self, stream: Stream, data: bytes, last: bool) -> None:
        assert stream.id in self.open
        self.bodies[stream.id] += data
        self.engine.read(stream, len(data))
        if last:
            self.answer(stream)

    def answer(self, stream: Stream) -> None:
        self.open.discard(stream.id)
        body = self.bodies[stream.id]
        self.engine.answer(stream, make_block(200, [(b"x-a", b"b")]), not body)
        if body:
            self.engine.send(stream, body, True)

    def trailers(self, stream: Stream, fields: list[Field]) -> bool:
        return is_trailer(fields)

    def gone(self, stream: Stream) -> None:
        self.open.discard(stream.id)

    def refused(self) -> None:
        self.told.append("refused")

    def run(self, *pieces: bytes) -> None:
        sent = b""
        for piece in pieces:
            self.engine.feed(piece, 1000.0)
            sent += self.engine.take()
            _ = self.engine.relieved
        assert len(sent) < MOST_SENT
        # its own frames are well formed
        for kind, _, stream, payload in split_frames(sent):
            assert kind != "DATA" or stream in self.bodies
            assert kind != "GOAWAY" or len(payload) == 8
        assert sum(map(len, self.bodies.values())) <= sum(map(len, pieces)) + CONNECTION_WINDOW


def check(data: bytes) -> None:
    """However it is cut, the same is heard; what is sent is well formed, and not too much."""
    whole, pieces = with_cuts(data)
    if data and data[0] & 1:
        whole, pieces = HELLO + whole, (HELLO + pieces[0], pieces[1], pieces[2])
    one, other = Owner(), Owner()
    one.run(whole)
    other.run(*pieces)
    # what we say changes with what we have heard, and a fault of a stream with what we said
    if one.engine.broken == other.engine.broken == "" and one.open == other.open:
        assert one.told == other.told, (one.told, other.told)
        assert one.bodies == other.bodies


def seeds() -> Iterator[bytes]:
    for path in plain_cases("h2"):
        raw, _ = read_case(path)
        if len(raw) < 4096:
            if raw.startswith(HELLO):
                yield b"\x41\xa0" + raw[len(HELLO) :]
            else:
                yield b"\x40\xa0" + raw


TARGET = Target(
    name="h2",
    check=check,
    modules=(
        *("hostedge.http.h2_engine", "hostedge.http.h2_outflow", "hostedge.http.h2_budget"),
        *("hostedge.http.h2_head", "hostedge.wire.h2_frame", "hostedge.wire.header_block"),
    ),
    seeds=seeds,
    words=(
        *(b"\x00\x00\x04\x08\x00\x00\x00\x00", b"\x00\x00\x00\x04\x01\x00\x00\x00\x00"),
        *(b"\x01\x05\x00\x00\x00\x01", b"\x00\x01\x00\x00\x00\x01", b"\x09\x04\x00\x00\x00\x01"),
        *(b"\x82\x86\x84\x41\x01a", b"\x83\x86\x84\x41\x01a", b"\x3f\xe1\x1f", b"\x87", b"\xbe"),
        *(b"\x5c\x01\x33", b"\x00\x02te\x08trailers", b"\x00\x04host\x01a"),
    ),
)

"""
Requests of HTTP/1: heads, bodies, their ends, and what is refused.

In:  `targets.known`.
Out: `TARGET`. The first two bytes of an input say where the others are cut.
"""

from __future__ import annotations

from collections.abc import Iterator

from hostedge.errors import CAUSES, BadRequest
from hostedge.http.h1_reader import (
    END,
    FEED,
    Head,
    RequestReader,
    check_head,
    read_target,
)
from hostedge.settings import Limits
from tests.fuzz.targets.kind import Target, with_cuts
from tests.http.casefile import read_cases

# what is never let through to an upstream in a name or a value
LIMITS = Limits()
UNSAFE = frozenset(b"\r\n\0")


def read(*pieces: bytes) -> list[object]:
    """Give the events, with neighbouring pieces of a body put together."""
    reader = RequestReader()
    events: list[object] = []
    for piece in pieces:
        for at in range(0, len(piece), FEED):
            reader.feed(piece[at : at + FEED])
            if reader.held is not None:
                reader.go_on()
    for event in reader.events:
        if isinstance(event, bytes) and events and isinstance(events[-1], bytes):
            events[-1] += event
        else:
            events.append(event)
    assert len(reader.seen) <= 2048
    return events


def check(data: bytes) -> None:
    """However it is cut, the same comes out; what is accepted is read alike when sent on."""
    whole, pieces = with_cuts(data)
    events = read(whole)
    cut = read(*pieces)
    if not sizes_count(whole):
        assert cut == events, (cut, events)
    body = 0
    for number, event in enumerate(events):
        if isinstance(event, str):
            assert event in CAUSES and number == len(events) - 1
        elif isinstance(event, bytes):
            body += len(event)
        elif isinstance(event, tuple):
            check_one(event)
        else:
            assert event is END
    assert body <= len(whole)


def sizes_count(data: bytes) -> bool:
    """Say whether a limit may have been met, which is looked at once for each piece."""
    return len(data) > min(LIMITS.head_size, FEED) // 2 or data.count(b"\n") > LIMITS.head_fields


def check_one(head: Head) -> None:
    """A head that is accepted has one meaning, and keeps it on its way."""
    try:
        authority, length, _, _, _ = check_head(head)
        target, path, _ = read_target(head[0], head[1], b"http", authority)
    except BadRequest as refusal:
        assert refusal.cause in CAUSES
        return
    assert length is None or length >= 0
    assert path[:1] == b"/" or target == b"*"
    method, _, fields, version, _ = head
    assert version in ("1.0", "1.1")
    for name, value in fields:
        assert name and not UNSAFE & {*name, *value}, (name, value)
    lines = b"".join(b"%b: %b\r\n" % field for field in fields)
    sent = b"%b %b HTTP/%b\r\n%b\r\n" % (method, target, version.encode(), lines)
    again = read(sent)[0]
    assert isinstance(again, tuple)
    assert again[:2] == (method, target) and stripped(again[2]) == stripped(fields)
    assert check_head(again)[:2] == (authority, length)


def stripped(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [(name, value.strip(b" \t")) for name, value in fields]


def seeds() -> Iterator[bytes]:
    for case in read_cases("http"):
        if len(case.asked) < 4096:
            yield b"\x40\xa0" + case.asked
    yield (
        b"\0\xffPOST /a?b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\nabc\r\n0\r\nTrailer: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"
    )


TARGET = Target(
    name="h1",
    check=check,
    modules=(
        *("hostedge.http.h1_reader", "hostedge.wire.chunks"),
        *("hostedge.wire.target", "hostedge.wire.upgrade"),
    ),
    seeds=seeds,
    words=(
        *(b"GET ", b"POST ", b"OPTIONS *", b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", b"\r\n\r\n"),
        *(b"Host: a\r\n", b"Content-Length: ", b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
        *(b"Expect: 100-continue\r\n", b"Connection: ", b"Upgrade: websocket\r\n", b"http://a/"),
        *(b"Sec-WebSocket-Version: 13\r\n", b"Via: 1.1 hostedge\r\n", b"%2e%2e/", b"../"),
    ),
)

"""
Responses that came whole, with nothing about them that wants a closer look: nearly all.

In:  `http.upstream`, with the first bytes of a response.
Out: what the parser and `wire.response_head` would find; None: it is for them to say.
Spec: RFC 9112 sections 4, 5 and 6.3.

Most lines of most heads have come before, in the same bytes. So each is examined once, by rules
that are narrower than the parser's, and remembered: to have them all told by the parser, one call
for each, costs three times as much. And whole heads are, but for their dates: answers from files
and short ones of programs come again.
"""

from __future__ import annotations

import re

from hostedge.memo import Memo
from hostedge.wire.fields import LastingFields
from hostedge.wire.response_head import MAX_FIELDS, Fields, stays

_END = b"\r\n\r\n"
_DATE = b"\r\nDate: "
_DATE_SIZE = len(b"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n")
# 204 and 304 have no body, whatever their heads say
_status = re.compile(rb"HTTP/1\.1 (?!204|304)([2-5]\d\d) [\t -~\x80-\xff]*").fullmatch
# with something in it, and no blank at its end
_field = re.compile(
    rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)"
).fullmatch
_length = re.compile(rb"\d{1,18}").fullmatch
# of these, and of nothing else, the parser knows what they mean for the connection
_FRAMING = frozenset(
    (b"connection", b"proxy-connection", b"transfer-encoding", b"upgrade", b"content-length")
)

# what a line is: a field that travels back or does not, or one of those that say something here
_KEPT, _LEFT, _LENGTH, _KEEP_ALIVE, _UNCLEAR = range(5)

# status, fields that travel back, length, what `Keep-Alive` says
Told = tuple[int, LastingFields, int, bytes]
# the same, with the body itself
Whole = tuple[int, LastingFields, bytes, bytes]


def _kind(line: bytes) -> tuple[int, tuple[bytes, bytes]]:
    match = _field(line)
    if match is None:
        return _UNCLEAR, (b"", b"")
    item = match[1], match[2]
    name, value = item[0].lower(), item[1]
    if name == b"content-length" and _length(value):
        return _LENGTH, item
    if name == b"connection" and value.lower() == b"keep-alive":
        return _LEFT, item
    if name in _FRAMING:
        return _UNCLEAR, item
    if name == b"keep-alive":
        return _KEEP_ALIVE, item
    return _LEFT if stays(name) else _KEPT, item


def _code(line: bytes) -> int:
    match = _status(line)
    return 0 if match is None else int(match[1])


_kinds: Memo[bytes, tuple[int, tuple[bytes, bytes]]] = Memo(_kind)
_codes: Memo[bytes, int] = Memo(_code)


def _tell(head: bytes) -> Told | None:
    """Read a head without its last two line ends, perhaps also without a `Date`."""
    first, *lines = head.split(b"\r\n")
    status = _codes[first]
    if not status or len(lines) >= MAX_FIELDS:
        return None
    kept: Fields = []
    length = -1
    keep_alive = b""
    for line in lines:
        kind, item = _kinds[line]
        if not kind:
            kept.append(item)
        elif kind == _LEFT:
            continue
        elif kind == _LENGTH and length < 0:
            length = int(item[1])
        elif kind == _KEEP_ALIVE:
            keep_alive = item[1]
        else:
            return None
    return (status, LastingFields(kept), length, keep_alive) if length >= 0 else None


# the line of a `Date`, both line ends included
_is_date: Memo[bytes, bool] = Memo(
    lambda line: re.fullmatch(rb"\r\nDate: [!-~][ -~]{27}[!-~]\r\n", line) is not None, 4
)
_told: Memo[bytes, Told | None] = Memo(_tell, 256, 1024)


def read_whole(data: bytes, most: int) -> Whole | None:
    """
    Read a response to anything but HEAD, with a head of `most` bytes and a length that says that
    its body ends where `data` does; the connection may live on.
    """
    end = data.find(_END, 0, most)
    if end < 0:
        return None
    at = data.find(_DATE, 0, end)
    if at > 0 and _is_date[data[at : at + _DATE_SIZE]]:
        told = _told[data[:at] + data[at + _DATE_SIZE - 2 : end]]
    else:
        told = _told[data[:end]]
    if told is None:
        return None
    status, kept, length, keep_alive = told
    body = data[end + len(_END) :]
    return (status, kept, body, keep_alive) if len(body) == length else None

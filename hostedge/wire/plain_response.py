"""
Responses that came whole, with nothing about them that wants a closer look: nearly all.

In:  `http.upstream`, with the first bytes of a response.
Out: what the parser and `wire.response_head` would find; None: it is for them to say.
Spec: RFC 9112 sections 4, 5 and 6.3.

Most lines of most heads have come before, in the same bytes. So each is examined once, by rules
that are narrower than the parser's, and remembered: to have them all told by the parser, one call
for each, costs three times as much. And whole heads are, but for their dates: files and short
answers of programs come again. They are found by the size of the response, so that one that is
new costs next to nothing.
"""

from __future__ import annotations

import re

from hostedge.memo import LONGEST, Memo, Seen
from hostedge.wire.fields import LastingFields
from hostedge.wire.response_head import MAX_FIELDS, Fields, stays

_END = b"\r\n\r\n"
_DATE = b"\r\nDate: "
# all that are told today have this size
_DATE_SIZE = len(b"Sun, 06 Nov 1994 08:49:37 GMT")
# 204 and 304 have no body, whatever their heads say
_status = re.compile(rb"HTTP/1\.1 (?!204|304)([2-5]\d\d) [\t -~\x80-\xff]*").fullmatch
_token = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_VISIBLE = bytes((*range(0x21, 0x7F), *range(0x80, 0x100)))
_IN_VALUES = b"\t " + _VISIBLE
_BLANKS = b"\t "
# of these, and of nothing else, the parser knows what they mean for the connection
_FRAMING = frozenset(
    (b"connection", b"proxy-connection", b"transfer-encoding", b"upgrade", b"content-length")
)

# what a line is: a field that travels back, also one for a single client, or one that does not; or
# one of those that say something here
_KEPT, _OWN, _LEFT, _LENGTH, _KEEP_ALIVE, _UNCLEAR = range(6)

Line = tuple[int, tuple[bytes, bytes]]
_NO_LINE: Line = _UNCLEAR, (b"", b"")
# status, fields that travel back, body, what `Keep-Alive` says
Whole = tuple[int, Fields, bytes, bytes]


def _by_name(name: bytes) -> int:
    if _token(name) is None:
        return _UNCLEAR
    name = name.lower()
    if name == b"set-cookie":
        return _OWN
    if name == b"keep-alive":
        return _KEEP_ALIVE
    if name in _FRAMING:
        return _LENGTH if name == b"content-length" else _UNCLEAR
    return _LEFT if stays(name) else _KEPT


def _code(line: bytes) -> int:
    match = _status(line)
    return 0 if match is None else int(match[1])


_names: Memo[bytes, int] = Memo(_by_name)
_codes: Memo[bytes, int] = Memo(_code)
# whether something may stand where a date was
_is_date: Memo[bytes, bool] = Memo(lambda text: not text.translate(None, b" " + _VISIBLE), 4)
# lines that have come twice
_lines: dict[bytes, Line] = {}
_seen = Seen()
_MOST_LINES = 2048


def _read_line(line: bytes) -> Line:
    name, _, value = line.partition(b":")
    value = value.lstrip(_BLANKS)
    kind = _names[name]
    # with something in it, and no blank at its end: the parser would leave that there
    if not value or value[-1] in _BLANKS or value.translate(None, _IN_VALUES):
        return _NO_LINE
    if kind == _LENGTH and not (value.isdigit() and len(value) < 19):
        return _NO_LINE
    if kind == _UNCLEAR and name.lower() == b"connection" and value.lower() == b"keep-alive":
        kind = _LEFT
    found = kind, (name, value)
    if len(line) <= LONGEST and _seen.again(line):
        if len(_lines) >= _MOST_LINES:
            _lines.clear()
        _lines[line] = found
    return found


class _Known:
    """The head of a response that has come twice, all but its date."""

    __slots__ = ("before", "after", "behind", "size", "status", "fields", "keep_alive")

    def __init__(self, head: bytes, status: int, fields: Fields, keep_alive: bytes) -> None:
        before, line, after = head.partition(_DATE)
        if after[_DATE_SIZE:].startswith(b"\r\n"):
            self.before, self.after = before + line, after[_DATE_SIZE:]
            # where that begins
            self.behind = len(self.before) + _DATE_SIZE
        else:
            # it has none, or not as it ought to be: the whole must be the same
            self.before, self.after, self.behind = head, b"", len(head)
        self.size = len(head)
        self.status = status
        self.fields = LastingFields(fields)
        self.keep_alive = keep_alive


# by the size of the whole response; None: the last of that size was another one
_known: dict[int, _Known | None] = {}
_MOST_KNOWN = 256
_LONGEST_HEAD = 1024


def read_whole(data: bytes, most: int) -> Whole | None:
    """
    Read a response to anything but HEAD, with a head of `most` bytes and a length that says that
    its body ends where `data` does; the connection may live on.
    """
    size = len(data)
    known = _known.get(size)
    if known is not None and known.size <= most:
        before, behind = known.before, known.behind
        if (
            data.startswith(before)
            and data.startswith(known.after, behind)
            and _is_date[data[len(before) : behind]]
        ):
            return known.status, known.fields, data[known.size :], known.keep_alive
    end = data.find(_END, 0, most)
    if end < 0:
        return None
    first, *lines = data[:end].split(b"\r\n")
    status = _codes[first]
    if not status or len(lines) > MAX_FIELDS:
        return None
    kept: Fields = []
    length = -1
    keep_alive = b""
    lasts = end <= _LONGEST_HEAD
    for line in lines:
        found = _lines.get(line)
        if found is None:
            found = _read_line(line)
            # so this head is a new one
            lasts = lasts and line.startswith(b"Date:")
        kind, item = found
        if not kind:
            kept.append(item)
        elif kind == _LEFT:
            continue
        elif kind == _OWN:
            kept.append(item)
            lasts = False
        elif kind == _LENGTH and length < 0:
            length = int(item[1])
        elif kind == _KEEP_ALIVE:
            keep_alive = item[1]
        else:
            return None
    end += len(_END)
    if length != size - end:
        return None
    if lasts:
        if known is None and size in _known:
            _known[size] = _Known(data[:end], status, kept, keep_alive)
        else:
            if len(_known) >= _MOST_KNOWN:
                _known.clear()
            _known[size] = None
    return status, kept, data[end:], keep_alive

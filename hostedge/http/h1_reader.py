"""
What stands in the bytes of an HTTP/1 client: a list of heads, pieces of bodies, ends and faults.

In:  `http.h1` feeds what arrives, `FEED` bytes at most at a time.
Out: `events`, in order; `check_head` says what is wrong with a head that the parser lets pass.
Spec: RFC 9112, RFC 9110 sections 9.3, 10.1.1.

After the opening handshake of a WebSocket nothing is parsed before it is known whether what
follows is HTTP: `rest` waits, until `go_on`.

The parser (llhttp) refuses nearly all that RFC 9112 calls an error, but knows no sizes, and can
neither pause nor say where it is. So it gets each head by itself, and each body; what it would let
pass around them is refused here. A fault is a cause of `errors.CAUSES`; nothing follows it.
"""

from __future__ import annotations

from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from hostedge.errors import BadRequest
from hostedge.http.exchange import Fields
from hostedge.memo import Memo
from hostedge.settings import Limits
from hostedge.wire.chunks import Chunks
from hostedge.wire.fields import connection_options, goes_in_circles, is_plain
from hostedge.wire.target import origin_form, split_target
from hostedge.wire.upgrade import WEBSOCKET, asks_for

FEED = 16384
# bytes of a request that are kept for whoever asks why it was refused
MAX_SEEN = 2048
# bytes of chunk framing that are always allowed; beyond, twice the data
CHUNK_OVERHEAD = 16384

_USUAL = Limits()

# the end of a request
END = object()

_UNWANTED = {
    **dict.fromkeys((b"CONNECT", b"TRACE", b"PURGE"), "method"),
    # of RTSP and other relatives, which the parser also knows
    **dict.fromkeys(
        (b"ANNOUNCE", b"DESCRIBE", b"FLUSH", b"GET_PARAMETER", b"PAUSE", b"PLAY", b"PRI",
         b"RECORD", b"REDIRECT", b"SETUP", b"SET_PARAMETER", b"SOURCE", b"TEARDOWN"),
        "bad_request",
    ),
}  # fmt: skip
_HOST, _LENGTH, _CODING, _EXPECT, _CONNECTION, _UPGRADE, _PASSED, _ODD = range(1, 9)
_WATCHED = {
    b"host": _HOST,
    b"content-length": _LENGTH,
    b"transfer-encoding": _CODING,
    b"expect": _EXPECT,
    b"connection": _CONNECTION,
    b"upgrade": _UPGRADE,
    b"via": _PASSED,
    b"cdn-loop": _PASSED,
}
_watched: Memo[bytes, int] = Memo(
    lambda name: _WATCHED.get(name.lower(), 0 if is_plain(name) else _ODD)
)
MAX_DIGITS = 18  # of Content-Length
# options of `Connection` that name no field
_WORDS = frozenset((b"close", b"keep-alive", b"upgrade"))
_NOTHING: frozenset[bytes] = frozenset()

# method, target, fields, version, whether the connection may live on
Head = tuple[bytes, bytes, Fields, str, bool]
# the value of `Host`, the length, whether 100 is waited for, what stays here, the upgrade
Checked = tuple[bytes, int | None, bool, frozenset[bytes], str]


# where a reader is: before a request, in its head, in a body of a known length or in chunks
_BEFORE, _HEAD, _BODY, _CHUNKS = range(4)
_NEARLY_ALWAYS = b" HTTP/1.1\r"
_EMPTY = b"\r\n"
_COOKIE = b"cookie"
_END_OF_HEAD = b"\r\n\r\n"
_G, _CR, _BLANK = b"G\r "


class RequestReader:
    """The parser of one connection and what it has found; who reads `events` takes from it."""

    def __init__(self, limits: Limits = _USUAL) -> None:
        self._limits = limits
        # what is no longer than this is within all limits but those of numbers
        self._small = min(FEED, limits.field_size, limits.head_size)
        self.events: list[object] = []
        # how the request begins of which a part has come, or which is not valid
        self.seen = b""
        # what came after an opening handshake
        self.rest = b""
        # the parser, while it is open whether what follows is HTTP
        self.held: HttpRequestParser | None = None
        self._parser: HttpRequestParser | None = HttpRequestParser(self)
        self._place = _BEFORE
        # bytes of an empty line that have come before a request
        self.empty = 0
        # of the head that is coming: what its first line is in, and where; its last bytes
        self._line = self._tail = self._url = b""
        self._at = 0
        self._fields: Fields = []
        self._hasty = self._spanned = self._muted = False
        # bytes fed since anything came out
        self._quiet = 0
        # of the body that is coming: bytes of its length; its chunks, bytes fed and that came out
        self._left = self._fed = self._got = 0
        self._chunks = Chunks()

    @property
    def begun(self) -> bool:
        """Whether a part of a request has come that is in no event yet."""
        return self._quiet > 0 or self._place == _HEAD

    @property
    def is_between(self) -> bool:
        """Whether nothing has come since a request, not even an empty line."""
        return self._place == _BEFORE and not self.empty

    def feed(self, data: bytes) -> None:
        """Parse a piece."""
        if (
            # nearly always a GET and nothing else, nor a part of it
            data[-4:] == _END_OF_HEAD
            and data[0] == _G
            and data[-5] > _CR
            and self._place == _BEFORE
            and self._take_gets(data)
        ):
            return
        before, size = len(self.events), len(data)
        while data and self._parser is not None:
            place = self._place
            if place == _BEFORE:
                data = self._begin_head(data)
            elif place == _BODY:
                data = self._take_body(data)
            elif place == _HEAD:
                data = self._take_head(data)
            else:
                data = self._take_chunks(data)
        if data and self.held is not None:
            self.rest += data
        if len(self.events) != before:
            self._quiet = 0
        elif self._parser is not None:
            self._quiet += size
            limits = self._limits
            if self._quiet > limits.head_size or len(self._fields) > limits.head_fields:
                self._fault(self._too_much())

    def _take_gets(self, data: bytes) -> bool:
        """
        Parse what should be heads, no empty lines and no bodies; False: it is not, nothing is done.

        To look for the end of each before it is parsed would cost a fifth more.
        """
        parser = self._parser
        if parser is None or self.empty:
            return False
        before = len(self.events)
        self._hasty = True
        self._place = _HEAD
        self._line = data
        try:
            parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            if upgrade.args[0] != len(data):
                self._go_back(before)
                return False
            self._without_upgrade()
        except HttpParserError as error:
            if len(self.events) != before:
                self._go_back(before)
                return False
            self._see(data)
            self._fault(self._cause(str(error)))
        self._hasty = False
        self._line = b""
        if self._at:
            self._at = 0
        if self._place == _BODY and self._parser is not None:
            self._await_body(self.events[-1][2])  # type: ignore[index]
        return True

    def _go_back(self, before: int) -> None:
        """Forget a feed that was not what it looked like."""
        del self.events[before:]
        self._parser = HttpRequestParser(self)
        self._hasty = False
        self._place = _BEFORE
        self._url, self._fields = b"", []
        self.seen = b""
        self._at = 0

    # each gives what is left

    def _begin_head(self, data: bytes) -> bytes:
        if data[0] <= _BLANK or self.empty:
            return self._take_empty(data)
        self._place = _HEAD
        self._line = data
        end = data.find(_END_OF_HEAD) + 4
        if end > 3:
            self._take_whole(data[:end])
            return data[end:]
        self._take_part(data)
        return b""

    def _take_empty(self, data: bytes) -> bytes:
        """Let one empty line pass before a request: RFC 9112 section 2.2."""
        if self.empty == 2 and data[0] > _BLANK:
            self.empty = 0
            return self._begin_head(data)
        if data[:1] != _EMPTY[self.empty : self.empty + 1]:
            self._see(data)
            self._fault("bad_request")
        self.empty += 1
        return data[1:]

    def _take_head(self, data: bytes) -> bytes:
        self._spanned = True
        if b"\n" not in self._line:
            self._line += data
        tail = self._tail
        at = (tail + data).find(_END_OF_HEAD)
        if at < 0:
            self._take_part(data)
            return b""
        end = at + 4 - len(tail)
        self._take_whole(data[:end])
        return data[end:]

    def _take_part(self, data: bytes) -> None:
        self._tail = (self._tail + data)[-3:]
        self._parse(data)
        if self._parser is not None:
            self._see(data)

    def _take_whole(self, data: bytes) -> None:
        """Parse a head to its end."""
        self._parse(data)
        if self._parser is None and self.held is None:
            return
        self._line = b""
        if self._tail or self.seen:
            self._tail = self.seen = b""
        if self._place == _BODY:
            self._await_body(self.events[-1][2])  # type: ignore[index]
        elif self._place == _HEAD:
            # the parser means another end
            self._see(data)
            self._fault("bad_request")

    def _await_body(self, fields: Fields) -> None:
        for name, value in fields:
            if _watched[name] == _LENGTH:
                self._left = int(value)
                return
        self._place = _CHUNKS
        self._chunks = Chunks()
        self._fed = self._got = 0

    def _take_body(self, data: bytes) -> bytes:
        left = self._left
        piece = data if len(data) <= left else data[:left]
        self._left = left - len(piece)
        self._parse(piece)
        if not self._left and self._place == _BODY:
            self._fault("bad_request")
        return data[len(piece) :]

    def _take_chunks(self, data: bytes) -> bytes:
        chunks = self._chunks
        size = chunks.follow(data)
        self._parse(data[:size])
        self._fed += size
        ended = self._place != _CHUNKS
        if chunks.broken or ended is not chunks.ended:
            self._see(chunks.line)
            self._fault("bad_request")
        elif not ended and self._fed > CHUNK_OVERHEAD + 3 * self._got:
            self._see(data)
            self._fault("bad_request")
        return data[size:]

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)  # type: ignore[union-attr]
        except HttpParserUpgrade:
            self._without_upgrade()
        except HttpParserError as error:
            self._see(data)
            self._fault(self._cause(str(error)))

    # what the parser says

    def go_on(self) -> None:
        """It was an ordinary request after all: what follows is HTTP."""
        self._parser, self.held = self.held, None
        rest, self.rest = self.rest, b""
        if rest:
            self.feed(rest)

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        url, fields = self._url, self._fields
        self._url, self._fields = b"", []
        if self._place != _HEAD:
            self._find_next()
        self._place = _BODY
        parser = self._parser
        if self._muted or parser is None:
            return
        method = parser.get_method()
        after = self._at + len(method) + len(url) + 1
        if self._line.startswith(_NEARLY_ALWAYS, after):
            version = "1.1"
        elif self._line.startswith(b" HTTP/", after):
            version = parser.get_http_version()
        else:
            # two blanks where one belongs, no version, or another protocol's
            self._see(self._line[self._at :])
            self._fault("bad_request")
            return
        if self._spanned or len(self._line) > self._small:
            self._spanned = False
            if _is_large(fields, self._limits):
                if not self.seen:
                    self._see(self._line[self._at :])
                self._fault("large_head")
                return
        self.events.append((method, url, fields, version, parser.should_keep_alive()))

    def _find_next(self) -> None:
        """One more head is in what was fed, though it should have come by itself."""
        if not self._hasty or self._place != _BEFORE:
            raise ValueError("the parser means another end of what came before")
        self._at = at = self._line.find(_END_OF_HEAD, self._at) + 4
        if self._line[at] <= _BLANK:
            raise ValueError("an empty line")

    def on_body(self, data: bytes) -> None:
        if self._hasty:
            raise ValueError("a body")
        self._got += len(data)
        self.events.append(data)

    def on_chunk_header(self) -> None:
        if self._hasty:
            raise ValueError("a body")

    def on_message_complete(self) -> None:
        if self._parser is None:
            return
        self._place = _BEFORE
        if self._fields:
            # trailers; nobody asked for them, and merged into the fields they would lie
            self._fields = []
        self.events.append(END)

    def _see(self, data: bytes) -> None:
        room = MAX_SEEN - len(self.seen)
        if room > 0:
            self.seen += data[:room]

    def _fault(self, cause: str) -> None:
        if self._parser is not None:
            self._parser = None
            self.events.append(cause)

    def _cause(self, error: str) -> str:
        if self._place == _HEAD and self._line.startswith(b"TRACK"):
            # the parser does not know it, and need not wait for the next byte to say so
            return "method"
        return "version" if "HTTP version" in error else "bad_request"

    def _too_much(self) -> str:
        if self._place != _HEAD:
            return "bad_request"
        return "long_target" if len(self._url) > self._limits.target_size else "large_head"

    def _without_upgrade(self) -> None:
        """
        Go on after a request that asks for an upgrade; but a WebSocket's is for the leaf to
        answer. Any other is answered as if it had not asked.

        The parser takes such a request for one without a body. So a new parser is given the
        framing alone, and reads the body.
        """
        if self._parser is None:
            return
        head = cast(Head, self.events[-2])
        framing = [item for item in head[2] if _watched[item[0]] in (_LENGTH, _CODING)]
        if framing:
            self.events.pop()
            self._parser = HttpRequestParser(self)
            self._place = _HEAD
            lines = b"".join(b"%b: %b\r\n" % item for item in framing)
            self._muted = True
            self._parse(b"POST / HTTP/1.1\r\n" + lines + b"\r\n")
            self._muted = False
        elif asks_for(head[0], head[3], head[2]) == WEBSOCKET:
            self.held, self._parser = self._parser, None


def _is_large(fields: Fields, limits: Limits) -> bool:
    sizes = [len(name) + len(value) + 4 for name, value in fields]
    if sum(sizes) > limits.head_size or max(sizes, default=0) > limits.field_size:
        return True
    # an app sees them as one field, whatever came between them
    cookies = [size for size, item in zip(sizes, fields, strict=True) if item[0].lower() == _COOKIE]
    return sum(cookies) > limits.field_size


def check_head(head: Head, limits: Limits = _USUAL, default_host: bytes = b"") -> Checked:
    """
    Check what the parser lets pass.

    Gives the value of `Host` (of HTTP/1.0 without one `default_host`), the length as in exchanges,
    whether `100 Continue` is waited for, the fields that stay on this hop because `Connection` says
    so or an app could take them for others, and which upgrade is asked for.

    Raises:
        BadRequest: with the cause of the refusal.
    """
    method, target, fields, version, _ = head
    if version != "1.1" and version != "1.0":
        raise BadRequest("version")
    if len(target) > limits.target_size:
        raise BadRequest("long_target")
    if len(fields) > limits.head_fields:
        raise BadRequest("large_head")
    if method in _UNWANTED:
        raise BadRequest(_UNWANTED[method])
    authority: bytes | None = None
    length: int | None = 0
    expects = False
    passed: list[bytes] = []
    limited, upgrade = _NOTHING, ""
    for name, value in fields:
        kind = _watched[name]
        if not kind:
            continue
        value = value.strip(b" \t")
        if kind == _HOST:
            if authority is not None:
                raise BadRequest("bad_host", "two Host fields")
            authority = value
        elif kind == _CONNECTION:
            limited |= connection_options([value])
        elif kind == _LENGTH:
            if len(value) > MAX_DIGITS:
                raise BadRequest("bad_request", "a length of too many digits")
            length = int(value)
        elif kind == _CODING:
            # the parser has refused Content-Length beside it
            if length is None or version == "1.0" or value.lower() != b"chunked":
                raise BadRequest("bad_request", "transfer coding")
            length = None
        elif kind == _UPGRADE:
            upgrade = upgrade or asks_for(method, version, fields)
        elif kind == _PASSED:
            passed.append(value)
        elif kind == _ODD:
            limited |= {name.lower()}
        elif value.lower() == b"100-continue":
            expects = version == "1.1"
        else:
            raise BadRequest("expectation")
    if authority is None:
        authority = _without_host(version, default_host)
    if passed and goes_in_circles(passed):
        raise BadRequest("loop")
    return authority, length, expects and length != 0, limited and limited - _WORDS, upgrade


def _without_host(version: str, default_host: bytes) -> bytes:
    if version != "1.0" or not default_host:
        raise BadRequest("bad_host", "no Host field")
    return default_host


def read_target(
    method: bytes, target: bytes, scheme: bytes, authority: bytes
) -> tuple[bytes, bytes, bytes | None]:
    """
    Give the target in origin-form, its path in match form, and its query.

    Raises:
        BadRequest: it has no form that this method may have, or is not valid.
    """
    if target[:1] != b"/":
        target = origin_form(method, target, scheme, authority)
        if target == b"*":
            return target, target, None
    path, query = split_target(target)
    return target, path, query

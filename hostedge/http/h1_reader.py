"""
What stands in the bytes of an HTTP/1 client: a list of heads, pieces of bodies, ends and faults.

In:  `http.h1` feeds what arrives, `FEED` bytes at most at a time.
Out: `events`, in order; `check_head` says what is wrong with a head that the parser lets pass.
Spec: RFC 9112, RFC 9110 sections 9.3, 10.1.1.

After the opening handshake of a WebSocket nothing is parsed before it is known whether what
follows is HTTP: `rest` waits, until `go_on`.

The parser (llhttp) refuses what RFC 9112 calls an error, but knows no sizes, and can neither
pause nor say where it is. A fault is a cause of `errors.CAUSES`; nothing follows it.
"""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from hostedge.errors import BadRequest
from hostedge.http.exchange import Fields
from hostedge.memo import Memo
from hostedge.wire.fields import connection_options, goes_in_circles
from hostedge.wire.target import origin_form, split_target
from hostedge.wire.upgrade import WEBSOCKET, asks_for

FEED = 16384
MAX_TARGET = 8192
MAX_FIELD = 16384
MAX_SECTION = 32768
MAX_FIELDS = 128
# bytes of a request that are kept for whoever asks why it was refused
MAX_SEEN = 2048
# bytes of chunk framing that are always allowed; beyond, twice the data
CHUNK_OVERHEAD = 16384

# the end of a request
END = object()

_UNWANTED = {
    **dict.fromkeys((b"CONNECT", b"TRACE"), "method"),
    # of RTSP and other relatives, which the parser also knows
    **dict.fromkeys(
        (b"ANNOUNCE", b"DESCRIBE", b"FLUSH", b"GET_PARAMETER", b"PAUSE", b"PLAY", b"PRI",
         b"RECORD", b"REDIRECT", b"SETUP", b"SET_PARAMETER", b"SOURCE", b"TEARDOWN"),
        "bad_request",
    ),
}  # fmt: skip
_HOST, _LENGTH, _CODING, _EXPECT, _CONNECTION, _UPGRADE, _VIA = range(1, 8)
_WATCHED = {
    b"host": _HOST,
    b"content-length": _LENGTH,
    b"transfer-encoding": _CODING,
    b"expect": _EXPECT,
    b"connection": _CONNECTION,
    b"upgrade": _UPGRADE,
    b"via": _VIA,
}
_watched: Memo[bytes, int] = Memo(lambda name: _WATCHED.get(name.lower(), 0))
# options of `Connection` that name no field
_WORDS = frozenset((b"close", b"keep-alive", b"upgrade"))
_NOTHING: frozenset[bytes] = frozenset()

# method, target, fields, version, whether the connection may live on
Head = tuple[bytes, bytes, Fields, str, bool]


class RequestReader:
    """The parser of one connection and what it has found; who reads `events` takes from it."""

    def __init__(self) -> None:
        self.events: list[object] = []
        # how the request begins of which a part has come, or which is not valid
        self.seen = b""
        # what came after an opening handshake
        self.rest = b""
        self._held: HttpRequestParser | None = None
        self._parser: HttpRequestParser | None = HttpRequestParser(self)
        self._url = b""
        self._fields: Fields = []
        self._in_head = self._in_body = self._spanned = self._muted = False
        # bytes fed since anything came out
        self._quiet = 0
        # of the body that is arriving: bytes fed, bytes that came out
        self._fed = self._got = 0

    @property
    def begun(self) -> bool:
        """Whether a part of a request has come that is in no event yet."""
        return self._quiet > 0 or self._in_head

    def feed(self, data: bytes) -> None:
        """Parse a piece."""
        if self._parser is None:
            if self._held is not None:
                self.rest += data
            return
        events = self.events
        before = len(events)
        self._spanned = self._in_head
        in_body = self._in_body
        rest = b""
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            rest = self._without_upgrade(data[upgrade.args[0] :])
        except HttpParserError as error:
            self._see(data)
            self._fault("version" if "HTTP version" in str(error) else "bad_request")
        if len(events) != before:
            if self._quiet:
                self._quiet = 0
                if self._parser is not None:
                    self.seen = b""
        else:
            self._quiet += len(data)
            self._see(data)
            if self._quiet > MAX_SECTION or len(self._fields) > MAX_FIELDS:
                self._fault(self._too_much())
        if in_body and self._in_body:
            self._fed += len(data)
            if self._fed > CHUNK_OVERHEAD + 3 * self._got:
                self._see(data)
                self._fault("bad_request")
        if rest:
            self.feed(rest)

    # what the parser says

    @property
    def is_held(self) -> bool:
        """Whether it is still open what follows."""
        return self._held is not None

    def go_on(self) -> None:
        """It was an ordinary request after all: what follows is HTTP."""
        self._parser, self._held = self._held, None
        rest, self.rest = self.rest, b""
        if rest:
            self.feed(rest)

    def on_url(self, url: bytes) -> None:
        self._in_head = True
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        url, fields = self._url, self._fields
        self._url, self._fields = b"", []
        self._in_head, self._in_body = False, True
        self._fed = self._got = 0
        parser = self._parser
        if self._muted or parser is None:
            return
        if self._spanned and _is_large(fields):
            self._fault("large_head")
            return
        self.events.append(
            (parser.get_method(), url, fields, parser.get_http_version(),
                 parser.should_keep_alive())
        )  # fmt: skip

    def on_body(self, data: bytes) -> None:
        self._got += len(data)
        self.events.append(data)

    def on_message_complete(self) -> None:
        self._in_body = False
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

    def _too_much(self) -> str:
        if not self._in_head:
            return "bad_request"
        return "long_target" if len(self._url) > MAX_TARGET else "large_head"

    def _without_upgrade(self, rest: bytes) -> bytes:
        """
        Go on after a request that asks for an upgrade; but a WebSocket's is for the leaf to
        answer. Any other is answered as if it had not asked.

        The parser takes such a request for one without a body. So a new parser is given the
        framing alone, and reads the body.
        """
        head = self.events[-2]
        if self._parser is None or not isinstance(head, tuple):
            return b""
        framing = [item for item in head[2] if _watched[item[0]] in (_LENGTH, _CODING)]
        if framing:
            self.events.pop()
            self._parser = HttpRequestParser(self)
            lines = b"".join(b"%b: %b\r\n" % item for item in framing)
            self._muted = True
            try:
                self._parser.feed_data(b"POST / HTTP/1.1\r\n" + lines + b"\r\n")
            except HttpParserError:
                self._fault("bad_request")
            self._muted = False
        elif asks_for(head[0], head[3], head[2]) == WEBSOCKET:
            self._held, self._parser = self._parser, None
            self.rest = rest
            return b""
        return rest


def _is_large(fields: Fields) -> bool:
    sizes = [len(name) + len(value) + 4 for name, value in fields]
    return sum(sizes) > MAX_SECTION or max(sizes, default=0) > MAX_FIELD


def check_head(head: Head) -> tuple[bytes, int | None, bool, frozenset[bytes], str]:
    """
    Check what the parser lets pass.

    Gives the value of `Host`, the length as in exchanges, whether `100 Continue` is waited
    for, the fields that `Connection` limits to this hop, and which upgrade is asked for.

    Raises:
        BadRequest: with the cause of the refusal.
    """
    method, target, fields, version, _ = head
    if version != "1.1" and version != "1.0":
        raise BadRequest("version")
    if len(target) > MAX_TARGET:
        raise BadRequest("long_target")
    if len(fields) > MAX_FIELDS:
        raise BadRequest("large_head")
    if method in _UNWANTED:
        raise BadRequest(_UNWANTED[method])
    authority: bytes | None = None
    length: int | None = 0
    expects = False
    passed: list[bytes] = []
    limited = _NOTHING
    upgrade = ""
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
            length = int(value)
        elif kind == _CODING:
            # the parser has refused Content-Length beside it
            if length is None or version == "1.0" or value.lower() != b"chunked":
                raise BadRequest("bad_request", "transfer coding")
            length = None
        elif kind == _UPGRADE:
            upgrade = upgrade or asks_for(method, version, fields)
        elif kind == _VIA:
            passed.append(value)
        elif value.lower() == b"100-continue":
            expects = version == "1.1"
        else:
            raise BadRequest("expectation")
    if authority is None:
        raise BadRequest("bad_host", "no Host field")
    if passed and goes_in_circles(passed):
        raise BadRequest("loop")
    if limited:
        limited -= _WORDS
    return authority, length, expects and length != 0, limited, upgrade


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

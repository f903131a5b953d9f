"""
What a TLS client says first, read before any cryptography.

In:  `net.handshake`, with what has arrived so far; nothing is taken from the socket yet.
Out: the facts by which policy, certificate and ticket keys are chosen, or how many bytes to
     wait for.
Spec: RFC 8446 sections 4.1.2, 4.2.11 and 5.1, RFC 6066 section 3, RFC 7301, RFC 5077.
"""

from __future__ import annotations

from struct import Struct, error, unpack

from attrs import frozen

from hostedge.errors import BadRequest
from hostedge.routes.hostname import parse_hostname

# Over a thousand bytes for a post-quantum key share and a few hundred for a ticket are common;
# one record holds at most 16 KiB, and OpenSSL wants no more of a hello than that either.
MAX_HELLO = 16_384
# Each may be a segment and a wake-up, and all are gone through again at each one.
MAX_RECORDS = 32
# bytes within which a hello ends, or is refused
MAX_PEEK = MAX_HELLO + MAX_RECORDS * 5
KEY_NAME = 16  # bytes of a ticket that name its key; RFC 5077 section 4

# RFC 8446 section 6
UNEXPECTED_MESSAGE = 10
RECORD_OVERFLOW = 22
ILLEGAL_PARAMETER = 47
DECODE_ERROR = 50
PROTOCOL_VERSION = 70
INTERNAL_ERROR = 80
UNRECOGNIZED_NAME = 112
NO_APPLICATION_PROTOCOL = 120

_HANDSHAKE = 22
_CLIENT_HELLO = 1
_RECORD_HEAD = 5
_HEAD = 4

_SERVER_NAME = 0
_ALPN = 16
_SESSION_TICKET = 35
_PRE_SHARED_KEY = 41
_SUPPORTED_VERSIONS = 43
_PAIR = Struct(">HH").unpack_from
_SIZE = Struct(">H").unpack_from
_NAME = Struct(">HBH").unpack_from

_WANTED = frozenset((_SERVER_NAME, _ALPN, _SESSION_TICKET, _PRE_SHARED_KEY, _SUPPORTED_VERSIONS))


class BadHello(BadRequest):
    """It will never be a hello that we could answer; `alert` is what TLS calls the reason."""

    def __init__(self, alert: int, detail: str) -> None:
        super().__init__("bad_request", detail)
        self.alert = alert


@frozen
class Hello:
    """The facts of a hello; what it does not say is None or empty."""

    # in normal form
    server_name: str | None
    # in the client's order
    alpn: tuple[bytes, ...]
    versions: tuple[int, ...]
    # the name of the key that the offered ticket was made with
    ticket_key: bytes


def read_hello(data: bytes) -> Hello | int:
    """
    Read the hello that a connection begins with; what follows it is not looked at.

    An answer of a number means: not before so many bytes are there.

    Raises:
        BadHello: it is none, or names no host that could exist.
    """
    if len(data) < _RECORD_HEAD:
        if data and data[0] != _HANDSHAKE:
            raise BadHello(UNEXPECTED_MESSAGE, "no handshake record")
        return _RECORD_HEAD
    message, wanted = _joined(data)
    if wanted:
        return wanted
    try:
        return _read(message)
    except (IndexError, error):
        raise BadHello(DECODE_ERROR, "ends too early") from None


def is_plain_http(data: bytes) -> bool:
    """Say whether somebody speaks plain HTTP here; no TLS record begins with a letter."""
    return data[:1].isalpha()


def alert_record(alert: int) -> bytes:
    """A fatal alert as it is sent before anything is encrypted."""
    return bytes((21, 3, 3, 0, 2, 2, alert))


def _joined(data: bytes) -> tuple[bytes, int]:
    """The hello's body out of its records; or, when it is not complete, the bytes to wait for."""
    message = b""
    start = 0
    for _ in range(MAX_RECORDS):
        body = start + _RECORD_HEAD
        if len(data) < body:
            return b"", body
        if data[start] != _HANDSHAKE:
            raise BadHello(UNEXPECTED_MESSAGE, "no handshake record")
        if data[start + 1] != 3:
            raise BadHello(PROTOCOL_VERSION, "no version of TLS")
        size = data[start + 3] << 8 | data[start + 4]
        if size > MAX_HELLO:
            raise BadHello(RECORD_OVERFLOW, "a record over 16 KiB")
        if size == 0:
            raise BadHello(UNEXPECTED_MESSAGE, "an empty record")
        end = body + size
        message += data[body:end]
        if message and message[0] != _CLIENT_HELLO:
            raise BadHello(UNEXPECTED_MESSAGE, "no client hello")
        if len(message) >= _HEAD:
            whole = _HEAD + int.from_bytes(message[1:_HEAD])
            if whole > MAX_HELLO:
                raise BadHello(ILLEGAL_PARAMETER, "a hello over 16 KiB")
            if len(message) >= whole:
                return message[_HEAD:whole], 0
        if end > MAX_PEEK:
            break
        if len(data) < end:
            return b"", end
        start = end
    raise BadHello(ILLEGAL_PARAMETER, "a hello in too many records")


def _read(hello: bytes) -> Hello:
    """
    Raises:
        IndexError, struct.error: it ends too early.
    """
    at = 34  # behind version and random
    at += 1 + hello[at]  # session id
    at += 2 + _SIZE(hello, at)[0]  # cipher suites
    at += 1 + hello[at]  # compression methods
    name: str | None = None
    alpn: tuple[bytes, ...] = ()
    versions: tuple[int, ...] = ()
    ticket = shared = b""
    end = len(hello)
    if at != end:
        if at + 2 + _SIZE(hello, at)[0] != end:
            raise BadHello(DECODE_ERROR, "extensions of another length")
        at += 2
        while at < end:
            kind, size = _PAIR(hello, at)
            at += 4 + size
            if kind in _WANTED:
                value = hello[at - size : at]
                if kind == _SERVER_NAME:
                    name = _server_name(value)
                elif kind == _ALPN:
                    alpn = _protocols(value)
                elif kind == _SUPPORTED_VERSIONS:
                    versions = _versions(value)
                elif kind == _SESSION_TICKET:
                    ticket = value[:KEY_NAME]
                else:
                    shared = _first_identity(value)[:KEY_NAME]
        if at != end:
            raise BadHello(DECODE_ERROR, "an extension is cut")
    return Hello(name, alpn, versions or _SIZE(hello), shared or ticket)


def _server_name(value: bytes) -> str:
    # a list of one: no type but host_name exists, and one of each is allowed
    listed, kind, size = _NAME(value)
    if kind != 0 or len(value) != 5 + size or listed != 3 + size:
        raise BadHello(DECODE_ERROR, "no list of one server name")
    try:
        return parse_hostname(value[5:])
    except ValueError as problem:
        raise BadHello(UNRECOGNIZED_NAME, str(problem)) from None


def _protocols(value: bytes) -> tuple[bytes, ...]:
    if _SIZE(value)[0] != len(value) - 2:
        raise BadHello(DECODE_ERROR, "no list of protocols")
    found = []
    at = 2
    while at < len(value):
        end = at + 1 + value[at]
        if end == at + 1 or end > len(value):
            raise BadHello(DECODE_ERROR, "a protocol is empty or cut")
        found.append(value[at + 1 : end])
        at = end
    return tuple(found)


def _versions(value: bytes) -> tuple[int, ...]:
    size = value[0]
    if size % 2 or size + 1 != len(value):
        raise BadHello(DECODE_ERROR, "no list of versions")
    return unpack(f">{size // 2}H", value[1:])


def _first_identity(value: bytes) -> bytes:
    end = 4 + _PAIR(value)[1]
    if end > len(value):
        raise BadHello(DECODE_ERROR, "a ticket is cut")
    return value[4:end]

"""
The opening handshake of a WebSocket: what a client must ask, and what answer opens it.

In:  `http.h1_reader` asks for each request with `Upgrade`, `http.h2_head` for each CONNECT with a
     protocol, `http.upstream` for the answer to ours.
Out: a verdict on the request, and whether a 101 is valid for the key that was sent.
Spec: RFC 6455 sections 4.1 and 4.2, RFC 8441, RFC 9110 section 7.8.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from hashlib import sha1

from attrs import frozen

WEBSOCKET = "websocket"
VERSION = b"13"
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3

Fields = list[tuple[bytes, bytes]]


@frozen
class Opening:
    """What was asked of a server: with which key, and for which of these subprotocols."""

    key: bytes
    protocols: tuple[bytes, ...] = ()


def asks_for(method: bytes, version: str, fields: Fields) -> str:
    """
    What a request with an `Upgrade` field asks for.

    That is `websocket`, nothing, or, where it asks for a WebSocket in a way that is not valid,
    the cause of the refusal; whoever does not forward WebSockets need not refuse it.
    """
    if not _names(fields, b"upgrade", b"websocket"):
        return ""
    if _values(fields, b"sec-websocket-version") != [VERSION]:
        return "websocket_version"
    framed = any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in fields)
    good = (
        method == b"GET"
        and version == "1.1"
        and not framed
        and _names(fields, b"connection", b"upgrade")
        and _is_key(_values(fields, b"sec-websocket-key"))
    )
    return WEBSOCKET if good else "websocket_handshake"


def asks_by_connect(protocol: bytes, fields: Fields) -> str:
    """
    The same for an extended CONNECT of HTTP/2; RFC 8441 section 5.

    There the stream is the connection, and neither keys nor `Upgrade` are needed.
    """
    if protocol.lower() != b"websocket":
        return "protocol"
    if _values(fields, b"sec-websocket-version") != [VERSION]:
        return "websocket_version"
    framed = any(name.lower() == b"content-length" for name, _ in fields)
    return "websocket_handshake" if framed else WEBSOCKET


def protocols_of(fields: Fields) -> tuple[bytes, ...]:
    """The subprotocols that are offered, in order."""
    return tuple(_tokens(fields, b"sec-websocket-protocol"))


def accept_for(key: bytes) -> bytes:
    """The value that shows that this key was read by somebody who speaks the protocol."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


def key_of(fields: Fields) -> bytes:
    """The key of a request that was found valid; empty where none is needed."""
    return b"".join(_values(fields, b"sec-websocket-key")[:1])


def opens(fields: Fields, opening: Opening) -> bool:
    """Whether a 101 with these fields is the answer to this opening."""
    chosen = _values(fields, b"sec-websocket-protocol")
    return (
        [value.lower() for value in _values(fields, b"upgrade")] == [b"websocket"]
        and _names(fields, b"connection", b"upgrade")
        and _values(fields, b"sec-websocket-accept") == [accept_for(opening.key)]
        and (not chosen or (len(chosen) == 1 and chosen[0] in opening.protocols))
        # where a body ended, frames would begin: RFC 9110 section 8.6 forbids both
        and not _values(fields, b"transfer-encoding")
        and set(_values(fields, b"content-length")) <= {b"0"}
    )


def _values(fields: Fields, wanted: bytes) -> list[bytes]:
    return [value.strip(b" \t") for name, value in fields if name.lower() == wanted]


def _tokens(fields: Fields, wanted: bytes) -> list[bytes]:
    pieces = b",".join(_values(fields, wanted)).split(b",")
    return [stripped for piece in pieces if (stripped := piece.strip(b" \t"))]


def _names(fields: Fields, field: bytes, token: bytes) -> bool:
    return any(each.lower() == token for each in _tokens(fields, field))


def _is_key(keys: list[bytes]) -> bool:
    if len(keys) != 1 or len(keys[0]) != 24:
        return False
    try:
        return len(b64decode(keys[0], validate=True)) == 16
    except ValueError:
        return False

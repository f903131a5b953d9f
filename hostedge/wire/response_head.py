"""
What the head of an upstream's response says: how its body is framed, and which fields travel back.

In:  `http.upstream`, with the fields as the parser gave them.
Out: the fields for the client, the length, whether the body's end will be seen, `Keep-Alive`.
Spec: RFC 9112 sections 6.1 and 6.3, RFC 9110 section 7.6.1.
"""

from __future__ import annotations

from hostedge.errors import BadRequest
from hostedge.memo import Memo
from hostedge.wire.fields import connection_options, travels_back

Fields = list[tuple[bytes, bytes]]

MAX_FIELDS = 256

_LENGTH, _CODING, _CONNECTION, _KEEP_ALIVE, _OURS, _HOP = range(1, 7)
_WATCHED = {
    b"content-length": _LENGTH,
    b"transfer-encoding": _CODING,
    b"connection": _CONNECTION,
    b"keep-alive": _KEEP_ALIVE,
    # the protocol that answers the client writes its own
    b"date": _OURS,
}
_PLAIN_OPTIONS = frozenset((b"close", b"keep-alive"))


def _kind(name: bytes) -> int:
    return _WATCHED.get(name.lower()) or (0 if travels_back(name) else _HOP)


_watched: Memo[bytes, int] = Memo(_kind)


def check_size(fields: Fields, most: int) -> None:
    """
    Check a head that came at once.

    Raises:
        BadRequest: it is larger than so many bytes.
    """
    if sum([len(name) + len(value) + 4 for name, value in fields]) > most:
        raise BadRequest("bad_response", "the head is too large")


def examine(fields: Fields, version: str) -> tuple[Fields, int | None, bool, bytes]:
    """
    Give what travels on, the length, whether the end is seen without the connection's, and what
    `Keep-Alive` says.

    Raises:
        BadRequest: the version or the framing is not valid, or the fields are too many.
    """
    if version != "1.1" and version != "1.0":
        raise BadRequest("bad_response", "version")
    if len(fields) > MAX_FIELDS:
        raise BadRequest("bad_response", "fields")
    kept: Fields = []
    length: int | None = None
    chunked = False
    keep_alive = b""
    options: list[bytes] = []
    for item in fields:
        kind = _watched[item[0]]
        if not kind:
            kept.append(item)
        elif kind >= _OURS:
            continue
        elif kind == _LENGTH:
            if not item[1].strip(b" \t").isdigit():
                raise BadRequest("bad_response", "length")
            # one alone: of two the parser lets none pass
            length = int(item[1])
        elif kind == _CODING:
            if chunked or item[1].strip(b" \t").lower() != b"chunked":
                raise BadRequest("bad_response", "coding")
            chunked = True
        elif kind == _CONNECTION:
            if item[1] not in _PLAIN_OPTIONS:
                options.append(item[1])
        elif kind == _KEEP_ALIVE:
            keep_alive = item[1]
    if chunked and version != "1.1":
        raise BadRequest("bad_response", "chunks in HTTP/1.0")
    if options:
        named = connection_options(options)
        if not named <= _PLAIN_OPTIONS:
            kept = [item for item in kept if item[0].lower() not in named]
    return kept, length, chunked or length is not None, keep_alive

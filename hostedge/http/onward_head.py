"""
The head of a request as an app or server gets it.

In:  `http.relay` and `ws.passage`, with the exchange; `http.backends` for what writes it there.
Out: bytes; what is only for this hop stays here, what the client claims about itself is replaced.
Spec: RFC 9110 section 7.6, RFC 9112 section 6, RFC 7239 sections 4 to 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hostedge.http.exchange import Exchange, Fields
from hostedge.memo import Memo
from hostedge.wire.fields import PSEUDONYM, LastingFields, connection_options, travels_on
from hostedge.wire.forwarded import forwarded_line, new_trace
from hostedge.wire.target import onward_target

_NOTHING: frozenset[bytes] = frozenset()
_WITH_LENGTH = frozenset((b"POST", b"PUT", b"PATCH"))


def _line_start(name: bytes) -> bytes | None:
    """What a field's line begins with, the end of the one before included; None: it stays here."""
    if name.lower() == b"host" or not travels_on(name):
        return None
    return b"\r\n" + name + b": "


_starts: Memo[bytes, bytes | None] = Memo(_line_start)


def _client_lines(facts: tuple[str, tuple[str, ...], bytes, int]) -> bytes:
    client, hops, scheme, port = facts
    return (
        b"\r\nX-Forwarded-For: %b\r\nX-Real-IP: %b\r\nX-Forwarded-Proto: %b\r\n"
        b"X-Forwarded-Port: %d\r\nVia: 1.1 %b\r\nCDN-Loop: %b\r\nX-Forwarded-Host: "
        % (", ".join((client, *hops)).encode(), client.encode(), scheme, port,
           PSEUDONYM, PSEUDONYM)
    )  # fmt: skip


_clients: Memo[tuple[str, tuple[str, ...], bytes, int], bytes] = Memo(_client_lines)


class Writer(Protocol):
    """What writes heads for a mapping."""

    def __call__(
        self,
        exchange: Exchange,
        length: int | None,
        address: str = "",
        without: frozenset[bytes] = _NOTHING,
    ) -> bytes: ...


def make_head(
    exchange: Exchange,
    length: int | None,
    address: str = "",
    without: frozenset[bytes] = _NOTHING,
) -> bytes:
    """
    Write the head of the request for the upstream; a length of None means chunks.

    Fields `without` stay here, named in lower case. The address of the upstream is for writers
    that name it.
    """
    target, authority, fields = exchange.target, exchange.authority, exchange.fields
    if len(target) != len(exchange.path):
        target = onward_target(target, exchange.path, exchange.query)
    limited = exchange.limited
    if limited or without:
        limited |= without
        fields = [item for item in fields if item[0].lower() not in limited]
    lines = fields.lines if type(fields) is LastingFields else b""
    if not lines:
        lines = b"".join(
            [start + value for name, value in fields if (start := _starts[name]) is not None]
        )
        if type(fields) is LastingFields:
            fields.lines = lines
    parts = [exchange.method, b" ", target, b" HTTP/1.1\r\nHost: ", authority, lines]
    parts += (
        _clients[exchange.client, exchange.hops, exchange.scheme, exchange.local_port],
        authority,
        b"\r\nX-Request-ID: ",
    )
    name = exchange.id
    if exchange.trace:
        parts += (name.encode(), exchange.trace)
    else:
        parts.append(f"{name}\r\ntraceparent: {new_trace(name)}".encode())
    if length is None:
        parts.append(b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    elif length or exchange.method in _WITH_LENGTH:
        parts.append(b"\r\nContent-Length: %d\r\n\r\n" % length)
    else:
        parts.append(b"\r\n\r\n")
    return b"".join(parts)


def head_writer(
    forwarded: bool = False,
    keep: Sequence[str] = (),
    host: str = "keep",
    counters: dict[str, int] | None = None,
) -> Writer:
    """
    What writes the heads of a mapping; with no wishes of its own it is `make_head` itself.

    `forwarded`: with `Forwarded`. `keep`: and these fields, whose names are odd, in lower case.
    `host`: what `Host` says there, as `model.site.Pool` has it.
    """
    if not forwarded and not keep and host == "keep":
        return make_head
    fixed = b"" if host in ("keep", "server") else host.encode()
    kept = frozenset(name.encode() for name in keep)

    def write(
        exchange: Exchange,
        length: int | None,
        address: str = "",
        without: frozenset[bytes] = _NOTHING,
    ) -> bytes:
        head = make_head(exchange, length, address, without)
        authority = exchange.authority
        if host != "keep":
            # the first of all lines
            mine = fixed or _authorities[address]
            head = head.replace(b"\r\nHost: " + authority, b"\r\nHost: " + mine, 1)
        more = _kept_lines(exchange.fields, kept) if kept else []
        if more and counters is not None:
            counters["fields_kept"] += len(more)
        if forwarded:
            said = forwarded_line(exchange.client, exchange.hops, exchange.scheme, authority)
            more.append(b"Forwarded: %b\r\n" % said)
        return b"".join((head[:-2], *more, b"\r\n")) if more else head

    return write


def _kept_lines(fields: Fields, kept: frozenset[bytes]) -> list[bytes]:
    """The lines of fields with these names, but of those that are for this hop only."""
    found = [item for item in fields if item[0].lower() in kept]
    if not found:
        return []
    options = connection_options([v for name, v in fields if name.lower() == b"connection"])
    return [b"%b: %b\r\n" % item for item in found if item[0].lower() not in options]


def _authority(address: str) -> bytes:
    """How a server with this address is called; one that has only a path is on this machine."""
    return b"localhost" if address.startswith("unix:") else address.removesuffix(":80").encode()


_authorities: Memo[str, bytes] = Memo(_authority)

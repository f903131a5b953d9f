"""
The head of a request as an app or server gets it.

In:  `http.relay` and `ws.passage`, with the exchange; `http.backends` for what writes it there.
Out: bytes; what is only for this hop stays here, what the client claims about itself is replaced.
Spec: RFC 9110 section 7.6, RFC 9112 section 6, RFC 7239 sections 4 to 6.
"""

from __future__ import annotations

from typing import Protocol

from hostedge.http.exchange import Exchange
from hostedge.memo import Memo
from hostedge.wire.fields import PSEUDONYM, travels_on
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
    parts = [exchange.method, b" ", target, b" HTTP/1.1\r\nHost: ", authority]
    parts += [start + value for name, value in fields if (start := _starts[name]) is not None]
    parts += (
        _clients[exchange.client, exchange.hops, exchange.scheme, exchange.local_port],
        authority,
        b"\r\nX-Request-ID: ",
        exchange.id.encode(),
        exchange.trace or b"\r\ntraceparent: " + new_trace(exchange.id).encode(),
    )
    if length is None:
        parts.append(b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    elif length or exchange.method in _WITH_LENGTH:
        parts.append(b"\r\nContent-Length: %d\r\n\r\n" % length)
    else:
        parts.append(b"\r\n\r\n")
    return b"".join(parts)


def head_writer(forwarded: bool = False, host: str = "keep") -> Writer:
    """
    What writes the heads of a mapping; with no wishes of its own it is `make_head` itself.

    `forwarded`: with `Forwarded`. `host`: what `Host` says there, as `model.site.Pool` has it.
    """
    if not forwarded and host == "keep":
        return make_head
    fixed = b"" if host in ("keep", "server") else host.encode()

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
        if forwarded:
            said = forwarded_line(exchange.client, exchange.hops, exchange.scheme, authority)
            head = b"%bForwarded: %b\r\n\r\n" % (head[:-2], said)
        return head

    return write


def _authority(address: str) -> bytes:
    """How a server with this address is called; one that has only a path is on this machine."""
    return b"localhost" if address.startswith("unix:") else address.removesuffix(":80").encode()


_authorities: Memo[str, bytes] = Memo(_authority)

"""
What a head of HTTP/2 asks for, by the rules that hold for HTTP/1.1 as well.

In:  `http.h2`, with the fields of a header block.
Out: the facts of an exchange; a head that is not valid is refused, or its stream is reset.
Spec: RFC 9113 sections 8.2 and 8.3, RFC 8441 section 4, RFC 9110 section 7.2.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from hostedge.errors import BadRequest
from hostedge.http.exchange import Fields
from hostedge.http.h1_reader import read_target
from hostedge.memo import Memo
from hostedge.settings import Limits
from hostedge.wire.broken_head import read_refused
from hostedge.wire.fields import goes_in_circles, is_plain, is_token
from hostedge.wire.host import request_host, split_authority
from hostedge.wire.upgrade import asks_by_connect

# what HTTP/1.1 clients may ask for here: RFC 9110, 5789, 4918, 3253, 3744, 5323, 5842, 4791,
# 2068 and UPnP
METHODS = frozenset(
    b"GET HEAD POST PUT DELETE OPTIONS PATCH QUERY COPY LOCK MKCOL MOVE PROPFIND PROPPATCH SEARCH "
    b"UNLOCK BIND REBIND UNBIND ACL REPORT MKACTIVITY CHECKOUT MERGE M-SEARCH NOTIFY SUBSCRIBE "
    b"UNSUBSCRIBE MKCALENDAR LINK UNLINK".split()
)
REFUSED_METHODS = frozenset((b"CONNECT", b"TRACE", b"TRACK", b"PURGE"))

_PSEUDO = frozenset((b":method", b":scheme", b":path", b":authority", b":protocol"))
_FORBIDDEN = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)
_PLAIN, _MALFORMED, _HOST, _LENGTH, _EXPECT, _COOKIE, _TE, _PASSED, _ODD = range(9)
_WATCHED = {
    b"host": _HOST,
    b"content-length": _LENGTH,
    b"expect": _EXPECT,
    b"cookie": _COOKIE,
    b"te": _TE,
    b"via": _PASSED,
    b"cdn-loop": _PASSED,
    **dict.fromkeys(_FORBIDDEN, _MALFORMED),
}
_DIGITS = re.compile(rb"[0-9]{1,18}").fullmatch
_is_bad_value = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search
_USUAL = Limits()
MAX_METHOD = 32  # bytes of a method that is not known, for the log
_PORTS = {b"http": 80, b"https": 443}


class Malformed(BadRequest):
    """The message breaks HTTP/2 itself: its stream is reset."""

    def __init__(self, detail: str) -> None:
        super().__init__("bad_request", detail)


class Request(NamedTuple):
    """The facts; `length` as in exchanges."""

    method: bytes
    target: bytes
    path: bytes
    query: bytes | None
    host: str
    authority: bytes
    fields: Fields
    length: int | None
    expects: bool
    upgrade: str
    # fields that do not travel on, because an app could take them for others
    odd: int = 0


def _kind(name: bytes) -> int:
    if name != name.lower() or not is_token(name):
        return _MALFORMED
    return _WATCHED.get(name, _PLAIN if is_plain(name) else _ODD)


_kinds: Memo[bytes, int] = Memo(_kind)
_hosts: Memo[bytes, str] = Memo(lambda authority: request_host([authority]))


def read_request(
    block: Fields, size: int, scheme: bytes, last: bool, limits: Limits = _USUAL
) -> Request:
    """
    Read a head of that size; `scheme` is the connection's, `last`: no body follows.

    Raises:
        Malformed: the stream has to be reset.
        BadRequest: with the cause of the refusal.
    """
    pseudo = _read_pseudo(block)
    if len(block) > limits.head_fields or size > limits.head_size:
        raise BadRequest("large_head")
    if size > limits.field_size and _is_large(block, limits):
        raise BadRequest("large_head")
    fields, hosts, length, expectation, odd = _read_fields(block[len(pseudo) :])
    authority = pseudo.get(b":authority")
    try:
        method = pseudo[b":method"]
        protocol = pseudo.get(b":protocol")
        if method == b"CONNECT":
            if authority is None:
                raise Malformed("CONNECT to nowhere")
            if protocol is None:
                raise BadRequest("method")
            # RFC 8441: what was a GET with `Upgrade` in HTTP/1.1, and is one again behind us
            method = b"GET"
        elif protocol is not None:
            raise Malformed("a protocol without CONNECT")
        target = pseudo[b":path"]
        its_scheme = pseudo[b":scheme"]
    except KeyError:
        raise Malformed("a pseudo-field is missing") from None
    if method not in METHODS:
        raise BadRequest("method" if method in REFUSED_METHODS else "bad_request")
    if its_scheme != scheme:
        raise BadRequest("bad_request", "the scheme of another port")
    if len(target) > limits.target_size:
        raise BadRequest("long_target")
    authority = _one_authority(authority, hosts, scheme)
    host = _hosts[authority]
    if target[:1] != b"/" and target != b"*":
        raise BadRequest("bad_path", "no path")
    target, path, query = read_target(method, target, scheme, authority)
    upgrade = "" if protocol is None else asks_by_connect(protocol, fields)
    if upgrade == "protocol" or (upgrade and last):
        raise BadRequest("protocol" if upgrade == "protocol" else "websocket_handshake")
    if upgrade:
        # what comes belongs to no request
        length = 0
    elif last:
        if length:
            raise BadRequest("bad_request", "a length without a body")
        length = 0
    if expectation and expectation.lower() != b"100-continue":
        raise BadRequest("expectation")
    facts = (method, target, path, query, host, authority, fields, length)
    return Request(*facts, bool(expectation) and length != 0, upgrade, odd)


def read_facts(block: Fields, cause: str) -> Request:
    """What can be told of a head that `read_request` has refused for this cause."""
    pseudo: dict[bytes, bytes] = {}
    fields: Fields = []
    for name, value in block:
        if name[:1] == b":":
            pseudo.setdefault(name, value)
        else:
            fields.append((name, value))
    # a longer one is none, and is kept in `refused`
    method = pseudo.get(b":method", b"")[:MAX_METHOD]
    authority = pseudo.get(b":authority", b"")
    target = pseudo.get(b":path", authority)
    named = [(b"host", authority)] if authority else fields
    host = read_refused(method, target, "", named, cause).host
    return Request(method, target, target, None, host, authority, fields, None, False, "")


def _read_pseudo(block: Fields) -> dict[bytes, bytes]:
    pseudo: dict[bytes, bytes] = {}
    for name, value in block:
        if name[:1] != b":":
            break
        if name not in _PSEUDO or name in pseudo:
            raise Malformed("a pseudo-field that is not for requests, or twice")
        pseudo[name] = value
    return pseudo


def _read_fields(block: Fields) -> tuple[Fields, list[bytes], int | None, bytes, int]:
    """
    The fields without `Host`, the values of that, the length, what is expected, and how many
    fields have odd names.
    """
    if _is_bad_value(b"".join([value for _, value in block])) is not None:
        raise Malformed("a control character in a value")
    fields: Fields = []
    hosts: list[bytes] = []
    cookies: list[bytes] = []
    passed: list[bytes] = []
    length: int | None = None
    expectation = b""
    odd = 0
    for item in block:
        name, value = item
        kind = _kinds[name]
        if value[:1] in _BLANKS or value[-1:] in _BLANKS:
            raise Malformed("blanks around a value")
        if not kind:
            fields.append(item)
        elif kind == _HOST:
            hosts.append(value)
        elif kind == _COOKIE:
            cookies.append(value)
        elif kind == _LENGTH:
            if length is not None or _DIGITS(value) is None:
                raise Malformed("not one length")
            length = int(value)
            fields.append(item)
        elif kind == _EXPECT:
            expectation = value or b"nothing"
            fields.append(item)
        elif kind == _PASSED:
            passed.append(value)
            fields.append(item)
        elif kind == _ODD:
            odd += 1
            fields.append(item)
        elif kind == _MALFORMED or value.lower() != b"trailers":
            raise Malformed("a field that must not be in HTTP/2")
        else:
            fields.append(item)
    if passed and goes_in_circles(passed):
        raise BadRequest("loop")
    if cookies:
        # each may come by itself; RFC 9113 section 8.2.3
        fields.append((b"cookie", b"; ".join(cookies)))
    return fields, hosts, length, expectation, odd


def is_trailer(block: Fields) -> bool:
    """Whether these fields may stand behind a body, as RFC 9113 section 8.1 has it."""
    try:
        _read_fields(block)
    except BadRequest:
        return False
    return True


_BLANKS = frozenset((b" ", b"\t"))


def _is_large(block: Fields, limits: Limits) -> bool:
    most = limits.field_size
    if max([len(name) + len(value) for name, value in block]) > most:
        return True
    # they will be one field
    crumbs = [len(value) + len(b"; ") for name, value in block if name == b"cookie"]
    return len(b"cookie") + sum(crumbs) > most


def _one_authority(authority: bytes | None, hosts: list[bytes], scheme: bytes) -> bytes:
    if len(hosts) > 1:
        raise BadRequest("bad_host", "two Host fields")
    if authority is None:
        if not hosts:
            raise BadRequest("bad_host", "no authority")
        return hosts[0]
    if hosts and hosts[0] != authority:
        default = _PORTS[scheme]
        mine, its = split_authority(authority), split_authority(hosts[0])
        if (mine[0], mine[1] or default) != (its[0], its[1] or default):
            raise BadRequest("bad_host", "two hosts")
    return authority

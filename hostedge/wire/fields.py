"""
Which header fields of a message belong to this hop only, and which travel on.

In:  the relay asks for each field of a request, `http.upstream` for each of a response.
Out: verdicts, and the names that `Connection` adds to them.
Spec: RFC 9110 sections 5.6.2, 7.6.1 and 7.6.3, RFC 8586.
"""

from __future__ import annotations

import re

from hostedge.memo import Memo


class LastingFields(list[tuple[bytes, bytes]]):
    """
    Fields of one message after the other: nobody may change them.

    `lines` is what they are on the next hop, each with the line end before it; who has to write
    them leaves it here. Empty: nobody has yet.
    """

    __slots__ = ("lines",)

    def __init__(self, fields: list[tuple[bytes, bytes]]) -> None:
        super().__init__(fields)
        self.lines = b""


_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# what a name must look like to reach an app: WSGI and PHP read `_` and `-` as one character,
# so that X_Forwarded_For would pass for X-Forwarded-For
_PLAIN_NAME = re.compile(rb"[0-9a-z-]+")
_ODD_BYTE = re.compile(rb"[^0-9a-z]")

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)

# what the relay says itself about the client; a client's own claims would contradict it
IDENTITY = frozenset(
    {
        b"cf-connecting-ip",
        b"forwarded",
        b"proxy",
        b"traceparent",
        b"tracestate",
        b"true-client-ip",
        b"x-client-ip",
        # to an app that believes these, a form that may be sent is a DELETE
        b"x-http-method",
        b"x-http-method-override",
        b"x-method-override",
        b"x-cluster-client-ip",
        b"x-original-host",
        b"x-original-url",
        b"x-real-ip",
        b"x-request-id",
        b"x-rewrite-url",
        b"x-sendfile",
    }
)
IDENTITY_PREFIXES = (
    b"ssl-",
    b"surrogate-",
    b"x-accel-",
    b"x-forwarded-",
    b"x-hostedge-",
    b"x-ssl-",
)

# what only the node itself tells a client
_OURS = b"x-hostedge-"

# framing is ours on every hop: Content-Length is compared, never copied; Expect is answered here
REQUEST_DROPPED = HOP_BY_HOP | IDENTITY | {b"content-length", b"expect"}
RESPONSE_DROPPED = HOP_BY_HOP | {b"alt-svc", b"content-length", b"server"}

# `Connection: cookie` must not make us lose what the app's safety rests on, in neither direction
# (tests/wire/test_fields.py fails without this)
_PROTECTED = frozenset(
    {
        b"authorization",
        b"cache-control",
        b"cdn-loop",
        b"content-encoding",
        b"content-length",
        b"content-security-policy",
        b"content-type",
        b"cookie",
        b"forwarded",
        b"host",
        b"location",
        b"set-cookie",
        b"strict-transport-security",
        b"traceparent",
        b"vary",
        b"via",
        b"www-authenticate",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
        b"x-real-ip",
        b"x-request-id",
    }
)

_ANSWERED_FOR = REQUEST_DROPPED | _PROTECTED

# how often a request may have passed a node of this kind before
MAX_PASSES = 3
PSEUDONYM = b"hostedge"
_passed = re.compile(rb"(?:^|,)[ \t]*[^ \t,]+[ \t]+" + PSEUDONYM + rb"(?=[ \t,]|$)").findall
_looped = re.compile(rb"(?:^|,)[ \t]*" + PSEUDONYM + rb"[ \t]*(?=[;,]|$)").findall


def goes_in_circles(values: list[bytes]) -> bool:
    """
    Whether the `Via` fields of a request, or its `CDN-Loop` fields, name us too often.

    Either may be lost on the way. What is one's name for us is nothing to the other.
    """
    if sum([len(_passed(value)) for value in values]) >= MAX_PASSES:
        return True
    return sum([len(_looped(value)) for value in values]) >= MAX_PASSES


def is_token(name: bytes) -> bool:
    """Whether this may be a field's name, or a method."""
    return _TOKEN.fullmatch(name) is not None


def is_plain(name: bytes) -> bool:
    """Whether no app could take this name, in any spelling, for another one."""
    return _PLAIN_NAME.fullmatch(name.lower()) is not None


def is_mistakable(name: bytes) -> bool:
    """
    Whether an app that reads all but letters and digits as one character, as WSGI, CGI and PHP
    do, could take this name for one that we answer for, or that its safety rests on.
    """
    read = _ODD_BYTE.sub(b"-", name.lower())
    return read in _ANSWERED_FOR or read.startswith(IDENTITY_PREFIXES)


def connection_options(values: list[bytes]) -> frozenset[bytes]:
    """
    What all `Connection` lines of one message say, in lower case.

    That is `close`, `keep-alive` and `upgrade`, and the names of fields to drop on this hop.
    A name that must travel on is left out even when it is listed; what is no token names no
    field.
    """
    if not values:
        return _NO_OPTIONS
    if len(values) == 1:
        return _options[values[0]]
    return frozenset[bytes]().union(*[_options[value] for value in values])


_NO_OPTIONS: frozenset[bytes] = frozenset()


def _named_by(value: bytes) -> frozenset[bytes]:
    options = {piece.strip(b" \t").lower() for piece in value.split(b",")}
    return frozenset(filter(is_token, options)) - _PROTECTED


_options: Memo[bytes, frozenset[bytes]] = Memo(_named_by, 256)


def travels_on(name: bytes) -> bool:
    """
    Whether a request's field goes to the upstream; the name in any spelling.

    A name with anything but letters, digits and `-` does not.
    """
    name = name.lower()
    return name not in REQUEST_DROPPED and not name.startswith(IDENTITY_PREFIXES) and is_plain(name)


def travels_back(name: bytes) -> bool:
    """Whether an answer's field goes to the client; the name in any spelling."""
    name = name.lower()
    return name not in RESPONSE_DROPPED and not name.startswith(_OURS)

"""
Which header fields of a message belong to this hop only, and which travel on.

In:  the server protocol asks for the connection's options, the relay for the fields to send on.
Out: names, verdicts and new lists; an input is never changed.
Spec: RFC 9110 sections 5.5, 5.6.2 and 7.6.1.
"""

from __future__ import annotations

import re
from functools import lru_cache

from hostedge.errors import BadRequest

Fields = list[tuple[bytes, bytes]]

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
# HTAB, visible ASCII, obs-text; no blank at either end
_VALUE = re.compile(rb"(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
# what a name must look like to reach an app: WSGI and PHP read `_` and `-` as one character,
# so that X_Forwarded_For would pass for X-Forwarded-For
_PLAIN_NAME = re.compile(rb"[0-9a-z-]+")

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
        b"true-client-ip",
        b"x-client-ip",
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

# framing is ours on every hop: Content-Length is compared, never copied; Expect is answered here
REQUEST_DROPPED = HOP_BY_HOP | IDENTITY | {b"content-length", b"expect"}
RESPONSE_DROPPED = HOP_BY_HOP | {b"alt-svc", b"content-length", b"server"}

# `Connection: cookie` must not make us lose what the app's safety rests on
# (tests/wire/test_fields.py fails without this)
_PROTECTED = frozenset(
    {
        b"authorization",
        b"content-length",
        b"cookie",
        b"forwarded",
        b"host",
        b"traceparent",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-port",
        b"x-forwarded-proto",
        b"x-real-ip",
        b"x-request-id",
    }
)


def is_token(name: bytes) -> bool:
    """Whether this may be a field's name, or a method."""
    return _TOKEN.fullmatch(name) is not None


def is_field_value(value: bytes) -> bool:
    """Whether a value, blanks around it taken off, has no control character but HTAB."""
    return _VALUE.fullmatch(value) is not None


def connection_options(values: list[bytes]) -> frozenset[bytes]:
    """
    What all `Connection` lines of one message say, in lower case.

    That is `close`, `keep-alive` and `upgrade`, and the names of fields to drop on this hop.
    A name that must travel on is left out even when it is listed.

    Raises:
        BadRequest: one is no list of tokens.
    """
    if not values:
        return _NO_OPTIONS
    if len(values) == 1:
        return _options(values[0])
    return frozenset[bytes]().union(*map(_options, values))


_NO_OPTIONS: frozenset[bytes] = frozenset()


@lru_cache(maxsize=256)
def _options(value: bytes) -> frozenset[bytes]:
    options = {piece.strip(b" \t").lower() for piece in value.split(b",")} - {b""}
    if not all(map(is_token, options)):
        raise BadRequest("bad_request", "Connection is no list of tokens")
    return frozenset(options - _PROTECTED)


@lru_cache(maxsize=2048)
def travels_on(name: bytes) -> bool:
    """
    Whether a request's field goes to the upstream; the name in any spelling.

    A name with anything but letters, digits and `-` does not.
    """
    name = name.lower()
    return (
        name not in REQUEST_DROPPED
        and not name.startswith(IDENTITY_PREFIXES)
        and _PLAIN_NAME.fullmatch(name) is not None
    )


@lru_cache(maxsize=2048)
def travels_back(name: bytes) -> bool:
    """Whether an answer's field goes to the client; the name in any spelling."""
    return name.lower() not in RESPONSE_DROPPED


def request_fields(fields: Fields, options: frozenset[bytes]) -> Fields:
    """Give the fields that an upstream may see, `Host` among them, in the order they came."""
    kept = [item for item in fields if travels_on(item[0])]
    return _without(kept, options)


def response_fields(fields: Fields, options: frozenset[bytes]) -> Fields:
    """Give the fields of an upstream's answer that the client may see."""
    kept = [item for item in fields if travels_back(item[0])]
    return _without(kept, options)


# these name no field, and nearly every message has one of them
_WORDS = frozenset({b"close", b"keep-alive", b"upgrade"})


def _without(fields: Fields, options: frozenset[bytes]) -> Fields:
    if options <= _WORDS:
        return fields
    return [item for item in fields if item[0].lower() not in options]

"""
What a request's target means: the path in the form that mappings are matched with, and the query.

In:  the server protocol, once for each request; the relay asks what to send onward.
Out: bytes; a target that two readers could understand in two ways is refused.
Spec: RFC 9112 section 3.2, RFC 3986 sections 2.3, 5.2.4 and 6.2.2.
"""

from __future__ import annotations

import re

from hostedge.errors import BadRequest
from hostedge.wire.host import split_authority

# nearly every request: no query, nothing to decode, nothing to resolve, nothing to refuse
_is_plain = re.compile(rb"(?:/(?!\.)[!-\"$&-.0->@-\[\]-~]*+)++").fullmatch
# possessive: a long path that is wrong at its end is not tried in another way
# (tests/wire/test_target.py fails without this)
_PATH = re.compile(rb"/(?:[!-\"$&->@-\[\]-~]++|%[0-9A-Fa-f]{2})*+")
_QUERY = re.compile(rb"[!-\"$-~]*")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_ABSOLUTE = re.compile(rb"(https?)://([^/?#]+)(|[/?].*)", re.IGNORECASE | re.DOTALL)
_DOT_SEGMENT = re.compile(rb"/(?:\.|%2[Ee]){1,2}(?:[/?]|\Z)")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_PORTS = {b"http": 80, b"https": 443}


def split_target(target: bytes) -> tuple[bytes, bytes | None]:
    """
    Split a target in origin-form into the path in match form and the query without its `?`.

    Match form: unreserved characters decoded, other escapes in upper case, dot segments (also
    as `%2e`) removed. `%2F`, `%5C`, `%3B`, `%25` and doubled slashes stay what they are.

    Raises:
        BadRequest: a control character, blank, `#`, `\\`, byte over 126, broken escape or
            `%00` in it, or dot segments that climb above the root.
    """
    if _is_plain(target):
        return target, None
    path, mark, query = target.partition(b"?")
    if _QUERY.fullmatch(query) is None:
        raise BadRequest("bad_path", "not a valid query")
    if not _is_plain(path):
        path = _match_form(path)
    return path, query if mark else None


def _match_form(path: bytes) -> bytes:
    if _PATH.fullmatch(path) is None:
        raise BadRequest("bad_path", "not a valid path")
    if b"%" in path:
        path = _ESCAPE.sub(_unescaped, path)
    if b"/." in path:
        path = _without_dot_segments(path)
    return path


def onward_target(target: bytes, path: bytes, query: bytes | None) -> bytes:
    """
    Give the target to send to an upstream: as it came, unless dot segments were in it.

    What is behind us must not resolve a path that no mapping was chosen for.
    """
    # the match form is shorter when anything was removed or decoded
    if len(target) == len(path) + (0 if query is None else len(query) + 1):
        return target
    if _DOT_SEGMENT.search(target.split(b"?", 1)[0]) is None:
        return target
    return path if query is None else path + b"?" + query


def origin_form(method: bytes, target: bytes, scheme: bytes, authority: bytes) -> bytes:
    """
    Give a target in origin-form, or `*`.

    `scheme` is the connection's, `authority` the `Host` field's value: an absolute-form target
    has to say the same as both.

    Raises:
        BadRequest: it does not, or the target has no form that this method may have.
    """
    if target[:1] == b"/":
        return target
    if target == b"*":
        if method != b"OPTIONS":
            raise BadRequest("bad_path", "* is for OPTIONS")
        return target
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        raise BadRequest("bad_path", "neither a path nor a URL")
    its_scheme, its_authority, rest = match.groups()
    default = _PORTS[scheme]
    if its_scheme.lower() != scheme or _same(its_authority, default) != _same(authority, default):
        raise BadRequest("bad_host", "the target names another host or scheme")
    if rest[:1] != b"/":
        if not rest and method == b"OPTIONS":
            return b"*"
        rest = b"/" + rest
    return rest


def _same(authority: bytes, default: int) -> tuple[str, int]:
    name, port = split_authority(authority)
    return name, default if port is None else port


def _unescaped(match: re.Match[bytes]) -> bytes:
    code = int(match[1], 16)
    if code in _UNRESERVED:
        return bytes((code,))
    if code == 0:
        raise BadRequest("bad_path", "%00")
    return match[0].upper()


def _without_dot_segments(path: bytes) -> bytes:
    kept: list[bytes] = []
    segments = path[1:].split(b"/")
    for segment in segments:
        if segment == b"..":
            if not kept:
                raise BadRequest("bad_path", "above the root")
            kept.pop()
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        # `/a/.` is the folder `/a/`, not the file `/a`
        kept.append(b"")
    return b"/" + b"/".join(kept)

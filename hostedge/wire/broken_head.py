"""
What can be told of a request that is refused for its head.

In:  the protocols, with the first bytes of what a parser refused, or with what it could read.
Out: method, target, version, and the fields that say who is asked and for what; as for the log.
Spec: RFC 9112 section 3.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from hostedge.errors import BadRequest
from hostedge.wire.host import request_host

# a line that ends, with blanks or whatever else in the middle, or one that is cut off: of the
# latter it is only known that it is long. No version: HTTP/0.9 has none
_LINE = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) "
    rb"(?:([^\r\n ][^\r\n]*?) HTTP/([0-9]\.[0-9])[ \t]*\r?\n|(/[^\r\n]*)(?:\r?\n|\Z))"
)
_CUT = 256  # bytes from which on a line without an end is a long one, not one that stopped coming
# the blanks around a value are taken off elsewhere: three ways to read a blank would make a line
# of nothing else, without an end, a matter of its length to the third
_FIELD = re.compile(rb"^(host|accept):([^\r\n]*+)\r?\n", re.IGNORECASE | re.MULTILINE)
_END = re.compile(rb"\n\r?\n")


class Readable(NamedTuple):
    """`host` in normal form; empty where it is none, or not the only one."""

    method: bytes
    target: bytes
    version: bytes
    fields: list[tuple[bytes, bytes]]
    host: str


NOTHING = Readable(b"", b"", b"", [], "")


def read_broken(seen: bytes) -> Readable:
    """Read the first bytes of a request that is not valid; `NOTHING`: they are of none."""
    line = _LINE.match(seen)
    if line is None or (len(seen) < _CUT and line.end() == len(seen) and seen[-1:] != b"\n"):
        return NOTHING
    method, target, version, other = line.groups()
    end = _END.search(seen, line.end() - 1)
    rest = seen[line.end() : len(seen) if end is None else end.end()]
    fields = [(name, value.strip(b" \t")) for name, value in _FIELD.findall(rest)]
    return Readable(method, target or other, version or b"1.1", fields, host_of(fields))


def read_refused(
    method: bytes, target: bytes, version: str, fields: list[tuple[bytes, bytes]], cause: str
) -> Readable:
    """The same of a head that could be read, and is refused for what it says."""
    # a host that is not valid, or contradicted elsewhere, is nobody's
    host = "" if cause == "bad_host" else host_of(fields)
    return Readable(method, target, version.encode(), fields, host)


def host_of(fields: list[tuple[bytes, bytes]]) -> str:
    """The host that fields name, in normal form; empty: none, more than one, or not a valid one."""
    try:
        return request_host([value for name, value in fields if name.lower() == b"host"])
    except BadRequest:
        return ""

"""
Which paths somebody behind us may take a path for.

In:  `routes.compile`, for paths of hosts on which it matters who answers.
Out: the readings, the path itself first. Each is what one kind of server makes of it, and the last
     ones what a chain of all of them would.

    as it came          /x;y//a%2fb
    slashes merged      /x;y/a%2Fb      nginx, Apache, most file systems
    parameters gone     /x//a%2Fb       servlet containers
    decoded             /x;y/a/b        whoever decodes before he splits; then `\\` is a slash too
    decoded twice                       whoever decodes what a proxy has decoded already
    in lower case                       Windows and macOS file systems
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

# nothing but these, and no `//`: the path has one reading
_PLAIN = bytes(sorted({*range(33, 127)} - {*b"%;ABCDEFGHIJKLMNOPQRSTUVWXYZ"}))
_PARAMETERS = re.compile(rb";[^/]*")
_SLASHES = re.compile(rb"//+")


def has_one_reading(path: bytes) -> bool:
    """Whether everybody reads a path in match form alike; nearly always so."""
    return b"//" not in path and not path.translate(None, _PLAIN)


def readings(path: bytes) -> list[bytes]:
    """Give every path in match form that this one may be read as; at most twelve, itself first."""
    once = _decoded(path)
    twice = _decoded(once) if b"%" in once else once
    bare = _resolved(_PARAMETERS.sub(b"", path))
    every = merged(_resolved(_PARAMETERS.sub(b"", twice)))
    found = dict.fromkeys((path, merged(path), bare, _resolved(once), _resolved(twice), every))
    for each in list(found):
        found[each.lower()] = None
    return list(found)


def merged(path: bytes) -> bytes:
    """A path with one slash where there were more."""
    return _SLASHES.sub(b"/", path)


def _decoded(path: bytes) -> bytes:
    return unquote_to_bytes(path).replace(b"\\", b"/")


def _resolved(path: bytes) -> bytes:
    """Without dot segments; those that climb above the root stop there."""
    if b"/." not in path:
        return path
    kept: list[bytes] = []
    segments = path.split(b"/")[1:]
    for segment in segments:
        if segment == b"..":
            del kept[-1:]
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)

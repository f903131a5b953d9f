"""
Which file below a folder a path may mean.

In:  `mappings.static` with what follows a mapping's prefix, in match form.
Out: a relative file name, or None: no path of a file.
"""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

MAX_NAME = 4095  # PATH_MAX without its zero byte

# RFC 8615: the one name with a dot that is meant to be seen
_SEEN = b".well-known"


def file_name(rest: bytes) -> bytes | None:
    """
    Turn the rest of a path into a file name.

    Not a file: an escaped slash, a zero byte, and every name that begins with a dot (`.git`,
    `.env`, `.htpasswd`), but `.well-known`.
    """
    # a slash that came as %2F is no border of a segment for mappings, and must not become one
    # behind them (tests/wire/test_safe_path.py fails without this)
    if b"%2F" in rest or b"%2f" in rest:
        return None
    name = unquote_to_bytes(rest).lstrip(b"/")
    if len(name) > MAX_NAME or b"\0" in name:
        return None
    if name.startswith(b".") or b"/." in name:
        for segment in name.split(b"/"):
            if segment.startswith(b".") and segment != _SEEN:
                return None
    return name

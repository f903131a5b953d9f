"""
What names, paths, durations and addresses of a site file must look like.

In:  `model.parse` and the value classes of mappings and runtimes, one value at a time.
Out: the value in its one normal form; ValueError says what is wanted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import lru_cache
from typing import NewType

from hostedge.routes.hostname import is_address, parse_hostname
from hostedge.wire.fields import is_mistakable, is_plain, is_token

MAX_NAME = 32  # an account is a unix user too; useradd(8) takes 32
MAX_PATH = 1024
MAX_TEXT = 65_536
MAX_DURATION = 10 * 365 * 86_400.0
MAX_FIELD = 128  # of the name of a field
MAX_UNIX_PATH = 107  # sockaddr_un, with the closing zero

_NAME = re.compile(rf"[a-z0-9][a-z0-9-]{{0,{MAX_NAME - 1}}}")
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)([smhd])")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_SIZE = re.compile(r"([0-9]{1,15})([kmg]?)")
_MULTIPLES = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,255}")
# These steer how a process is loaded and how it finds its sockets; only the node sets them.
_RESERVED = re.compile(r"LD_.*|LISTEN_.*|HOSTEDGE_.*|NOTIFY_SOCKET")
_HOST = re.compile(r"(\[[^\]]*\]|[^:]+)(?::([0-9]{1,5}))?")
_PORT = re.compile(r"[0-9]{1,5}")

# bytes
Size = NewType("Size", int)


def shown(value: object) -> str:
    """A wrong value as it may stand in an error: one short line."""
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _unquoted(value: object) -> str:
    """The same of what YAML takes for something else than a text: `off`, `2024`."""
    return f"{shown(value)} (put it in quotes)" if isinstance(value, int | float) else shown(value)


def object_name(value: object) -> str:
    """The name of an account, app, pool or certificate."""
    if isinstance(value, str) and _NAME.fullmatch(value):
        return value
    wanted = f"a name of at most {MAX_NAME} small letters, digits and hyphens"
    raise ValueError(f"want {wanted}, not {_unquoted(value)}")


_ERROR_STATUS = re.compile(r"[45](?:[0-9]{2}|xx)")
MAX_PAGE = 65_536


# of a pair that UTF-16 writes one character with
_HALF = re.compile("[\ud800-\udfff]")


def plain_text(value: object) -> str:
    """Any text without zero bytes, of whole characters."""
    if not isinstance(value, str):
        raise ValueError(f"want a text, not {_unquoted(value)}")
    if "\0" in value or len(value) > MAX_TEXT:
        raise ValueError(f"want a text of at most {MAX_TEXT} characters without zero bytes")
    if not value.isascii() and _HALF.search(value):
        # JSON and YAML can escape one; no file and no process takes it
        raise ValueError(f"want a text of whole characters, not {shown(value)}")
    return value


def site_name(value: object) -> str:
    """The name of a domain, an alias or a certificate: a host name, or `*.` and one."""
    return _site_name(plain_text(value))


# In a site the same name stands as a domain, at its certificate, and in that one's chain.
@lru_cache(maxsize=4096)
def _site_name(text: str) -> str:
    if not text.startswith("*."):
        return parse_hostname(text)
    name = parse_hostname(text[2:])
    if is_address(name):
        raise ValueError("want a host name after `*.`, not an address")
    if len(name) > 251:
        raise ValueError("want at most 253 characters")
    return f"*.{name}"


def duration(value: object) -> float:
    """Seconds as a number, or a text like `90s`, `30m`, `1h`, `7d`."""
    seconds = -1.0
    if isinstance(value, str):
        match = _DURATION.fullmatch(value)
        if match is not None:
            seconds = float(match[1]) * _UNITS[match[2]]
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value)
    # `not …` refuses NaN as well
    if not 0.0 <= seconds <= MAX_DURATION:
        raise ValueError(f'want a duration, "90s", "30m", "1h" or seconds, not {shown(value)}')
    return seconds


def duration_document(seconds: float) -> str | float | int:
    """The shortest way to write a duration so that it reads back the same."""
    if seconds == 0:
        return 0
    if math.isfinite(seconds) and seconds == int(seconds):
        for unit in ("d", "h", "m"):
            if seconds % _UNITS[unit] == 0:
                return f"{int(seconds / _UNITS[unit])}{unit}"
        return f"{int(seconds)}s"
    return seconds


def size(value: object) -> Size:
    """Bytes as a whole number, or a text like `64k`, `100m`, `2g`."""
    match = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if match is not None:
        return Size(int(match[1]) * _MULTIPLES[match[2]])
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return Size(value)
    raise ValueError(f'want a size, "64k", "100m", "2g" or bytes, not {shown(value)}')


def size_document(number: int) -> str | int:
    """The shortest way to write a size so that it reads back the same."""
    for unit in ("g", "m", "k"):
        if number and number % _MULTIPLES[unit] == 0:
            return f"{number // _MULTIPLES[unit]}{unit}"
    return number


def above_zero(value: object) -> float:
    """A duration that something may take; never ending is not possible here."""
    seconds = duration(value)
    if seconds == 0:
        raise ValueError("want more than 0 seconds")
    return seconds


def between(least: int, most: int) -> Callable[[object], int]:
    """Make the check for a whole number within bounds."""

    def whole(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise ValueError(f"want a whole number from {least} to {most}, not {shown(value)}")

    return whole


def one_of(*words: str) -> Callable[[object], str]:
    """Make the check for a word out of a fixed list."""

    def word(value: object) -> str:
        if isinstance(value, str) and value in words:
            return value
        raise ValueError(f"want {' or '.join(words)}, not {shown(value)}")

    return word


def relative_path(value: object) -> str:
    """A path below the account's home; whether links lead out is checked when it is opened."""
    text = plain_text(value)
    if not text or text.startswith("/") or len(text) > MAX_PATH:
        raise ValueError(f"want a path relative to the account's home, not {shown(value)}")
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise ValueError(f"want a path without `..`, not {shown(value)}")
    return "/".join(parts) or "."


def path_prefix(value: object) -> str:
    """The path of a mapping: `/`, or whole segments without a slash at the end."""
    text = plain_text(value)
    if not text.startswith("/"):
        raise ValueError(f"want a path that starts with /, not {shown(value)}")
    if len(text) > MAX_PATH or not text.isprintable() or any(c in text for c in "?# \\"):
        raise ValueError(f"want a path without query, spaces or backslashes, not {shown(value)}")
    prefix = text[:-1] if text.endswith("/") else text
    if any(part in ("", ".", "..") for part in prefix.split("/")[1:]):
        raise ValueError(f"want a path without empty, `.` or `..` segments, not {shown(value)}")
    return prefix or "/"


def server_address(value: object) -> str:
    """`host:port`, `[v6]:port` or `unix:/path`."""
    text = plain_text(value)
    if text.startswith("unix:"):
        path = text[5:]
        if path.startswith("/") and 1 < len(path.encode()) <= MAX_UNIX_PATH:
            return text
        raise ValueError(f"want unix: and an absolute path of at most {MAX_UNIX_PATH} bytes")
    host, colon, port = text.rpartition(":")
    if not colon or not _PORT.fullmatch(port) or not 0 < int(port) < 65_536:
        raise ValueError(f"want host:port, [v6]:port or unix:/path, not {shown(value)}")
    return f"{parse_hostname(host)}:{int(port)}"


def host_wanted(value: object) -> str:
    """What `Host` says behind us: `keep`, `server`, or a name in normal form, maybe with a port."""
    text = plain_text(value)
    if text in ("keep", "server"):
        return text
    match = _HOST.fullmatch(text)
    if match is None or (match[2] and not 0 < int(match[2]) < 65_536):
        raise ValueError(f"want keep, server or a host name, not {shown(value)}")
    name = parse_hostname(match[1])
    return f"{name}:{int(match[2])}" if match[2] else name


MAX_KEPT = 64


def kept_fields(value: object) -> tuple[str, ...]:
    """
    Names of fields with more than letters, digits and `-` in them that an app gets nevertheless;
    in lower case.
    """
    if not isinstance(value, list | tuple) or len(value) > MAX_KEPT:
        raise ValueError(f"want a list of at most {MAX_KEPT} names, not {shown(value)}")
    return tuple(dict.fromkeys(map(_kept_field, value)))


def _kept_field(value: object) -> str:
    text = plain_text(value).lower()
    if not text.isascii() or len(text) > MAX_FIELD or not is_token(text.encode()):
        raise ValueError(f"want the name of a field, not {shown(value)}")
    if is_plain(text.encode()):
        raise ValueError(f"want names with _ or the like: {text} needs no permission")
    if is_mistakable(text.encode()):
        raise ValueError(f"want other names: an app could take {text} for one of the node's own")
    return text


def environment(value: object) -> dict[str, str]:
    """What an owner may add to the environment of an app."""
    if not isinstance(value, dict):
        raise ValueError(f"want names and texts, not {shown(value)}")
    for name, text in value.items():
        if not isinstance(name, str) or not _VARIABLE.fullmatch(name):
            raise ValueError(f"want names of letters, digits and _, not {shown(name)}")
        if _RESERVED.fullmatch(name):
            raise ValueError(f"want other names: only the node sets {name}")
        try:
            plain_text(text)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return dict(value)


def error_status(value: object) -> str:
    """A status with which requests are refused, or a class of them: `404`, `5xx`."""
    text = str(value) if isinstance(value, int | str) else ""
    if not _ERROR_STATUS.fullmatch(text):
        raise ValueError(f"want a status from 400 to 599, 4xx or 5xx, not {shown(value)}")
    return text


def html_page(value: object) -> str:
    """A page of HTML, small enough to be kept in memory by each edge."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError(f"want a page of HTML, not {shown(value)}")
    if len(value.encode()) > MAX_PAGE:
        raise ValueError(f"want at most {MAX_PAGE} bytes of HTML")
    return value

"""
Dates of HTTP, and one that is made once a second.

In:  protocols ask for the `Date` of an answer; `wire.conditional` reads dates of clients.
Out: bytes, or whole seconds since 1970.
Spec: RFC 9110 section 5.6.7.
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Callable
from functools import lru_cache
from time import gmtime

from hostedge.memo import Memo

_DAYS = (b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun")
_MONTHS = b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split()
_TIME = rb"(?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d)"
_FORMS = (
    re.compile(
        rb"[A-Z][a-z]{2}, (?P<day>\d\d) (?P<month>[A-Z][a-z]{2}) (?P<year>\d{4}) "
        + _TIME
        + rb" GMT"
    ),
    re.compile(
        rb"[A-Z][a-z]{5,8}, (?P<day>\d\d)-(?P<month>[A-Z][a-z]{2})-(?P<year>\d\d) "
        + _TIME
        + rb" GMT"
    ),
    re.compile(
        rb"[A-Z][a-z]{2} (?P<month>[A-Z][a-z]{2}) (?P<day>[ \d]\d) " + _TIME + rb" (?P<year>\d{4})"
    ),
)


@lru_cache(maxsize=1024)
def format_date(moment: int) -> bytes:
    """Write seconds since 1970 as `Sun, 06 Nov 1994 08:49:37 GMT`."""
    t = gmtime(moment)
    return b"%s, %02d %s %04d %02d:%02d:%02d GMT" % (
        _DAYS[t.tm_wday], t.tm_mday, _MONTHS[t.tm_mon - 1], t.tm_year,
        t.tm_hour, t.tm_min, t.tm_sec,
    )  # fmt: skip


def parse_date(text: bytes) -> int | None:
    """Read a date in any of its three forms; None when it is none."""
    return _dates[text]


def _read(text: bytes) -> int | None:
    for form in _FORMS:
        match = form.fullmatch(text)
        if match is not None:
            break
    else:
        return None
    if match["month"] not in _MONTHS:
        return None
    year = int(match["year"])
    if len(match["year"]) == 2:
        # RFC 850's form, last written by clients of the nineties
        year += 1900 if year >= 70 else 2000
    day, hour, minute, second = (int(match[name]) for name in ("day", "h", "m", "s"))
    if year < 1970 or not 1 <= day <= 31 or hour > 23 or minute > 59 or second > 60:
        return None
    return timegm((year, _MONTHS.index(match["month"]) + 1, day, hour, minute, second))


_dates: Memo[bytes, int | None] = Memo(_read, 1024)


class DateLine:
    """The `Date` of answers; formatted once a second. `clock` gives seconds since 1970."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._second = -1
        self._text = b""

    def now(self) -> bytes:
        """Give the value of `Date`."""
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._text = format_date(second)
        return self._text

"""
Times as they are typed and shown.

In:  the words of the command line that look back.
Out: texts; all times are UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from hostedge.errors import ConfigError

_AGO = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment(text: str) -> str:
    """A revision or a time as the API takes it; `2h` is two hours before now."""
    ago = _AGO.fullmatch(text)
    if not ago:
        return text
    try:
        then = datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return then.isoformat(timespec="seconds")
    except OverflowError:
        raise ConfigError(text, "is longer ago than there are dates") from None


def clock(time: float) -> str:
    """Date and time of day."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%SZ")

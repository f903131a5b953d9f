"""
For how long a connection without a request is kept, where the other side ends it as well.

In:  `http.upstream` with what an app says of itself, `http.lane` with what is known of it.
Out: seconds. To end it later than the app would make requests cross with its FIN.
Spec: RFC 2068 section 19.7.1.1.
"""

from __future__ import annotations

import re

# seconds: by how much we are earlier, and what it may be at least and at most
MARGIN = 1.0
LEAST = 0.5
MOST = 60.0

_TIMEOUT = re.compile(rb"timeout=(\d{1,6})")


def idle_life(kept: float) -> float:
    """For how long to keep a connection that the other side keeps for so long."""
    return min(max(kept - MARGIN, LEAST), MOST)


def idle_life_told(keep_alive: bytes) -> float | None:
    """The same by what a `Keep-Alive` field says; None: it does not say it."""
    match = _TIMEOUT.search(keep_alive)
    return None if match is None else idle_life(float(match[1]))

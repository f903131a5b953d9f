"""
The cases, in the order of the table.

In:  `__main__`.
Out: `CASES`.
"""

from __future__ import annotations

from benchmarks.cases import dns, http, websocket
from benchmarks.cases.kind import Case

CASES: tuple[Case, ...] = (
    http.PLAIN,
    http.TLS,
    websocket.SMALL,
    websocket.LARGE,
    dns.KNOWN,
    dns.RANDOM,
)

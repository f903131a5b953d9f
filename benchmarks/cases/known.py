"""
The cases, in the order of the table.

In:  `__main__`.
Out: `CASES`.
"""

from __future__ import annotations

from benchmarks.cases import bodies, connections, dns, http, websocket
from benchmarks.cases.kind import Case

CASES: tuple[Case, ...] = (
    http.PLAIN,
    http.TLS,
    http.H2,
    bodies.DOWNLOAD,
    bodies.UPLOAD,
    connections.IDLE_TLS,
    connections.SLOW_READERS,
    connections.SLOW_READERS_H2,
    websocket.SMALL,
    websocket.LARGE,
    dns.KNOWN,
    dns.RANDOM,
)

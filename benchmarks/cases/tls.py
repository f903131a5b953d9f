"""
1 kB answers over kept-alive HTTPS connections.

In:  `cases.known`.
Out: `TLS`.
"""

from __future__ import annotations

from benchmarks.cases.kind import Case
from benchmarks.load import flat_out, paced

TLS = Case(
    name="tls",
    title="1 kB answers, HTTP/1.1 over TLS, kept alive",
    door="https",
    flat=lambda stage, peer, seconds: flat_out(stage, peer, "https", seconds),
    paced=lambda stage, peer, rate, seconds: paced(stage, peer, "https", rate, seconds),
)

"""
1 kB answers over kept-alive HTTP connections.

In:  `cases.known`.
Out: `PLAIN`.
"""

from __future__ import annotations

from benchmarks.cases.kind import Case
from benchmarks.load import flat_out, paced

PLAIN = Case(
    name="plain",
    title="1 kB answers, HTTP/1.1, kept alive",
    door="http",
    flat=lambda stage, peer, seconds: flat_out(stage, peer, "http", seconds),
    paced=lambda stage, peer, rate, seconds: paced(stage, peer, "http", rate, seconds),
)

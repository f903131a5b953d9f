"""
1 kB answers over kept-alive connections: HTTP/1.1 with and without TLS, HTTP/2.

In:  `cases.known`.
Out: `PLAIN`, `TLS`, `H2`.
"""

from __future__ import annotations

from benchmarks.cases.kind import Case, Goal
from benchmarks.generator import MOST_PACED
from benchmarks.load import flat_out, paced, streams
from benchmarks.probe import check_answer, check_h2

# h2load sends evenly what it need not wait for
H2_MOST_PACED = 3000.0


def _case(name: str, title: str, door: str) -> Case:
    return Case(
        name=name,
        title=title,
        door=door,
        goal=Goal(base="nginx", title="nginx", reach=2.5, below="caddy"),
        seconds=2.0,
        check=lambda peer: check_answer(peer, door),
        flat=lambda stage, peer, seconds: flat_out(stage, peer, door, seconds),
        paced=lambda stage, peer, rate, seconds: paced(stage, peer, door, rate, seconds),
        most_paced=MOST_PACED,
    )


PLAIN = _case("plain", "1 kB answers, HTTP/1.1, kept alive", "http")
TLS = _case("tls", "1 kB answers, HTTP/1.1 over TLS, kept alive", "https")
H2 = Case(
    name="h2",
    title="1 kB answers, HTTP/2 over TLS, 4 streams on each connection",
    door="h2",
    goal=Goal(base="nginx", title="nginx", reach=7.0),
    seconds=2.0,
    check=check_h2,
    flat=lambda stage, peer, seconds: streams(stage, peer, None, seconds),
    paced=streams,
    most_paced=H2_MOST_PACED,
)

"""
1 kB answers over kept-alive connections, with and without TLS.

In:  `cases.known`.
Out: `PLAIN`, `TLS`.
"""

from __future__ import annotations

from benchmarks.cases.kind import Case, Goal
from benchmarks.generator import MOST_PACED
from benchmarks.load import flat_out, paced
from benchmarks.probe import check_answer


def _case(name: str, title: str, door: str) -> Case:
    return Case(
        name=name,
        title=title,
        door=door,
        goal=Goal(base="nginx", title="nginx", reach=3.0, below="caddy"),
        seconds=2.0,
        check=lambda peer: check_answer(peer, door),
        flat=lambda stage, peer, seconds: flat_out(stage, peer, door, seconds),
        paced=lambda stage, peer, rate, seconds: paced(stage, peer, door, rate, seconds),
        most_paced=MOST_PACED,
    )


PLAIN = _case("plain", "1 kB answers, HTTP/1.1, kept alive", "http")
TLS = _case("tls", "1 kB answers, HTTP/1.1 over TLS, kept alive", "https")

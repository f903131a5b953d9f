"""
Connections that ask for nothing: what they hold, and what they cost.

In:  `cases.known`.
Out: `IDLE_TLS`, `SLOW_READERS` and `SLOW_READERS_H2`.
"""

from __future__ import annotations

from benchmarks.cases.kind import Case, Goal, Unit
from benchmarks.load import idle, stalled
from benchmarks.probe import check_answer, check_download, check_h2

IDLE_TLS = Case(
    name="idle-tls",
    title="one of 5,000 idle connections over TLS",
    door="https",
    goal=Goal(
        base="nginx",
        title="nginx",
        most=60.0,
        unit=Unit("kB each", lambda drive: drive.memory / drive.requests / 1000),
    ),
    # to open them all takes longer
    seconds=1.0,
    check=lambda peer: check_answer(peer, "https"),
    flat=idle,
    rounds=1,
)

OF_A_CORE = Unit("% core", lambda drive: drive.busy * 100)

SLOW_READERS = Case(
    name="slow-readers",
    title="100 readers that have stopped, HTTP/1.1",
    door="large",
    goal=Goal(base="nginx", title="nginx", most=1.0, unit=OF_A_CORE),
    seconds=10.0,
    check=check_download,
    flat=lambda stage, peer, seconds: stalled(stage, peer, "stalled", "large", seconds),
    rounds=1,
    logged=False,
)

SLOW_READERS_H2 = Case(
    name="slow-readers-h2",
    title="100 readers that have stopped, HTTP/2",
    door="h2",
    goal=Goal(base="nginx", title="nginx", most=1.0, unit=OF_A_CORE),
    seconds=10.0,
    check=check_h2,
    flat=lambda stage, peer, seconds: stalled(stage, peer, "stalled-h2", "h2", seconds),
    rounds=1,
    logged=False,
)

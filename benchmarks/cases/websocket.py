"""
Binary messages that come back, over WebSockets that stay open.

In:  `cases.known`.
Out: `SMALL` and `LARGE`.
"""

from __future__ import annotations

from benchmarks.cases.kind import Case, Goal
from benchmarks.generator import MOST_PACED
from benchmarks.load import echoed
from benchmarks.probe import check_echo


def _case(name: str, shown: str, size: int) -> Case:
    return Case(
        name=name,
        title=f"WebSocket messages of {shown}, there and back",
        door="websocket",
        goal=Goal(base="nginx", title="nginx", reach=4.0),
        seconds=1.2,
        check=check_echo,
        flat=lambda stage, peer, seconds: echoed(stage, peer, size, None, seconds),
        paced=lambda stage, peer, rate, seconds: echoed(stage, peer, size, rate, seconds),
        most_paced=MOST_PACED,
    )


SMALL = _case("websocket-64", "64 B", 64)
LARGE = _case("websocket-16k", "16 KiB", 16 * 1024)

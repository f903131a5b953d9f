"""
Whether the machine's memory is too short for one more start, and who makes room for it.

In:  `supervise.daemons` before it gives out a start token, with what `supervise.gauge` has read.
Out: yes or no, and the app to be evicted.
Spec: Documentation/accounting/psi.rst of the kernel; proc(5) for meminfo.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from attrs import frozen

STALLED_MOST = 20.0  # per cent of the last 10 s in which somebody waited for memory
AVAILABLE_LEAST = 0.08  # share of all memory that can be had without swapping

_STALLED = re.compile(r"(?m)^some avg10=([0-9.]+)")
_SIZE = re.compile(r"(?m)^(MemTotal|MemAvailable): +([0-9]+) kB$")


@frozen
class Pressure:
    # per cent
    stalled: float = 0.0
    # 0 to 1
    available: float = 1.0

    @property
    def is_high(self) -> bool:
        return self.stalled > STALLED_MOST or self.available < AVAILABLE_LEAST


def read_pressure(psi: str, meminfo: str) -> Pressure:
    """What the two files of the kernel say; what they do not say is no pressure."""
    stalled = _STALLED.search(psi)
    sizes = {name: int(size) for name, size in _SIZE.findall(meminfo)}
    total, available = sizes.get("MemTotal", 0), sizes.get("MemAvailable", 0)
    return Pressure(
        float(stalled[1]) if stalled else 0.0, available / total if total and sizes else 1.0
    )


def longest_idle(apps: Iterable[tuple[float, str]]) -> str:
    """Of pairs of seconds and names, the name that was idle for longest; empty if there is none."""
    return max(apps, default=(0.0, ""))[1]

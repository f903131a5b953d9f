"""
What is read of the kernel about memory and processes.

In:  `supervise.daemons` and `supervise.running`, every few seconds at most.
Out: `Pressure`, bytes, pids.
Spec: proc(5).
"""

from __future__ import annotations

import os
from pathlib import Path

from hostedge.supervise.pressure import Pressure, read_pressure

PROC = Path("/proc")
PAGE = os.sysconf("SC_PAGE_SIZE")


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        # a kernel without it, or one that was started without it
        return ""


def node_pressure() -> Pressure:
    """How short memory is on this machine."""
    return read_pressure(_text(PROC / "pressure/memory"), _text(PROC / "meminfo"))


def children(pid: int) -> frozenset[int]:
    """The pids of a process's children; none if it has ended."""
    try:
        told = [_text(task / "children") for task in (PROC / str(pid) / "task").iterdir()]
    except OSError:
        return frozenset()
    return frozenset(int(each) for each in " ".join(told).split())


def descendants(pid: int) -> set[int]:
    """A process and all below it; who was left behind by a parent that ended is not."""
    found: set[int] = set()
    new = {pid}
    while new:
        found |= new
        new = {child for parent in new for child in children(parent)} - found
    return found


def memory_of(pid: int) -> int:
    """
    Bytes that a process and all below it have of their own; files that are mapped do not count,
    what a parent shares with its children counts for each.
    """
    total = 0
    for each in descendants(pid):
        # size, resident, of these from files
        pages = _text(PROC / str(each) / "statm").split()
        if len(pages) > 2:
            total += (int(pages[1]) - int(pages[2])) * PAGE
    return total

"""
What is read of the kernel about memory and processes.

In:  the modules of the daemon manager, of apps that start, are asked about, or may be in trouble.
Out: `Pressure`, bytes, pids.
Spec: proc(5).
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from hostedge.net.identity import process_started
from hostedge.supervise.pressure import Pressure, read_pressure

PROC = Path("/proc")


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape")
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


def main_of(pid: int) -> int:
    """
    The daemon itself, of what was launched: bubblewrap stays above it, hears no signal, and takes
    in what the daemon has left behind.
    """
    while _text(PROC / str(pid) / "comm") == "bwrap\n" and (below := children(pid)):
        pid = min(below, key=_started)
    return pid


def _started(pid: int) -> tuple[int, int]:
    """Of two that began in the same tick the one with the lower pid was first."""
    try:
        return process_started(pid), pid
    except ProcessLookupError:
        return sys.maxsize, pid


def descendants(pid: int) -> set[int]:
    """A process and all below it; who was left behind by a parent that ended is not."""
    found: set[int] = set()
    new = {pid} if pid else set()
    while new:
        found |= new
        new = {child for parent in new for child in children(parent)} - found
    return found


def holds(pid: int, inode: int) -> bool:
    """Has this process the socket with this inode open?"""
    wanted = f"socket:[{inode}]"
    folder = PROC / str(pid) / "fd"
    try:
        return any(_link(folder / name) == wanted for name in os.listdir(folder))
    except OSError:
        return False


def _link(path: Path) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def holders(inode: int) -> list[int]:
    """All who have it open, as far as they may be looked at; slow on a machine with many."""
    return [int(p.name) for p in PROC.iterdir() if p.name.isdecimal() and holds(int(p.name), inode)]


def environment_of(pid: int) -> dict[str, str]:
    """What a process was started with; empty if it may not be looked at."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as environ:
            pairs = [each.partition(b"=") for each in environ.read().split(b"\0")]
    except OSError:
        return {}
    return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs if name}

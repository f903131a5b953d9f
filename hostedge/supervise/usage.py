"""
What an app takes: memory, CPU time, processes.

In:  `supervise.containment` and `supervise.running`, for whoever asks about an app and for
     `supervise.renewal`.
Out: `Used`, from the app's group where the kernel counts, else added up over its processes.
Spec: proc(5); the kernel's Documentation/filesystems/proc.rst for smaps_rollup.

The two differ: a group's memory has the page cache in it and its CPU time that of the dead. Added
up, memory is each process's share of what it wrote, and the dead count if their parent waited for
them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from attrs import evolve

from hostedge.supervise.cgroup import Group, Used

_TICKS = os.sysconf("SC_CLK_TCK")
_KIB = 1024
_SHARES = (b"Pss_Anon:", b"Pss_Shmem:")


def used_of(group: Group) -> Used:
    """By the group; what no controller counts is added up over its processes."""
    counted = group.used()
    if counted.memory is not None and counted.pids is not None:
        return counted
    added = used_by(group.pids())
    return evolve(
        counted,
        memory=added.memory if counted.memory is None else counted.memory,
        pids=added.pids if counted.pids is None else counted.pids,
    )


def used_by(pids: Iterable[int]) -> Used:
    """Added up over these; whoever is gone is not counted."""
    memory, cpu, tasks = 0, 0, 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat", "rb") as stat:
                # what follows the name; see proc(5) from the third on
                fields = stat.read().rpartition(b")")[2].split()
        except OSError:
            continue
        cpu += sum(map(int, fields[11:15]))
        if fields[0] not in (b"Z", b"X"):
            tasks += int(fields[17])
            memory += _written(pid)
    return Used(memory, cpu / _TICKS, tasks)


def _written(pid: int) -> int:
    """Bytes that are this process's alone, and its part of those that it shares."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as smaps:
            lines = [line.split() for line in smaps]
        shares = [int(line[1]) for line in lines if line[0] in _SHARES]
        if shares:
            return sum(shares) * _KIB
    except (OSError, ValueError, IndexError):
        # another user's, or a kernel without it
        pass
    return _resident(pid)


def _resident(pid: int) -> int:
    """What it has written, also where others share it; 0 if it is gone."""
    try:
        with open(f"/proc/{pid}/status", "rb") as status:
            found = [line.split() for line in status if line.startswith((b"RssAnon", b"RssShmem"))]
    except OSError:
        return 0
    return sum(int(line[1]) for line in found) * _KIB

"""
CPU time and memory of a process and all that descend from it, read from /proc.

In:  `load` reads a `Meter` before and after a window; `stage` asks for trees to end them.
Out: seconds on a core; bytes.
"""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc")

Use = dict[tuple[int, int], int]


def parse_stat(text: str) -> tuple[int, int]:
    """Give parent and start time (clock ticks after boot) of a line of /proc/PID/stat."""
    # the command's name may hold blanks and brackets; what follows its last one is regular
    rest = text[text.rindex(")") + 1 :].split()
    return int(rest[1]), int(rest[19])


def tree(root: int, proc: Path = PROC) -> dict[int, int]:
    """Give the start times of a process and its descendants by pid; empty when it has gone."""
    parents: dict[int, list[int]] = {}
    started: dict[int, int] = {}
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            parent, start = parse_stat((folder / "stat").read_text())
        except OSError:
            continue
        parents.setdefault(parent, []).append(int(folder.name))
        started[int(folder.name)] = start
    found: dict[int, int] = {}
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        if pid in started and pid not in found:
            found[pid] = started[pid]
            waiting.extend(parents.get(pid, []))
    return found


def use(pids: list[int], proc: Path = PROC) -> Use:
    """Give the nanoseconds that each thread of these processes has had a core."""
    spent: Use = {}
    for pid in pids:
        try:
            tasks = list((proc / str(pid) / "task").iterdir())
        except OSError:
            continue
        for task in tasks:
            try:
                spent[pid, int(task.name)] = int((task / "schedstat").read_text().split()[0])
            except OSError:
                continue
    return spent


def between(before: Use, after: Use) -> float:
    """Give the CPU seconds of a window; a thread that ended within it is not counted."""
    return sum(spent - before.get(task, 0) for task, spent in after.items()) / 1e9


class Meter:
    """The CPU of one proxy: all of its processes, also those that it starts later."""

    def __init__(self, root: int) -> None:
        self._root = root

    def read(self) -> Use:
        return use(list(tree(self._root)))


class Growth:
    """How much more memory a tree of processes holds at its most than at the beginning."""

    def __init__(self, root: int, proc: Path = PROC) -> None:
        self._root = root
        self._proc = proc
        self._before: dict[int, int] = {}
        for pid in tree(root, proc):
            # proc(5): the high water mark is what is resident now
            (proc / str(pid) / "clear_refs").write_text("5")
            self._before[pid] = memory_line(pid, "VmRSS", proc)

    def read(self) -> int:
        """Give bytes; a process that was started since counts whole."""
        return sum(
            memory_line(pid, "VmHWM", self._proc) - self._before.get(pid, 0)
            for pid in tree(self._root, self._proc)
        )


def memory_line(pid: int, name: str, proc: Path = PROC) -> int:
    """Give a line of /proc/PID/status in bytes; 0 of a process that has gone."""
    try:
        lines = (proc / str(pid) / "status").read_text().splitlines()
    except OSError:
        return 0
    for line in lines:
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def proportional_size(pid: int, proc: Path = PROC) -> int:
    """Give the PSS of a process in bytes: what it shares counts in parts."""
    for line in (proc / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise ValueError(f"no Pss in smaps_rollup of {pid}")


def tree_size(root: int, proc: Path = PROC) -> int:
    """Give the PSS of a process and all that descend from it, in bytes."""
    return sum(proportional_size(pid, proc) for pid in tree(root, proc))

"""
The kernel's rules for cgroups on plain folders, for controllers that this machine may not have.

`tests.supervise.test_cgroup` holds it against the kernel itself where that can be written.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from hostedge.supervise.cgroup import Kernel

CORE = {
    "cgroup.controllers": "",
    "cgroup.events": "populated 0\nfrozen 0\n",
    "cgroup.freeze": "0\n",
    "cgroup.kill": "",
    "cgroup.procs": "",
    "cgroup.subtree_control": "",
    "cpu.stat": "usage_usec 0\nuser_usec 0\nsystem_usec 0\n",
}
OF = {
    "memory": {
        "memory.current": "0\n",
        "memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n",
        "memory.high": "max\n",
        "memory.max": "max\n",
        "memory.oom.group": "0\n",
        "memory.swap.max": "max\n",
    },
    "pids": {"pids.current": "0\n", "pids.max": "max\n"},
    "cpu": {"cpu.weight": "100\n", "cpu.max": "max 100000\n"},
    "io": {"io.weight": "default 100\n"},
    "hugetlb": {},
}


def refuse(number: int) -> OSError:
    return OSError(number, os.strerror(number))


def whole(text: str, low: int, high: int, out_of_range: int = errno.EINVAL) -> str:
    """A number as the kernel reads it."""
    if not re.fullmatch(r"[+-]?[0-9]+", text.strip()):
        raise refuse(errno.EINVAL)
    if not low <= int(text) <= high:
        raise refuse(out_of_range)
    return f"{int(text)}\n"


def size(text: str) -> str:
    """Bytes with a suffix, in whole pages, or `max`."""
    if text.strip() == "max":
        return "max\n"
    match = re.fullmatch(r"([0-9]+)([KMGTkmgt]?)", text.strip())
    if match is None:
        raise refuse(errno.EINVAL)
    pages = (int(match[1]) << 10 * ("kmgt".find(match[2].lower()) + 1 if match[2] else 0)) // 4096
    return f"{pages * 4096}\n"


def bandwidth(text: str) -> str:
    """`max 100000`; both in microseconds."""
    quota, _, period = text.strip().partition(" ")
    length = int(whole(period or "100000", 1000, 1_000_000))
    if quota != "max":
        whole(quota, 1000, 1 << 44)
    return f"{quota} {length}\n"


def io_weight(text: str) -> str:
    number = text.strip().removeprefix("default").strip()
    return "default " + whole(number, 1, 10_000)


VALUES = {
    "memory.high": size,
    "memory.max": size,
    "memory.swap.max": size,
    "memory.oom.group": lambda text: whole(text, 0, 1),
    "pids.max": lambda text: "max\n" if text.strip() == "max" else whole(text, 0, 4_194_304),
    "cpu.weight": lambda text: whole(text, 1, 10_000, errno.ERANGE),
    "cpu.max": bandwidth,
    "io.weight": io_weight,
    "cgroup.freeze": lambda text: whole(text, 0, 1, errno.ERANGE),
    "cgroup.kill": lambda text: whole(text, 1, 1, errno.ERANGE) and "",
}


class FakeKernel(Kernel):
    """
    A tree of its own below a folder; its members are pids that tests invent.
    """

    def __init__(self, root: Path, controllers: str, alive: set[int] | None = None) -> None:
        self.root = root
        self.alive = alive or set()
        self.killed: set[int] = set()
        self._fill(root, controllers.split())

    def _fill(self, path: Path, controllers: list[str]) -> None:
        for name, text in CORE.items():
            if path != self.root or name not in ("cgroup.kill", "cgroup.freeze", "cgroup.events"):
                (path / name).write_text(text)
        (path / "cgroup.controllers").write_text(" ".join(controllers) + "\n")
        if path != self.root:
            self._equip(path, controllers)

    def _equip(self, path: Path, controllers: list[str]) -> None:
        """The files of the controllers that its parent lets it have; values stay."""
        for name, files in OF.items():
            for file, text in files.items():
                if name not in controllers:
                    (path / file).unlink(missing_ok=True)
                elif not (path / file).exists():
                    (path / file).write_text(text)

    def members(self, path: Path) -> list[int]:
        return [int(pid) for pid in (path / "cgroup.procs").read_text().split()]

    def below(self, path: Path) -> list[Path]:
        return [path, *(each for each in path.rglob("*") if each.is_dir())]

    def make(self, path: Path) -> None:
        path.mkdir()
        self._fill(path, (path.parent / "cgroup.subtree_control").read_text().split())

    def remove(self, path: Path) -> None:
        if not path.is_dir():
            raise refuse(errno.ENOENT)
        if len(self.below(path)) > 1 or self.members(path):
            raise refuse(errno.EBUSY)
        for file in path.iterdir():
            file.unlink()
        path.rmdir()

    def write(self, path: Path, text: str) -> None:
        if not path.exists():
            raise refuse(errno.ENOENT)
        if path.name == "cgroup.subtree_control":
            self._control(path, text)
        elif path.name == "cgroup.procs":
            self._join(path, text)
        elif path.name not in VALUES:
            raise refuse(errno.EINVAL)
        else:
            path.write_text(VALUES[path.name](text))
            if path.name == "cgroup.kill":
                self.end(path.parent)
            self._tell(path.parent)

    def _control(self, path: Path, text: str) -> None:
        group = path.parent
        there = (group / "cgroup.controllers").read_text().split()
        enabled = set(path.read_text().split())
        for word in text.split():
            sign, name = word[0], word[1:]
            if sign not in "+-" or name not in OF:
                raise refuse(errno.EINVAL)
            if sign == "+" and name not in there:
                raise refuse(errno.ENOENT)
            if sign == "+" and group != self.root and self.members(group):
                raise refuse(errno.EBUSY)
            children = [each for each in group.iterdir() if each.is_dir()]
            if sign == "-" and any(
                name in (each / "cgroup.subtree_control").read_text().split() for each in children
            ):
                raise refuse(errno.EBUSY)
            enabled = enabled | {name} if sign == "+" else enabled - {name}
        path.write_text(" ".join(sorted(enabled)) + "\n")
        for each in group.iterdir():
            if each.is_dir():
                (each / "cgroup.controllers").write_text(" ".join(sorted(enabled)) + "\n")
                self._equip(each, sorted(enabled))

    def _join(self, path: Path, text: str) -> None:
        group = path.parent
        pid = int(whole(text, 0, 1 << 22))
        if pid not in self.alive:
            raise refuse(errno.ESRCH)
        if group != self.root and (group / "cgroup.subtree_control").read_text().split():
            raise refuse(errno.EBUSY)
        for each in self.below(self.root):
            left = [member for member in self.members(each) if member != pid]
            (each / "cgroup.procs").write_text("".join(f"{member}\n" for member in left))
        with path.open("a") as procs:
            procs.write(f"{pid}\n")
        for each in self.below(self.root):
            self._tell(each)

    def end(self, path: Path) -> None:
        """Everybody in it and below."""
        for each in self.below(path):
            self.killed.update(self.members(each))
            (each / "cgroup.procs").write_text("")
        for each in self.below(self.root):
            self._tell(each)

    def _tell(self, path: Path) -> None:
        if path == self.root:
            return
        populated = int(any(self.members(each) for each in self.below(path)))
        frozen = (path / "cgroup.freeze").read_text().strip()
        text = f"populated {populated}\nfrozen {frozen}\n"
        if (path / "cgroup.events").read_text() != text:
            (path / "cgroup.events").write_text(text)

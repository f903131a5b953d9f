"""
What a keeper has launched, for the keeper that comes after it.

In:  `supervise.running` before and after each launch, and when a generation is ready or gone.
Out: the entries whose process provably is the one that was launched; all others are dropped.

One small file a generation; nothing is synced to disk, because no process outlives the machine.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from attrs import asdict, frozen
from twisted.logger import Logger

from hostedge.net.identity import is_running
from hostedge.supervise.notes import replace_file

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
BLOCK = 1000  # numbers that are reserved with one write


@frozen
class Entry:
    """One generation of an app."""

    boot: str
    # account/name
    app: str
    generation: int
    # where it answers: `unix:/path` or `host:port`
    address: str
    # of the configuration that it was launched with
    digest: str
    # its listener's inode, if the keeper holds one
    inode: int = 0
    # 0: not launched yet
    pid: int = 0
    # clock ticks after boot
    started: int = 0
    ready: bool = False
    # as whom it was launched; -1: an older keeper did not say
    uid: int = -1
    # its cgroup's folder and that folder's inode, if it has one
    leaf: str = ""
    leaf_inode: int = 0

    def lives(self) -> bool:
        """Is this pid still the process that was launched, in every respect?"""
        return is_running(self.pid, self.started) and self._is_owner() and self._is_in_leaf()

    def _is_owner(self) -> bool:
        if self.uid < 0:
            return True
        # until it has taken its user on it is as we are
        return _uid_of(self.pid) in (self.uid, os.geteuid())

    def _is_in_leaf(self) -> bool:
        if not self.leaf:
            return True
        try:
            inode = Path(self.leaf).stat().st_ino
        except OSError:
            return False
        if inode != self.leaf_inode:
            return False
        group = _group_of(self.pid)
        # until it has joined, long before it is ready, it is where we are
        return self.leaf.endswith(group) or (not self.ready and group == _group_of(os.getpid()))


class Journal:
    """The folder; numbers of generations that it gives out never repeat."""

    log = Logger()

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.boot = BOOT_ID.read_text().strip()
        self._next, self._reserved = self._last(), 0

    def number(self) -> int:
        """A generation that never was before, not in an earlier keeper's life either."""
        self._next += 1
        # on a disk that is full nothing is launched with it: `write` tries again, and fails
        with suppress(OSError):
            self._reserve()
        return self._next

    def _reserve(self) -> None:
        if self._next > self._reserved:
            reserved = self._next + BLOCK - 1
            replace_file(self._folder / "numbers", f"{reserved}\n")
            self._reserved = reserved

    def _last(self) -> int:
        numbers = [int(path.stem) for path in self._files()]
        try:
            numbers.append(int((self._folder / "numbers").read_text()))
        except (FileNotFoundError, ValueError):
            pass
        return max(numbers, default=0)

    def _files(self) -> list[Path]:
        return [path for path in self._folder.glob("*.json") if path.stem.isdecimal()]

    def write(self, entry: Entry) -> None:
        """
        Before it is launched, and whenever more of it is known.

        Raises:
            OSError: it cannot be noted, or the numbers that were given out cannot.
        """
        self._reserve()
        replace_file(self._folder / f"{entry.generation}.json", json.dumps(asdict(entry)))

    def forget(self, generation: int) -> None:
        """It is gone. Where its file stays, a next keeper finds that out by itself."""
        try:
            (self._folder / f"{generation}.json").unlink(missing_ok=True)
        except OSError as error:
            self.log.error("journal: {number} stays: {error}", number=generation, error=error)

    def living(self) -> tuple[list[Entry], list[Entry]]:
        """
        What still runs and what has ended or is another by now, oldest first; the files of the
        latter are removed.
        """
        found: list[Entry] = []
        gone: list[Entry] = []
        for path in sorted(self._files(), key=lambda path: int(path.stem)):
            try:
                entry = Entry(**json.loads(path.read_text()))
            except (OSError, ValueError, TypeError):
                entry = None
            if entry is not None and entry.boot == self.boot and entry.lives():
                found.append(entry)
            else:
                path.unlink(missing_ok=True)
                if entry is not None:
                    gone.append(entry)
        return found, gone


def _uid_of(pid: int) -> int:
    """Its real uid; -1 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(errors="replace")
    except OSError:
        return -1
    return int(status.partition("\nUid:")[2].split()[0])


def _group_of(pid: int) -> str:
    """Its cgroup of version 2, below where those are mounted; `//` if it has none."""
    try:
        lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    except OSError:
        return "//"
    return next((line[3:] for line in lines if line.startswith("0::")), "//")

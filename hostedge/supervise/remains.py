"""
What one launch has become: its process group, its cgroup, and who has left both.

In:  `supervise.process`, when the launched process has ended or has to.
Out: signals; whether anything lives yet.

With a cgroup nobody leaves. Without one a daemon's child may have a session of its own, and only
the environment that it was started with still says whose it is: the variable `HOSTEDGE_UNIT`, which
no two launches share. A program that clears its environment as well is not found; that is what
cgroups are for.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from hostedge.net.identity import process_started

UNIT = "HOSTEDGE_UNIT"
AT_ONCE = 128  # processes looked at before others have their turn


class Leaf(Protocol):
    """What ending a process needs of its cgroup; `supervise.cgroup.Group` is one."""

    @property
    def procs(self) -> Path:
        """The file by which a process joins."""

    def kill(self) -> None:
        """End every process in it, whatever it does."""

    def thaw(self) -> None: ...

    def populated(self) -> bool:
        """Is there any process in it, or below?"""

    def remove(self) -> None:
        """It is empty and not needed any more."""


def mark_of(environment: dict[str, str]) -> bytes:
    """The variable that every process of this launch was born with; empty if it has none."""
    unit = environment.get(UNIT)
    # a node that is itself started by a node would otherwise end itself
    if not unit or unit == os.environ.get(UNIT):
        return b""
    return os.fsencode(f"{UNIT}={unit}")


def owner_of(pid: int) -> int:
    """The uid of a process, ours if it is gone."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return os.geteuid()


def marked(mark: bytes, uid: int) -> Iterator[int | None]:
    """
    The living processes of this user that carry the mark.

    None in between says that others should have their turn: a machine may have ten thousand
    processes.
    """
    names = [name for name in os.listdir("/proc") if name.isdecimal()]
    for place, name in enumerate(names, 1):
        if _carries(f"/proc/{name}", mark, uid):
            yield int(name)
        if place % AT_ONCE == 0:
            yield None


def _carries(process: str, mark: bytes, uid: int) -> bool:
    try:
        if os.stat(process).st_uid != uid:
            return False
        with open(f"{process}/environ", "rb") as environ:
            # of a zombie it is empty
            return b"\0" + mark + b"\0" in b"\0" + environ.read()
    except OSError:
        return False


def kill_marked(pid: int, mark: bytes, uid: int) -> None:
    """End it, if it still is the one that was found."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if _carries(f"/proc/{pid}", mark, uid):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except OSError:
        return
    finally:
        os.close(pidfd)


def group_lives(group: int) -> bool:
    try:
        # a subreaper's share: members that lost their parent
        while os.waitid(os.P_PGID, group, os.WEXITED | os.WNOHANG):
            pass
    except ChildProcessError:
        pass
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


class Remains:
    """
    Everything that is left of a process after its end.

    Killed once as a whole, then swept until nobody is left: until then it has not ended.
    """

    def __init__(self, group: int | None, mark: bytes, uid: int, leaf: Leaf | None) -> None:
        self._group = group
        self._mark = mark
        self._uid = uid
        self._leaf = leaf

    def kill(self, leader: int, started: int) -> None:
        """End everybody, while the leader's number still belongs to it: it is not reaped yet."""
        group, self._group = self._group, None
        if self._leaf is not None:
            # what is not killed now is by the sweep
            with suppress(OSError):
                self._leaf.kill()
        if group is None:
            return
        try:
            if process_started(leader) != started:
                # another parent has reaped it and the number was given out again, which the
                # kernel does only when the group is empty
                return
        except ProcessLookupError:
            # reaped, and the group's members keep the number
            pass
        except OSError:
            # whose the number is cannot be read: what is left is found by the sweep
            return
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._group = group

    def sweep(self) -> Iterator[bool | None]:
        """
        Kill whoever is found; the last item says whether anybody was left, None that more is to do.
        Who cannot be looked for, as there is no descriptor for it, may be left.
        """
        try:
            yield from self._sweep()
        except OSError:
            yield True

    def _sweep(self) -> Iterator[bool | None]:
        left = self._group is not None and group_lives(self._group)
        if not left:
            self._group = None
        if self._leaf is not None:
            if self._leaf.populated():
                self._leaf.kill()
                left = True
        elif self._mark:
            # Twice: who forks and ends while the list is read is in it with neither number.
            for _ in range(2):
                for pid in marked(self._mark, self._uid):
                    if pid is None:
                        yield None
                    else:
                        kill_marked(pid, self._mark, self._uid)
                        left = True
        yield left

    def close(self) -> None:
        """Nothing is left: neither is a place for it."""
        if self._leaf is not None:
            self._leaf.remove()

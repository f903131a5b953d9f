"""
Where generations are put: into groups of the kernel's, on machines that have them.

In:  `supervise.placement`, before each launch and when daemons are taken over; `Process` with a
     `Placed` as its leaf.
Out: groups made, limited, watched and removed; on a machine without them, None each time, and
     processes are ended by group and mark.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.logger import Logger

from hostedge.supervise.cgroup import Events, Group, Groups, Used
from hostedge.supervise.group_limits import AccountLimits, LeafLimits
from hostedge.supervise.group_watch import GroupWatch
from hostedge.supervise.ladder import Rung
from hostedge.supervise.usage import used_by, used_of

GRACE = 10.0  # seconds before what nobody has charge of is ended
PATIENCE = 5.0
LOOK_EVERY = 0.1

# Hears how many more processes of a group were killed because its memory was full.
Told = Callable[[int], object]
# account, app, generation
Whose = tuple[str, str, int]


class Placed:
    """
    The group of one generation, from its making to its removal.

    What it was like at last is known after it is gone: whether memory ran out is asked then.
    """

    def __init__(self, group: Group, watch: GroupWatch, told: Told) -> None:
        self._group = group
        self._watch = watch
        self._told = told
        self.inode = group.inode
        # of an earlier keeper's launch: what has happened by now was told by that one
        try:
            self.events = watch.watch(group, self._changed)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            # the user's watches are used up: what happens in it is seen at its end
            self.events = group.events()

    def _changed(self, events: Events) -> None:
        more = events.oom_kill - self.events.oom_kill
        self.events = events
        if more > 0:
            self._told(more)

    @property
    def path(self) -> Path:
        return self._group.path

    @property
    def procs(self) -> Path:
        return self._group.procs

    def kill(self) -> None:
        self._group.kill()

    def freeze(self) -> None:
        self._group.freeze()

    def thaw(self) -> None:
        self._group.thaw()

    def populated(self) -> bool:
        return self._group.populated()

    def used(self) -> Used:
        return used_of(self._group)

    def written(self) -> int:
        """Bytes that it takes without what is cached of files."""
        counted = self._group.written()
        if counted is not None:
            return counted
        return used_by(self._group.pids()).memory or 0

    def remove(self) -> None:
        """Nothing is told of it any more; where somebody is in it yet it stays."""
        if self._group.path.exists():
            # what has ended it may not have come to the watch yet; to ask takes a descriptor
            with suppress(OSError):
                self._changed(self._group.events())
        self._watch.forget(self._group)
        self._group.remove()


class Containment:
    """All groups of a node, or none; who uses it need not know which."""

    log = Logger()

    def __init__(self, reactor: Any, groups: Groups | None) -> None:
        """
        Raises:
            OSError: the kernel lets nobody watch files.
        """
        self._reactor = reactor
        self._groups = groups
        self._watch = None if groups is None else GroupWatch(reactor)
        self._later: set[Any] = set()

    @classmethod
    def on(cls, reactor: Any, there: Rung, node: str) -> Containment:
        """What this rung allows; less where the kernel, asked in earnest, allows less."""
        try:
            return cls(reactor, Groups.on(there, node))
        except OSError:
            cls.log.failure("groups cannot be used: apps are ended by process group")
            return cls(reactor, None)

    def place(
        self, whose: Whose, plan: AccountLimits, own: LeafLimits, told: Told
    ) -> Placed | None:
        """
        A new group for one launch; `told` hears of who is killed in it until it is removed.

        Raises:
            FileExistsError: somebody is in it.
            OSError: the kernel does not let us, or does not take a limit.
        """
        if self._groups is None or self._watch is None:
            return None
        group = self._groups.leaf(*whose, plan, own)
        try:
            return Placed(group, self._watch, told)
        except OSError:
            group.remove()
            raise

    def find(self, whose: Whose, inode: int, told: Told) -> Placed | None:
        """The group of a generation that an earlier keeper has launched, if it is that one."""
        if self._groups is None or self._watch is None:
            return None
        group = self._groups.find(*whose)
        try:
            if group is not None and group.inode == inode:
                return Placed(group, self._watch, told)
        except OSError:
            # gone in between
            pass
        return None

    def limit(self, account: str, plan: AccountLimits) -> None:
        """
        Another plan for what runs already, if anything does.

        Raises:
            OSError: the kernel does not take it.
        """
        if self._groups is not None:
            self._groups.limit(account, plan)

    def forget(self, account: str) -> None:
        """Its group is not needed if nothing of it runs."""
        if self._groups is not None:
            self._groups.forget(account)

    def clear(self, known: Callable[[], Collection[Whose]]) -> None:
        """After a grace, end what an earlier keeper has left and nobody has taken over by then."""
        if self._groups is not None:
            self._in(GRACE, self._clear, known)

    def _clear(self, known: Callable[[], Collection[Whose]]) -> None:
        if self._groups is None:
            return
        for group in self._groups.strangers(known()):
            self.log.warn("nobody has charge of {group}: ended", group=group.path.name)
            self._end(group, self._reactor.seconds() + PATIENCE)

    def _end(self, group: Group, deadline: float) -> None:
        group.kill()
        if not group.populated():
            group.remove()
        elif self._reactor.seconds() < deadline:
            self._in(LOOK_EVERY, self._end, group, deadline)
        else:
            # it stays as it is, and no launch will be put there
            self.log.error("killed, but still there: {group}", group=group.path.name)

    def _in(self, seconds: float, what: Callable[..., None], *arguments: Any) -> None:
        def now() -> None:
            self._later.discard(later)
            what(*arguments)

        later = self._reactor.callLater(seconds, now)
        self._later.add(later)

    def close(self) -> None:
        """The keeper ends; what lives on is for the next one."""
        for later in self._later:
            later.cancel()
        self._later.clear()
        if self._watch is not None:
            self._watch.close()
        if self._groups is not None:
            self._groups.close()

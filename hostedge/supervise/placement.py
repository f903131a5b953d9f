"""
As whom, within what bounds and in which view of the machine an account's daemons run.

In:  `supervise.running` for each launch; `supervise.daemons` before an account's first one.
Out: an owner, the words for a launcher, groups of the kernel's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from hostedge.model.site import Account
from hostedge.runtimes.start import Start
from hostedge.supervise.confinement import Confinement, Rlimits, View
from hostedge.supervise.containment import Containment, Placed, Whose
from hostedge.supervise.group_limits import LEAST_MEMORY, AccountLimits, LeafLimits
from hostedge.supervise.journal import Entry
from hostedge.supervise.users import Users

Owner = tuple[int, int]


class Placement:
    """One for each keeper."""

    log = Logger()

    def __init__(
        self,
        containment: Containment,
        homes: Path,
        ports: range | None = None,
        owner: Owner | None = None,
        users: Users | None = None,
        in_thread: Callable[..., Deferred[Any]] | None = None,
    ) -> None:
        """
        `owner`: of all daemons, None: as the keeper itself; `users`: of each account its own, which
        are given `in_thread`. `ports`: for daemons that bind one.
        """
        self.ports = ports
        self._containment = containment
        self._homes = homes
        self._owner = owner
        self._users = users
        self._in_thread = in_thread
        self._one_by_one = DeferredLock()
        # who waits for the user of an account
        self._waiting: dict[str, list[Deferred[Any]]] = {}
        # hears of a generation that was killed for memory: app, generation, how many of it
        self.out_of_memory: Callable[[str, int, int], None] = lambda app, generation, kills: None

    def prepare(self, account: str) -> Deferred[Any] | None:
        """
        What has to be waited for before anything of this account can be launched, if anything.

        It fails where the account can have no user. Who cancels it waits no longer; the account
        gets its user all the same, since a thread that gives one cannot be called back.
        """
        if self._users is None or self._in_thread is None or self._users.find(account):
            return None
        waiting: Deferred[Any] = Deferred(lambda _: None)
        if account in self._waiting:
            self._waiting[account].append(waiting)
        else:
            self._waiting[account] = [waiting]
            adding = self._one_by_one.run(self._in_thread, self._users.add, account)
            adding.addBoth(self._added, account)
        return waiting

    def _added(self, result: Any, account: str) -> None:
        for waiting in self._waiting.pop(account):
            if not waiting.called:
                waiting.callback(result)

    def owner(self, account: str) -> Owner | None:
        """
        As whom its daemons run; None: as the keeper.

        Raises:
            OSError: it has no user yet.
        """
        if self._users is None:
            return self._owner
        owner = self._users.find(account)
        if owner is None:
            raise OSError(f"the account {account} has no user")
        return owner

    def uid(self, account: str) -> int:
        owner = self.owner(account)
        return os.geteuid() if owner is None else owner[0]

    def confinement(self, account: Account) -> Confinement:
        """What its processes may not."""
        view = None
        if account.view == "own":
            view = View(self._homes, self._homes / account.name)
        return Confinement(rlimits=Rlimits(file_size=account.file_size or None), view=view)

    def place(self, account: Account, app: str, generation: int, start: Start) -> Placed | None:
        """
        A new group for one launch; None: this machine has none.

        Raises:
            OSError: the kernel refuses.
        """
        whose = (account.name, app, generation)
        own = LeafLimits(whole=start.whole)
        return self._containment.place(whose, plan_of(account), own, self._listener(*whose))

    def limit(self, account: Account) -> None:
        """What runs of it may take what it may take now."""
        try:
            self._containment.limit(account.name, plan_of(account))
        except OSError:
            # tried again with the next launch, which fails if it fails
            self.log.failure("{account}: its limits stay as they were", account=account.name)

    def rested(self, account: str) -> None:
        """One app of it is down; with the last one the account's group goes."""
        try:
            self._containment.forget(account)
        except OSError:
            self.log.failure("{account}: its group stays", account=account)

    def find(self, entry: Entry) -> Placed | None:
        """The group that a generation of an earlier keeper is in."""
        if not entry.leaf_inode:
            return None
        whose = whose_is(entry)
        return self._containment.find(whose, entry.leaf_inode, self._listener(*whose))

    def _listener(self, account: str, app: str, generation: int) -> Callable[[int], None]:
        return lambda kills: self.out_of_memory(f"{account}/{app}", generation, kills)

    def clear(self, entries: Callable[[], list[Entry]]) -> None:
        """After a while, end what is in a group of ours and belongs to none of these."""
        self._containment.clear(lambda: [whose_is(entry) for entry in entries()])

    def close(self) -> None:
        """The keeper ends; what lives on is for the next one."""
        self._containment.close()


def plan_of(account: Account) -> AccountLimits:
    """What all of an account may take, as the kernel has it."""
    return AccountLimits(
        memory=max(account.memory, LEAST_MEMORY) if account.memory else None,
        pids=account.pids,
        cpu=account.cpu_percent / 100 or None,
        cpu_weight=account.weight,
        io_weight=account.weight,
    )


def whose_is(entry: Entry) -> Whose:
    account, _, app = entry.app.partition("/")
    return account, app, entry.generation

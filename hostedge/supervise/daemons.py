"""
The daemon manager: which app an event is about, and whose turn it is to start.

In:  `links.keeper` with what edges and control say; `keeper` at its start and end.
Out: calls on `Supervised`, one object for each app that was woken and none for any other.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Set
from functools import partial
from random import random
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from hostedge.errors import ConfigError
from hostedge.ipc import Use, Woken
from hostedge.model.site import Account, App
from hostedge.net.sock_diag import listener_at
from hostedge.runtimes.start import Runtime
from hostedge.settings import Settings
from hostedge.supervise.gauge import node_pressure
from hostedge.supervise.held import Handed
from hostedge.supervise.journal import Entry, Journal
from hostedge.supervise.launching import unit_of
from hostedge.supervise.learned import StartTimes
from hostedge.supervise.placement import Placement
from hostedge.supervise.pressure import Pressure, longest_idle
from hostedge.supervise.remains import UNIT, Remains, mark_of
from hostedge.supervise.roster import Roster
from hostedge.supervise.supervised import Supervised
from hostedge.supervise.surroundings import Edges, Events, Listening, Surroundings

LEAVE = 5.0  # seconds that requests have when their app was deleted or switched off
LOOK_AGAIN = 1.0  # seconds between two looks whether there is memory for one more start
NO_USER = 30.0  # seconds after which an account without a user is tried again
LAST_WORD = 1.0  # seconds between TERM and KILL for a suspended account: all is gone within two

Find = Callable[[str], tuple[Account, App] | None]


class Daemons:
    """Every app that is not COLD is in `_supervised`, and few others."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        find: Find,
        edges: Edges,
        runtimes: Iterable[Runtime],
        events: Events,
        placement: Placement,
        places: int = max(2, os.cpu_count() or 1),
        random: Callable[[], float] = random,
        always_on: Callable[[], Iterable[str]] = tuple,
        pressure: Callable[[], Pressure] = node_pressure,
        listener_at: Callable[[str, int], Listening | None] = listener_at,
        handed: Iterable[int] = (),
    ) -> None:
        self._reactor = reactor
        self._find = find
        self._folder = settings.run / "d"
        self._roster = Roster(places)
        self._supervised: dict[str, Supervised] = {}
        self._stopped: list[Deferred[None]] = []
        self._stopping = False
        self._always_on = always_on
        self._pressure = pressure
        # the last one that had to make room for others
        self._evicted = ""
        self._look_again: Any = None
        # who runs unasked and has no user yet, by name: when that is tried again
        self._later: dict[str, Any] = {}
        # what an earlier keeper has left was looked through: nothing is started beside it
        self._has_adopted = False
        self._around = Surroundings(
            reactor=reactor,
            settings=settings,
            edges=edges,
            events=events,
            journal=Journal(settings.journal),
            starts=StartTimes(settings.journal / "starts"),
            runtimes={each.word: each for each in runtimes},
            random=random,
            placement=placement,
            listener_at=listener_at,
            handed=Handed(handed),
            ask_token=self._ask_token,
            release_token=self._release_token,
            rested=self._rested,
        )

    def _look_up(self, app: str) -> tuple[Account, App] | None:
        found = self._find(app)
        if found is None or found[1].runtime not in self._around.runtimes:
            return None
        return found

    # from the edges

    def wake(self, app: str, host: str) -> Deferred[Woken]:
        """
        Start this app or say where it is.

        Fires when it is ready or refused; whoever cancels waits no longer.
        """
        if self._stopping:
            return succeed(Woken(refusal="keeper_down"))
        found = self._look_up(app)
        if found is None:
            return succeed(Woken(refusal="not_configured"))
        refusal = _refusal(*found)
        if refusal:
            return succeed(Woken(refusal=refusal))
        waited = self._around.placement.prepare(found[0].name)
        if waited is None:
            return self._known(app, *found).wake(host)
        return waited.addCallbacks(lambda _: self.wake(app, host), partial(self._no_user, app))

    def _known(self, name: str, account: Account, app: App) -> Supervised:
        supervised = self._supervised.get(name)
        if supervised is None:
            supervised = self._supervised[name] = Supervised(self._around, account, app)
        elif supervised.gone or supervised.app != app:
            supervised.change(account, app)
        return supervised

    def ready(self, app: str, generation: int) -> None:
        """A probe of this generation was answered."""
        if app in self._supervised:
            self._supervised[app].ready(generation)

    def failed(self, app: str, generation: int, cause: str) -> None:
        """This generation will not answer."""
        if app in self._supervised:
            self._supervised[app].failed(generation, cause)

    def activity(self, edge: int, apps: list[Use]) -> None:
        """What an edge's apps do."""
        for use in apps:
            if use.app in self._supervised:
                self._supervised[use.app].active(edge, use)

    def edge_came(self) -> None:
        for supervised in list(self._supervised.values()):
            supervised.edge_came()

    def edge_gone(self, edge: int) -> None:
        """Nothing is in flight there any more; what it probed another one has to."""
        for supervised in list(self._supervised.values()):
            supervised.edge_gone(edge)

    # from control

    def changed(self, keys: list[str] | None) -> None:
        """These objects of the store have changed; None: any may have."""
        named = None if keys is None else frozenset(keys)
        for name, supervised in list(self._supervised.items()):
            if named is None or _is_named(name, named):
                self._take_over(name, supervised)
        self._start_always_on(named)

    def _take_over(self, name: str, supervised: Supervised) -> None:
        found = self._look_up(name)
        if found is None:
            supervised.dismiss("not_configured", LEAVE)
        elif found[0].suspended:
            supervised.dismiss("suspended", 0.0, LAST_WORD, stay=True)
        elif not found[1].enabled:
            supervised.dismiss("disabled", LEAVE, stay=True)
        elif supervised.gone or (supervised.account, supervised.app) != found:
            supervised.change(*found)

    def _start_always_on(self, keys: Set[str] | None) -> None:
        """Those among the changed ones that run unasked; their turns to start come one by one."""
        if self._stopping or not self._has_adopted:
            return
        if keys is not None and not any(key.startswith(("app/", "account/")) for key in keys):
            return
        for name in self._always_on():
            if keys is None or _is_named(name, keys):
                found = self._look_up(name)
                if found is not None and not _refusal(*found):
                    self._keep(name, *found)

    def _keep(self, name: str, account: Account, app: App) -> None:
        waited = self._around.placement.prepare(account.name)
        if waited is None:
            self._known(name, account, app).keep()
        else:
            again = partial(self._start_always_on, {f"app/{name}"})
            waited.addCallbacks(lambda _: again(), partial(self._keep_later, name, again))

    def _keep_later(self, name: str, again: Callable[[], None], failure: Failure) -> None:
        """Nobody asks for it: it is tried again unasked."""
        self._no_user(name, failure)
        if not self._stopping and name not in self._later:

            def now() -> None:
                del self._later[name]
                again()

            self._later[name] = self._reactor.callLater(NO_USER, now)

    def _no_user(self, app: str, failure: Failure) -> Woken | Failure:
        """Its account could be given none: it is tried again with the next request."""
        if failure.check(CancelledError):
            # who has waited has left
            return failure
        reason = f"the account could not be given a user: {failure.getErrorMessage()}"
        if failure.check(OSError, ConfigError):
            # a home that is none, a full disk, a range that is used up
            self.log.error("{app}: {reason}", app=app, reason=reason)
        else:
            self.log.failure("{app}: {reason}", failure, app=app, reason=reason)
        self._around.events.tell("start_failed", app, reason=reason, cause="no_user", pid=0)
        return Woken(refusal="crash_loop", retry=NO_USER)

    def accounts(self) -> set[str]:
        """Whose apps run, or are about to."""
        return {supervised.account.name for supervised in self._supervised.values()}

    def expected(self, app: str) -> float:
        """Seconds after which it may be there, as its last starts say; 0: nobody knows."""
        if app in self._supervised:
            return self._supervised[app].expected
        return self._around.starts.expect(app)

    def listeners(self) -> list[int]:
        """Descriptors of all that is held for daemons, for the code that comes next."""
        return [each for s in self._supervised.values() for each in s.processes.listeners()]

    def is_settled(self) -> bool:
        """Whether no app is being started now, nor followed by its like."""
        return all(each.core.coming is None for each in self._supervised.values())

    def restart(self, app: str) -> str:
        """Replace the app's daemon or clear its failures; empty, or the cause why not."""
        found = self._look_up(app)
        if found is None:
            return "not_configured"
        if refusal := _refusal(*found):
            return refusal
        if app in self._supervised:
            self._supervised[app].restart()
        return ""

    def describe_app(self, app: str) -> dict[str, object] | None:
        """One app; None: it was not asked for, or is down and forgotten."""
        return self._supervised[app].describe() if app in self._supervised else None

    def describe(self, after: str, limit: int) -> list[dict[str, object]]:
        """The apps that are known here, in order of name."""
        names = sorted(name for name in self._supervised if name > after)[:limit]
        return [self._supervised[name].describe() for name in names]

    def states(self) -> dict[str, int]:
        """How many apps are in each state, of those that are known here."""
        return Counter(each.core.state for each in self._supervised.values())

    # from the kernel

    def oom(self, app: str, generation: int, kills: int) -> None:
        """So many processes of this generation were killed because its memory was full."""
        if app in self._supervised:
            self._supervised[app].tell("oom", generation, kills=kills)

    # start and end of the keeper

    def adopt(self) -> None:
        """Take back what an earlier keeper launched and that still runs; clear up the rest."""
        entries, gone = self._around.journal.living()
        for entry in gone:
            self._clear_up(entry)
        kept = {entry.address.removeprefix("unix:") for entry in entries}
        for path in self._folder.glob("*.sock"):
            if str(path) not in kept:
                path.unlink()
        newest = {entry.app: entry.generation for entry in entries if entry.ready}
        for entry in entries:
            try:
                self._take_back(entry, newest.get(entry.app) == entry.generation)
            except ProcessLookupError:
                self._around.journal.forget(entry.generation)
                self._clear_up(entry)
        for name, supervised in list(self._supervised.items()):
            self._take_over(name, supervised)
        self._around.handed.close()
        self._has_adopted = True
        self._around.placement.clear(self._entries)
        self._start_always_on(None)

    def _entries(self) -> list[Entry]:
        """All that live, whatever becomes of them."""
        each = (supervised.processes.entries() for supervised in self._supervised.values())
        return [entry for entries in each for entry in entries]

    def _take_back(self, entry: Entry, serves: bool) -> None:
        found = self._look_up(entry.app)
        supervised = self._supervised.get(entry.app)
        if supervised is None:
            account, _, name = entry.app.partition("/")
            known = found or (Account(account), App(name, runtime="", run=None))
            supervised = self._supervised[entry.app] = Supervised(self._around, *known)
        # one that was ready has been followed by another
        supervised.take_back(entry, serves, entry.ready)
        self.log.info(
            "{app}: took back generation {generation}, pid {pid}",
            app=entry.app,
            generation=entry.generation,
            pid=entry.pid,
        )

    def _clear_up(self, entry: Entry) -> None:
        """End what is left of a generation whose process has ended, or is not what it was."""
        leaf = self._around.placement.find(entry)
        if leaf is not None:
            try:
                leaf.kill()
                leaf.remove()
            except OSError:
                # `Placement.clear` comes to it as well
                self.log.failure("{app}: what is left of it", app=entry.app)
        elif entry.boot == self._around.journal.boot:
            mark = mark_of({UNIT: unit_of(self._around.settings, entry.generation)})
            uid = entry.uid if entry.uid >= 0 else os.geteuid()
            self._sweep(Remains(None, mark, uid, None).sweep())

    def _sweep(self, sweep: Iterator[bool | None]) -> None:
        """A part at a time: others have their turn."""
        if next(sweep) is None:
            self._reactor.callLater(0, self._sweep, sweep)

    def stop(self, grace: float) -> Deferred[None]:
        """End every daemon, by force after `grace`; fires when no process is left."""
        self._stopping = True
        if self._look_again is not None:
            self._look_again.cancel()
            self._look_again = None
        while self._later:
            self._later.popitem()[1].cancel()
        stopped: Deferred[None] = Deferred()
        self._stopped.append(stopped)
        for supervised in list(self._supervised.values()):
            supervised.dismiss("keeper_down", 0.0)
        if grace > 0:
            late = self._reactor.callLater(grace, self._kill)
            stopped.addCallback(lambda _: late.cancel() if late.active() else None)
        else:
            self._kill()
        self._check_stopped()
        return stopped

    def _kill(self) -> None:
        for supervised in list(self._supervised.values()):
            supervised.kill()

    def _check_stopped(self) -> None:
        if self._stopping and not any(each.remains for each in self._supervised.values()):
            stopped, self._stopped = self._stopped, []
            if stopped:
                self._around.placement.close()
            for waiting in stopped:
                waiting.callback(None)

    # from the apps

    def _rested(self, supervised: Supervised) -> None:
        # its failures are kept as long as they count, and itself while something is stuck
        if not supervised.processes and (supervised.gone or not supervised.core.failures):
            self._supervised.pop(supervised.name, None)
            self._around.placement.rested(supervised.account.name)
        self._check_stopped()

    def _ask_token(self, supervised: Supervised) -> None:
        account = supervised.account
        self._roster.ask(account.name, supervised.name, account.starts)
        self._grant()

    def _release_token(self, supervised: Supervised) -> None:
        if self._roster.release(supervised.account.name, supervised.name):
            self._grant()

    def _grant(self) -> None:
        while self._roster:
            if self._pressure().is_high:
                self._make_room()
                return
            name = self._roster.next()
            if not name:
                return
            self._supervised[name].token()

    def _make_room(self) -> None:
        """End who was idle for longest, one at a time, and look again."""
        if self._look_again is None:
            self._look_again = self._reactor.callLater(LOOK_AGAIN, self._grant_again)
        leaving = self._supervised.get(self._evicted)
        if leaving is None or leaving.core.state not in ("DRAINING", "STOPPING"):
            self._evicted = longest_idle(
                (each.idle, name) for name, each in self._supervised.items() if each.idle > 0
            )
            if self._evicted:
                self._supervised[self._evicted].evict()

    def _grant_again(self) -> None:
        self._look_again = None
        self._grant()


def _refusal(account: Account, app: App) -> str:
    """Why nothing of it may run; empty: it may."""
    if account.suspended:
        return "suspended"
    return "" if app.enabled else "disabled"


def _is_named(name: str, keys: Set[str]) -> bool:
    account, _, _ = name.partition("/")
    return f"app/{name}" in keys or f"account/{account}" in keys

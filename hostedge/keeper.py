"""
The keeper as a service: from an empty place or a killed keeper's family to a node, and back.

In:  `compose.keeper`; signals of an operator or of the init system.
Out: a running family, `run/listeners.json`; at the end, not one process.

    SIGTERM        drain: edges finish what runs, then everything ends
    SIGINT         everything ends within 5 seconds
    SIGINT again   everything ends now
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from hostedge.errors import ConfigError
from hostedge.links.keeper import KeeperLinks
from hostedge.model.parse import Words
from hostedge.model.site import Account, App
from hostedge.net.link import LinkServer, Silent
from hostedge.net.listener import Listener, wanted
from hostedge.settings import Settings
from hostedge.store.reader import StoreReader
from hostedge.supervise import handover
from hostedge.supervise.family import Family
from hostedge.supervise.firewall import Firewall
from hostedge.supervise.inheritance import Inheritance, bind_all
from hostedge.supervise.notes import replace_file

RECOVERY = 5.0  # seconds for a relative to link and hand the listeners back; it retries each 0.1
FAST = 3.0  # seconds that daemons have to end after SIGINT; the rest of the 5 is for reaping
REAP_EVERY = 1.0  # seconds; orphans of customers' daemons end up here

_PR_SET_CHILD_SUBREAPER = 36


class Ends(Protocol):
    """What the keeper's end needs of the daemon manager."""

    def adopt(self) -> None: ...

    def stop(self, grace: float) -> Deferred[Any]: ...


class Resumed(Protocol):
    """An upgrade, of which this keeper is a step: `supervise.upgrade.Upgrade`."""

    def resume(self) -> None: ...

    def abandon(self) -> None: ...


class KeeperStore:
    """
    The keeper's eye on the store: opened when control has made it, then kept open, so that the
    files that readers need are never removed.
    """

    def __init__(self, path: Path, words: Words) -> None:
        self._path = path
        self._words = words
        self._reader: StoreReader | None = None
        self._revision = 0
        self._subscribers: list[Callable[[list[str] | None], object]] = []

    def subscribe(self, subscriber: Callable[[list[str] | None], object]) -> None:
        """Have this called with the keys that changed; None: anything may have."""
        self._subscribers.append(subscriber)

    def is_there(self) -> bool:
        """Can the store be read by now?"""
        if self._reader is None:
            try:
                self._reader = StoreReader(self._path, self._words)
            except ConfigError:
                return False
            self._revision = self._reader.revision()
            # whatever is in it is news
            self._tell(None)
        return True

    def _tell(self, keys: list[str] | None) -> None:
        for subscriber in self._subscribers:
            subscriber(keys)

    def always_on(self) -> list[str]:
        """The apps that run without having been asked for."""
        if not self.is_there() or self._reader is None:
            return []
        return self._reader.always_on()

    def app(self, key: str) -> tuple[Account, App] | None:
        """The app `account/name` and its owner."""
        if not self.is_there() or self._reader is None:
            return None
        account, _, name = key.partition("/")
        return self._reader.app(account, name)

    def suspended(self, keys: list[str] | None, running: Iterable[str]) -> list[str]:
        """
        The accounts among these keys that are suspended; of changes too many to name, those that
        have something `running`.
        """
        reader = self._reader
        if reader is None:
            return []
        if keys is None:
            accounts = sorted(running)
        else:
            accounts = [key.removeprefix("account/") for key in keys if key.startswith("account/")]
        return [account for account in accounts if reader.is_suspended(account)]

    def changed(self, revision: int) -> None:
        """The store is at this revision."""
        if not self.is_there() or self._reader is None or revision <= self._revision:
            return
        self._revision, keys = self._reader.changed_keys(self._revision)
        self._tell(keys)


class Keeper(Service):
    """
    Nothing of the node lives before `startService` and after the process has ended, except
    when it is killed: then everything lives on for the next keeper.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        inheritance: Inheritance,
        server: LinkServer,
        links: KeeperLinks,
        family: Family,
        daemons: Ends,
        is_ours: Callable[[int], bool],
        store_is_there: Callable[[], bool],
        upgrade: Resumed,
        firewall: Firewall | None = None,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._inheritance = inheritance
        self._server = server
        self._links = links
        self._family = family
        self._daemons = daemons
        self._is_ours = is_ours
        self._store_is_there = store_is_there
        self._upgrade = upgrade
        self._firewall = firewall
        self._reaping = LoopingCall(self._reap)
        self._reaping.clock = reactor
        self._ending: Deferred[None] | None = None
        self._has_daemons = False

    def startService(self) -> None:
        super().startService()
        become_subreaper()
        # the reactor installs its own handlers when it starts
        self._reactor.callWhenRunning(self._take_signals)
        self._reaping.start(REAP_EVERY, now=False)
        starting = Deferred.fromCoroutine(self._start())
        starting.addErrback(lambda failure: self._cannot_start(failure))

    async def _start(self) -> None:
        listeners = self._inheritance.listeners
        relatives = self._inheritance.relatives
        self._family.adopt(relatives)
        if relatives:
            # a daemon whose app cannot be looked up would be ended as not configured
            await self._until(self._store_is_there, RECOVERY)
        if self._firewall is not None and self._ending is None:
            # before any daemon is started
            self._firewall.raise_it()
        # before anybody links: an edge that wakes an app must not have it started beside itself
        self._take_daemons_back()
        self._server.startService()
        if relatives and self._inheritance.link < 0:
            listeners = await self._recover()
        elif relatives:
            self._warn_of_changed(listeners)
        if relatives:
            self.log.info("took over {count} processes of the last keeper", count=len(relatives))
        self._links.listen(listeners)
        self._note(listeners)
        self._family.start()
        if self._ending is None:
            self._upgrade.resume()

    def _take_daemons_back(self) -> None:
        """Once; at the latest when they are to end."""
        if not self._has_daemons:
            self._has_daemons = True
            self._daemons.adopt()

    def _note(self, listeners: tuple[Listener, ...]) -> None:
        told = [{"protocol": each.protocol, "address": each.address} for each in listeners]
        try:
            replace_file(self._settings.run / "listeners.json", json.dumps(told))
        except OSError as error:
            # only the command line reads it, and of a keeper before there is one already
            self.log.error("the note of the listeners is old: {error}", error=error)

    async def _recover(self) -> tuple[Listener, ...]:
        """The listeners from whoever still holds them; newly bound when nobody hands them over."""
        if not wanted(self._settings):
            return ()
        try:
            listeners = await self._links.recover_listeners(RECOVERY)
        except Silent:
            self.log.warn("no relative has the listeners: all are ended, the addresses bound anew")
            self._signal_family(signal.SIGKILL)
            # the addresses are free when the last of them is gone
            relatives = self._inheritance.relatives
            await self._until(lambda: not any(each.lives() for each in relatives), RECOVERY)
            return bind_all(self._settings)
        self._warn_of_changed(listeners)
        return listeners

    def _warn_of_changed(self, listeners: tuple[Listener, ...]) -> None:
        if [(each.protocol, each.asked) for each in listeners] != wanted(self._settings):
            self.log.warn(
                "listen has changed: it takes effect when the node is stopped and started"
            )

    def _cannot_start(self, failure: Any) -> None:
        self.log.failure("the node cannot start", failure)
        if self._ending is not None:
            return
        if not self._inheritance.relatives:
            self._begin_end(0.0)
            return
        # visitors are served on, as when a keeper is killed; one that can start will find them
        self._ending = succeed(None)
        self._reactor.addSystemEventTrigger("after", "shutdown", os._exit, 1)
        self._reactor.callWhenRunning(self._reactor.stop)

    def _take_signals(self) -> None:
        def interrupt(*_: object) -> None:
            self._reactor.callFromThread(self._interrupted)

        def terminate(*_: object) -> None:
            self._reactor.callFromThread(self._begin_end, self._settings.limits.drain)

        signal.signal(signal.SIGINT, interrupt)
        signal.signal(signal.SIGTERM, terminate)
        handover.unblock()

    def _interrupted(self) -> None:
        if self._ending is None:
            self._begin_end(0.0)
        else:
            self._signal_family(signal.SIGKILL)
            self._daemons.stop(0.0)

    def _begin_end(self, drain: float) -> None:
        if self._ending is None:
            self._ending = Deferred.fromCoroutine(self._end(drain))
            self._ending.addErrback(lambda failure: self.log.failure("the end failed", failure))
            self._ending.addBoth(lambda _: self._reactor.stop())

    async def _end(self, drain: float) -> None:
        self._upgrade.abandon()
        self._take_daemons_back()
        self._family.no_more()
        empty = self._family.when_empty()
        self._links.drain(drain)
        self._family.signal("template", signal.SIGTERM)
        if drain:
            await self._until(lambda: not self._family.living("edge"), drain + 1.0)
        self._family.signal("control", signal.SIGTERM)
        late = self._reactor.callLater(FAST, self._signal_family, signal.SIGKILL)
        # a hung edge would otherwise be waited for
        self._family.signal("edge", signal.SIGTERM)
        await DeferredList([self._daemons.stop(FAST), empty])
        if self._firewall is not None:
            self._firewall.lower_it()
        if late.active():
            late.cancel()

    def _until(self, condition: Callable[[], bool], patience: float) -> Deferred[Any]:
        """Fires when the condition is true, or the patience is over."""
        over: Deferred[None] = Deferred()
        deadline = self._reactor.seconds() + patience

        def look() -> None:
            if condition() or self._reactor.seconds() >= deadline:
                looking.stop()
                over.callback(None)

        looking = LoopingCall(look)
        looking.clock = self._reactor
        looking.start(0.02)
        return over

    def _signal_family(self, number: int) -> None:
        for role in ("edge", "template", "control"):
            self._family.signal(role, number)

    def stopService(self) -> Deferred[None] | None:
        super().stopService()
        if self._reaping.running:
            self._reaping.stop()
        if self._ending is None:
            # the reactor stops for a reason of its own
            self._ending = Deferred.fromCoroutine(self._end(0.0))
            return self._ending
        return None

    def _reap(self) -> None:
        """Bury orphans that came to us; children that somebody watches are theirs to reap."""
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None or self._is_ours(ended.si_pid):
                return
            os.waitpid(ended.si_pid, os.WNOHANG)


def become_subreaper() -> None:
    """Have orphaned grandchildren come to this process (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")

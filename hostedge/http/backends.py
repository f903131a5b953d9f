"""
All apps and pools of an edge, and what the keeper says about them.

In:  mappings ask for a backend when a host is compiled; the keeper's link calls the rest.
Out: backends, probes, and what this edge's apps are doing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from time import monotonic
from typing import Any, Protocol
from weakref import WeakSet, WeakValueDictionary, finalize, ref

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from hostedge.balance.budget import Budget
from hostedge.http.app_backend import AppBackend
from hostedge.http.exchange import Exchange
from hostedge.http.lane import Keeper, Means
from hostedge.http.last_requests import LastRequests
from hostedge.http.onward_head import head_writer
from hostedge.http.pool_backend import PoolBackend
from hostedge.http.probe import Probe
from hostedge.http.relay import Relay
from hostedge.http.spool import Disk
from hostedge.http.wheel import Wheel
from hostedge.ipc import Use
from hostedge.model.onward import same_servers, told
from hostedge.model.site import Account, App, Pool
from hostedge.observe.page import page_of
from hostedge.observe.traffic import Traffic
from hostedge.settings import Limits

# reports of activity between two looks for apps that nobody uses
SWEEP = 60
# the number of what is told of those that are no more
GONE = 1


class Runtime(Protocol):
    """A word after `runtime:`, as far as capacity goes."""

    @property
    def word(self) -> str: ...

    def capacity(self, value: Any) -> int:
        """How many requests an app with these options works on at once."""

    def keep_alive(self, value: Any) -> float:
        """Seconds for which it keeps a connection that nobody uses; 0: nobody knows."""


class Backends:
    """
    There is never more than one backend of an app.

    Compiled hosts hold the backends that they use, and so do requests; `_kept` holds those
    beyond that which were in use lately. What nothing holds is gone from `_apps` by itself.
    """

    def __init__(
        self,
        reactor: Any,
        keeper: Keeper,
        wheel: Wheel,
        counters: dict[str, int],
        limits: Limits,
        edges: int,
        runtimes: Iterable[Runtime],
        disk: Disk,
    ) -> None:
        known = {runtime.word: runtime for runtime in runtimes}
        self.means = Means(
            reactor=reactor,
            clock=reactor,
            resolve=reactor.resolve,
            wheel=wheel,
            limits=limits,
            counters=counters,
            keeper=keeper,
            workers=lambda app: known[app.runtime].capacity(app.run),
            kept=lambda app: known[app.runtime].keep_alive(app.run),
            edges=edges,
            disk=disk,
            waiting=Budget(max(1, limits.queue_requests // edges)),
            kept_bodies=Budget(limits.queue_bodies // edges),
        )
        # what the apps of an account share
        self._accounts: WeakValueDictionary[str, Budget] = WeakValueDictionary()
        self._apps: WeakValueDictionary[str, AppBackend] = WeakValueDictionary()
        self._pools: WeakValueDictionary[str, PoolBackend] = WeakValueDictionary()
        # pools as they were before a change, while requests are still on them
        self._former: WeakSet[PoolBackend] = WeakSet()
        self._kept: set[AppBackend] = set()
        # in the order in which they came to be; what tells that one of them is no more
        self._numbered: dict[int, tuple[ref[AppBackend | PoolBackend], finalize[..., Any]]] = {}
        self._count = GONE
        # what has gone to those that are no more
        self._gone = Traffic()
        # where apps are that run, also those that nobody has asked this edge for: a keeper that
        # is away cannot be asked
        self._running: dict[str, tuple[int, str]] = {}
        # when starts should be over, also of apps that nobody has asked this edge for
        self._expected: dict[str, float] = {}
        self._probes: dict[str, Deferred[None]] = {}
        self._lost = False
        self._until_sweep = SWEEP
        self.last = LastRequests(monotonic)

    def app(self, account: Account, app: App) -> AppBackend:
        """Give the backend of an app; it follows what the site says now."""
        name = f"{account.name}/{app.name}"
        waiting = self._accounts.get(account.name)
        if waiting is None:
            waiting = self._accounts[account.name] = Budget(account.queue)
        waiting.limit = account.queue
        backend = self._apps.get(name)
        if backend is None:
            backend = self._apps[name] = AppBackend(name, app, self.means, waiting)
            self._number(backend)
            if self._lost:
                backend.keeper_lost()
            if name in self._running:
                backend.moved(*self._running[name], new=False)
            elif name in self._expected:
                backend.expect(self._expected[name] - self.means.clock.seconds())
        elif backend.app != app:
            # so may a mapping want it: that is the leaf's
            backend.update(app)
        self._kept.add(backend)
        return backend

    def pool(self, account: str, pool: Pool) -> PoolBackend:
        """Give the backend of a pool; a changed pool gets a new one."""
        name = f"{account}/{pool.name}"
        backend = self._pools.get(name)
        # what a mapping may want otherwise is the leaf's
        if backend is not None and same_servers(pool, backend.pool):
            return backend
        traffic = None
        if backend is not None:
            backend.close()
            self._former.add(backend)
            traffic = backend.traffic
            self._numbered.pop(backend.number)[1].detach()
        backend = self._pools[name] = PoolBackend(name, pool, self.means, traffic)
        self._number(backend)
        return backend

    def _number(self, backend: AppBackend | PoolBackend) -> None:
        """What it counts stays when it is gone."""
        self._count += 1
        number = backend.number = self._count
        gone = finalize(backend, self._forget, number, backend.traffic)
        gone.atexit = False
        self._numbered[number] = ref(backend), gone

    def _forget(self, number: int, traffic: Traffic) -> None:
        del self._numbered[number]
        self._gone.take_in(traffic)

    def relay_to_app(self, account: Account, app: App, limits: Limits) -> Relay:
        """A leaf that sends requests on to an app."""
        backend, means = self.app(account, app), self.means
        return Relay(
            backend,
            app.buffer,
            limits,
            means.counters,
            means.disk,
            backend.name,
            head_writer(app.forwarded, app.keep, counters=means.counters),
            told(app),
            self.last,
        )

    def relay_to_pool(self, account: str, pool: Pool, limits: Limits) -> Relay:
        """A leaf that sends requests on to the servers of a pool."""
        backend, means = self.pool(account, pool), self.means
        return Relay(
            backend,
            pool.buffer,
            limits,
            means.counters,
            means.disk,
            make_head=head_writer(pool.forwarded, pool.keep, pool.host, means.counters),
            notes=told(pool),
        )

    def app_now(self, name: str) -> AppBackend | None:
        """The backend of `account/app`, if there is one; none is made."""
        return self._apps.get(name)

    def pool_now(self, name: str) -> PoolBackend | None:
        """The backend of `account/pool`, if there is one; none is made."""
        return self._pools.get(name)

    # what the keeper says

    def expect(self, app: str, seconds: float) -> None:
        """A start of this app has begun that should take so long."""
        self._expected[app] = self.means.clock.seconds() + seconds
        backend = self._apps.get(app)
        if backend is not None:
            backend.expect(seconds)

    def moved(self, app: str, generation: int, address: str) -> None:
        """From now on this generation answers."""
        self._expected.pop(app, None)
        self._running[app] = (generation, address)
        backend = self._apps.get(app)
        if backend is not None:
            backend.moved(generation, address)

    def quiesce(self, app: str, generation: int) -> bool:
        """Whether that generation is idle here; then nothing goes to it any more."""
        backend = self._apps.get(app)
        idle = backend is None or backend.quiesce(generation)
        if idle:
            self._ended(app, generation)
        return idle

    def retire(self, app: str, generation: int, deadline: float) -> None:
        """Begin nothing on that generation, and end what runs on it after `deadline` seconds."""
        self._ended(app, generation)
        backend = self._apps.get(app)
        if backend is not None:
            backend.retire(generation, deadline)

    def _ended(self, app: str, generation: int) -> None:
        if self._running.get(app, (generation + 1, ""))[0] <= generation:
            del self._running[app]

    def cut(self, account: str, reason: str) -> None:
        """End everything of an account; the reason is for the log of who asks."""
        backends = [*self._apps.items(), *self._pools.items()]
        backends += [(former.name, former) for former in self._former]
        for name, backend in backends:
            if name.startswith(f"{account}/"):
                backend.cut("suspended")

    def last_requests(self, app: str, generation: int) -> list[dict[str, Any]]:
        """Those that its last connections have lost, a moment ago."""
        return self.last.of(app, generation)

    def probe(
        self, app: str, generation: int, address: str, host: str, held: bool
    ) -> Deferred[None]:
        """
        Fire when that generation has answered; a newer probe of the app cancels an older one.

        Fails with `UpstreamFailed`, or `CancelledError`.
        """
        self.stop_probe(app)
        probe = Probe(self.means, address, host, held)
        answered = self._probes[app] = probe.answered

        def forget(result: None | Failure) -> None | Failure:
            if self._probes.get(app) is answered:
                del self._probes[app]
            return result

        answered.addBoth(forget)
        return probe.start()

    def stop_probe(self, app: str) -> None:
        """The app is not being started any more."""
        older = self._probes.pop(app, None)
        if older is not None:
            older.cancel()

    def keeper_lost(self) -> None:
        """Nobody can start an app; what runs goes on."""
        self._lost = True
        for app in list(self._probes):
            # the next keeper has probes of its own
            self.stop_probe(app)
        for backend in list(self._apps.values()):
            backend.keeper_lost()

    def keeper_back(self) -> None:
        """Ask again for every app that somebody waits for."""
        self._lost = False
        for backend in list(self._apps.values()):
            backend.keeper_back()

    def waiting(self) -> Iterator[Exchange]:
        """Requests that wait for a place."""
        for backend in self._all():
            for passage in backend.places:
                yield passage.exchange

    def lines(self) -> int:
        """How many that are."""
        return sum([len(backend.places) for backend in self._all()])

    def _all(self) -> Iterator[AppBackend | PoolBackend]:
        return chain(self._apps.values(), self._pools.values(), self._former)

    def page(self, after: int) -> bytes:
        """
        A JSON list of those numbered higher than that, as many as a message holds; empty: no more.
        The first is none, but all that are no more. What nothing has gone to is not told.
        """
        return page_of(self._told(after))

    def _told(self, after: int) -> Iterator[dict[str, Any]]:
        if after < GONE:
            yield {"number": GONE, "kind": "", "backend": "", **self._gone.tell([])}
        for number, (known, _) in list(self._numbered.items()):
            each = known() if number > after else None
            if each is None:
                continue
            told = each.tell()
            if told["connects"] or told["in_flight"] or told["waiting"] or told["ejections"]:
                kind = "app" if isinstance(each, AppBackend) else "pool"
                yield {"number": number, "kind": kind, "backend": each.name, **told}

    # what the keeper is told

    def activity(self) -> list[Use]:
        """What every app that is in use, or was since the last report, is doing."""
        self._until_sweep -= 1
        if not self._until_sweep:
            self._sweep()
        return [line for backend in list(self._apps.values()) for line in backend.activity()]

    def _sweep(self) -> None:
        self._until_sweep = SWEEP
        now = self.means.clock.seconds()
        self._expected = {app: at for app, at in self._expected.items() if at > now}
        for backend in [b for b in self._kept if b.is_forgettable]:
            self._kept.discard(backend)

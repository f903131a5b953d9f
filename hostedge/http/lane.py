"""
Places on an app or a server, and the line of requests that wait for one.

A request that is upgraded gives its place back and is counted by itself from then on: it may
last for days, and works now and then.

In:  `http.app_backend` and `http.pool_backend` are made of these.
Out: `passage.placed` and `passage.refused`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from random import randint, random
from typing import Any, Protocol

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorFDSet, IReactorTime
from twisted.logger import Logger

from hostedge.balance.budget import Budget
from hostedge.balance.queue import Places
from hostedge.balance.retry import pause
from hostedge.http.exchange import Exchange
from hostedge.http.placing import Lane as LanePort
from hostedge.http.relay import Passage, SpoolPassage
from hostedge.http.spool import Disk
from hostedge.http.upstream import Upstream
from hostedge.http.wheel import NEVER, Wheel
from hostedge.ipc import Woken
from hostedge.model.site import App
from hostedge.observe.traffic import Traffic
from hostedge.settings import Limits
from hostedge.wire.keep_alive import idle_life

# what a refused client is told when nobody knows better, in seconds
RETRY = 5.0
# of a server: it takes requests, is left alone for a while, is being started, may not be started
# for now, or does not run, as nobody has asked for it
STATES = ("up", "resting", "starting", "refused", "stopped")


def soon() -> float:
    """Seconds after which those may come again who found a line full: not all at once."""
    return float(randint(1, 5))  # noqa: S311


class Keeper(Protocol):
    """Who starts apps."""

    def wake(self, app: str, host: str) -> Deferred[Woken]:
        """
        Start it or say where it is; fails when the link is lost meanwhile. Cancelled: nobody
        waits any more.
        """


@frozen
class Means:
    """What every backend of an edge needs."""

    reactor: IReactorFDSet
    clock: IReactorTime
    resolve: Callable[[str], Deferred[str]]
    wheel: Wheel
    limits: Limits
    counters: dict[str, int]
    keeper: Keeper
    # how many requests an app works on at once
    workers: Callable[[App], int]
    # seconds for which it keeps a connection that nobody uses; 0: nobody knows
    kept: Callable[[App], float]
    # over how many edges they are divided
    edges: int
    # where bodies wait that are too large for memory
    disk: Disk
    # requests that may wait for a place, and bytes of bodies that they may have in memory
    waiting: Budget
    kept_bodies: Budget

    def upstream(
        self,
        address: str,
        announce: Callable[[Exchange], bytes] | None = None,
        kept: float = 0.0,
        traffic: Traffic | None = None,
    ) -> Upstream:
        """
        Connections to an address; `announce`: what each begins with, `kept`: for how long it is
        known to be kept there, `traffic`: what counts them.
        """
        lasting = idle_life(kept) if kept else self.limits.upstream_keepalive
        return Upstream(
            address,
            self.reactor,
            self.resolve,
            self.wheel,
            self.counters,
            lasting,
            announce,
            traffic,
        )


class Lane:
    """One generation of an app, or one server of a pool: its connections and who is on it."""

    def __init__(
        self,
        owner: Owner,
        upstream: Upstream,
        label: str,
        generation: int = 0,
        since: float = 0.0,
    ) -> None:
        self.owner = owner
        self.upstream = upstream
        self.label = label
        self.generation = generation
        self.since = since
        self.in_flight = 0
        # an app's, and no server that others run
        self.may_sleep = generation > 0
        # responses that were whole, and how many of them the keeper was told
        self.served = self.told = 0
        # upgraded, and open; of these, with nothing to say for long
        self.sockets = self.silent = 0

    @property
    def is_used(self) -> bool:
        return self.in_flight > 0 or self.sockets > 0

    @property
    def talking(self) -> int:
        """Of those upgraded, with something to say."""
        return self.sockets - self.silent

    def release(self) -> None:
        self.in_flight -= 1
        self.owner.released(self)

    def exchange_place(self) -> None:
        """A request was upgraded: it needs no place any more, but is still there."""
        self.sockets += 1
        self.owner.sockets += 1
        self.release()

    def hush(self, silent: bool) -> None:
        """One that was upgraded has had nothing to say for long, or has again."""
        self.silent += 1 if silent else -1

    def leave(self, silent: bool = False) -> None:
        """What was upgraded has ended; `silent`: and was hushed."""
        self.sockets -= 1
        if silent:
            self.silent -= 1
        self.owner.left(self, silent)


def weigh(passage: Passage) -> int:
    """Bytes of its request that are kept in memory while it waits."""
    return passage.kept_request


class Owner(Protocol):
    # upgraded requests that are open
    sockets: int

    def released(self, lane: Lane) -> None: ...

    def left(self, lane: Lane, silent: bool) -> None: ...


class Waiting(ABC):
    """The line of a backend: it is watched by the wheel while somebody stands in it."""

    _log = Logger()

    deadline = NEVER
    due = 0

    def __init__(self, means: Means, capacity: int, limit: int, *shared: Budget) -> None:
        self.means = means
        # upgraded requests that are open
        self.sockets = 0
        self.places: Places[Passage] = Places(
            capacity, limit, (*shared, means.waiting), means.kept_bodies, weigh
        )
        self.traffic = Traffic()
        # from `http.backends`, which tells what has gone to it
        self.number = 0
        self._serving = False
        # the end of a moment in which nobody is sent on, for want of room in a backlog
        self._breath: IDelayedCall | None = None

    def holds_back(self, passage: SpoolPassage) -> bool:
        """Whether its client shall send a body only later."""
        return False

    def _line_up(self, passage: Passage) -> bool:
        """Somebody new found no place free; False: the line is full too, and it was told so."""
        deadline = self._deadline(passage)
        if not self.places.stand(passage, deadline):
            passage.refused("queue_full", soon())
            return False
        passage.queued()
        self._wait(deadline)
        return True

    def _wait(self, deadline: float) -> None:
        """Somebody has come to the line, until then."""
        if not self.due:
            self.deadline = deadline
            self.means.wheel.watch(self)
        elif deadline < self.deadline:
            self.deadline = deadline
            self.means.wheel.hasten(self)

    def leave(self, passage: Passage) -> None:
        self.places.leave(passage)

    def timed_out(self) -> None:
        for passage in self.places.expired(self.means.wheel.now):
            self.refuse_late(passage)
        first = self.places.first_deadline()
        if first is None:
            self.means.wheel.forget(self)
        else:
            self.deadline = first

    def left(self, lane: Lane, silent: bool) -> None:
        """What was upgraded on this lane has ended."""
        self.sockets -= 1

    def refuse_late(self, passage: Passage) -> None:
        if passage.until:
            passage.refused("queue_full", soon())
        else:
            passage.refused("queue_timeout", RETRY)

    def serve(self) -> None:
        """Give free places away, in order; one that fails at once must not nest the next."""
        if self._serving:
            return
        self._serving = True
        try:
            while (passage := self.places.next()) is not None:
                self.place(passage)
        finally:
            self._serving = False

    @abstractmethod
    def choose(self, passage: Passage) -> Lane | None:
        """A lane for somebody who has a place; None: there is none that would not fail again."""

    def place(self, passage: Passage) -> None:
        """Put somebody who has a place on a lane."""
        lane = self.choose(passage)
        if lane is None:
            self.places.give_back()
            passage.refused(*self.unreached(passage, "upstream_refused"))
            return
        lane.in_flight += 1
        try:
            passage.placed(lane)
        except Exception:  # noqa: BLE001 - one request's failure must not cost the others' places
            self._log.failure("request on {lane} failed", lane=lane.label)
            passage.upstream_failed("internal", True)

    def crowded(self, lane: LanePort, passage: Passage) -> bool:
        """It has more to accept than it holds: whether it is worth another try."""
        if self._breath is None:
            # for a moment nobody goes there beyond those who are there, without this one
            self.places.capacity = min(self.places.capacity, self.places.taken - 1)
            self._breath = self.means.clock.callLater(pause(1, random()), self._breathe)  # noqa: S311
        passage.avoided = ()
        passage.until = passage.until or self._deadline(passage)
        return True

    def _breathe(self) -> None:
        self._breath = None
        self.places.capacity = self._capacity()
        self.serve()

    @abstractmethod
    def _capacity(self) -> int:
        """How many places there are."""

    @abstractmethod
    def _deadline(self, passage: Passage) -> float:
        """Until when somebody waits who comes now."""

    def unreached(self, passage: Passage, cause: str) -> tuple[str, float | None]:
        """What somebody is told who could not be connected, the last time because of `cause`."""
        return cause, None

    def refusal(self, patience: float) -> tuple[str, float | None] | None:
        """
        What a request of such patience would be told, if it is already known to be refused.
        """
        return ("queue_full", soon()) if self.places.is_full else None

    @abstractmethod
    def cut(self, cause: str) -> None:
        """End everything now: refuse who waits, break off what runs."""

    @abstractmethod
    def in_use(self) -> list[Lane]:
        """All lanes, also those that nothing new goes to."""

    @abstractmethod
    def states(self) -> dict[str, int]:
        """How many of its servers are in which of `STATES`; an app is one."""

    def tell(self) -> dict[str, Any]:
        """What has gone to it, and how it is."""
        lanes = self.in_use()
        serving = [each.served for lane in lanes for each in lane.upstream.open]
        return {
            **self.traffic.tell(serving),
            "in_flight": sum([lane.in_flight for lane in lanes]),
            "sockets": self.sockets,
            "capacity": self.places.capacity,
            "waiting": len(self.places),
            "connections": len(serving),
            "states": self.states(),
        }

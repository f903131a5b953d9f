"""
One app on this edge: woken by its first request, followed when it moves, let go when it is idle.

In:  `http.relay` asks for places; `http.backends` passes on what the keeper says.
Out: places, and `Keeper.wake`.

    take(passage)      ->    a place at once, or a position in line
    no address yet     ->    keeper.wake, once for all who wait
    address known      <-    woken, or moved: the line is served in order, within capacity
    nobody there       ->    keeper.wake; it may hear of an end later than we do: a pause, once more
    refused, too late  <-    everybody it concerns is refused, with the time to come again
"""

from __future__ import annotations

from random import random
from time import monotonic
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from hostedge.balance.budget import Budget
from hostedge.balance.retry import pause
from hostedge.balance.slow_start import window
from hostedge.balance.worthy import is_worthy
from hostedge.http.early import EarlyPassage
from hostedge.http.lane import RETRY, Lane, Means, Waiting
from hostedge.http.placing import Lane as LanePort
from hostedge.http.relay import Passage, SpoolPassage
from hostedge.http.waiting_page import HELD
from hostedge.ipc import Use, Woken
from hostedge.model.site import App
from hostedge.wire.navigation import is_navigation

# seconds without a request after which an edge does not keep an app in mind
REMEMBERED = 600.0
# seconds in which it is looked at once who asks: idle times are minutes
SAMPLE = 1.0
# seconds without a byte after which a response does not keep an app awake
STILL = 60.0
# seconds between two looks at how far a new generation is, while somebody waits
WIDER = 1.0
# seconds after which a generation that could not be connected to has not failed in a row
FORGIVEN = 5.0


class AppBackend(Waiting):
    """
    One app on this edge.

    `lane` is the generation that requests go to, None while no address is known; older lanes
    end with the requests that are on them. Capacity is 0 while there is no lane.
    """

    def __init__(self, name: str, app: App, means: Means, *shared: Budget) -> None:
        super().__init__(means, 0, app.queue, *shared)
        self.name = name
        self.app = app
        self.lane: Lane | None = None
        self.old: list[Lane] = []
        self.used_at = self.means.wheel.now
        self.changed = True
        self._host = ""
        self._waking: Deferred[Any] | None = None
        self._keeper_lost = False
        # which generation could not be connected to, when, how often in a row; whether it is to
        # be left alone for a moment if the keeper names it again, and the end of that moment
        self._missed = self._misses = 0
        self._missed_at = 0.0
        self._is_doubted = False
        self._pause: IDelayedCall | None = None
        # the keeper's refusal, and when it may be another one
        self._cause, self._refused_until = "", 0.0
        # when the start that goes on should be over, by the clock; 0.0: nobody knows
        self._expected = 0.0
        # `lane` has just come up: since when, and the next look at how far it is
        self._is_new = False
        self._new_since = 0.0
        self._look: IDelayedCall | None = None
        # last words about generations that are no more
        self._untold: list[Use] = []

    def update(self, app: App) -> None:
        """Take over what the site says now."""
        self.app = app
        self.places.limit = app.queue
        if self.lane is not None:
            self.places.capacity = self._capacity()
            self.serve()

    def _capacity(self) -> int:
        means, lane = self.means, self.lane
        if lane is None:
            return 0
        most = max(1, means.workers(self.app) // means.edges)
        if not self._is_new:
            return most
        width = window(most, lane.served, means.clock.seconds() - self._new_since, means.edges)
        self._is_new = width < most
        return width

    def _widen(self) -> None:
        """A generation that is new may have got further; look again while somebody waits."""
        if self.lane is None:
            return
        if self._breath is None:
            self.places.capacity = self._capacity()
        self.serve()
        if self._is_new and len(self.places) and self._look is None:
            self._look = self.means.clock.callLater(WIDER, self._look_again)

    def _look_again(self) -> None:
        self._look = None
        self._widen()

    # requests

    def take(self, passage: Passage) -> None:
        means = self.means
        self.changed = True
        now = means.wheel.now
        if self.lane is None or now - self.used_at >= SAMPLE:
            if is_worthy(passage.exchange.fields):
                self.used_at = now
            elif self.lane is None and not self.app.always_on:
                passage.refused("not_woken", None)
                return
        if self._is_new:
            self._widen()
        if self.places.take():
            self.place(passage)
            return
        if not self._line_up(passage):
            return
        if self.lane is None:
            self._wake(passage.exchange.host)
        elif self._is_new:
            self._widen()

    def _may_wake(self, passage: Passage) -> bool:
        return self.app.always_on or is_worthy(passage.exchange.fields)

    def holds_back(self, passage: SpoolPassage) -> bool:
        if self.lane is not None:
            return False
        EarlyPassage(passage.relay, passage.exchange).start()
        return True

    def leave(self, passage: Passage) -> None:
        super().leave(passage)
        if self._waking is not None and not len(self.places):
            self._waking.cancel()

    def unreachable(self, lane: LanePort) -> None:
        if lane is not self.lane:
            return
        # nothing was sent; the keeper knows what has become of it, or will in a moment
        generation, now = self.lane.generation, self.means.wheel.now
        in_a_row = generation == self._missed and now - self._missed_at < FORGIVEN
        self._misses = self._misses + 1 if in_a_row else 1
        self._missed, self._missed_at = generation, now
        self._is_doubted = True
        self.traffic.ejections += 1
        self._forget()

    def take_again(self, passage: Passage) -> None:
        if self.lane is None and not self._may_wake(passage):
            passage.refused("not_woken", None)
            return
        self.traffic.retries += 1
        deadline = passage.until or self._deadline(passage)
        self.places.come_back(passage, deadline)
        self._wait(deadline)
        if self.lane is None:
            self._wake(passage.exchange.host)
        else:
            self.serve()

    def choose(self, passage: Passage) -> Lane | None:
        return self.lane

    def released(self, lane: Lane) -> None:
        self.changed = True
        if lane is self.lane:
            self.places.give_back()
            # watched: somebody waits
            if self.due:
                if self._is_new:
                    self._widen()
                else:
                    self.serve()
        else:
            self._let_go(lane)

    def left(self, lane: Lane, silent: bool) -> None:
        super().left(lane, silent)
        self.changed = True
        if not silent:
            self.used_at = self.means.wheel.now
        self._let_go(lane)

    def _let_go(self, lane: Lane) -> None:
        """Forget an old generation that nothing is on any more."""
        if not lane.is_used and lane in self.old:
            self.old.remove(lane)
            self._last_words(lane)

    def _last_words(self, lane: Lane) -> None:
        if lane.served > lane.told:
            self._untold.append(self._use(lane, 0, self.means.wheel.now - self.used_at))

    def refusal(self, patience: float) -> tuple[str, float | None] | None:
        if self.lane is None and self._waking is None:
            left = self._refused_until - self.means.wheel.now
            if left > patience:
                return self._cause, left
        return super().refusal(patience)

    def refuse_late(self, passage: Passage) -> None:
        if self._keeper_lost:
            passage.refused("keeper_down", RETRY)
        elif self.lane is None:
            left = self._to_come()
            if self._shows_page(passage):
                passage.refused("starting", left)
            else:
                passage.refused("start_slow", left)
        else:
            super().refuse_late(passage)

    def _to_come(self) -> float | None:
        """Seconds until the start should be over; None: nobody knows."""
        if not self._expected:
            return None
        return max(1.0, self._expected - self.means.clock.seconds())

    def refuse_all(self, cause: str, retry: float | None) -> None:
        for passage in self.places.dismiss():
            passage.refused(cause, retry)

    def _deadline(self, passage: Passage) -> float:
        """Until when it waits: for an app that has to start longer than for a place."""
        limits = passage.relay.limits
        if self.lane is not None:
            patience = limits.queue_timeout
        elif self._shows_page(passage):
            patience = min(HELD, limits.hold_timeout)
        else:
            patience = limits.hold_timeout
        return self.means.wheel.now + patience

    def _shows_page(self, passage: Passage) -> bool:
        """Whether it is a browser that may be told to wait."""
        exchange = passage.exchange
        return self.app.waiting_page and is_navigation(exchange.method, exchange.fields)

    # the keeper

    def _wake(self, host: str) -> None:
        self._host = host or self._host
        if self._waking is not None or self._pause is not None or self._keeper_lost:
            return
        self.means.counters["app_wakes"] += 1
        self._waking = waking = self.means.keeper.wake(self.name, self._host)
        waking.addCallbacks(self._woken, self._wake_failed)

    def _woken(self, woken: Woken) -> None:
        self._waking = None
        if not woken.refusal:
            if self._is_doubtful(woken.generation):
                self._is_doubted = False
                wait = pause(self._misses, random())  # noqa: S311
                self._pause = self.means.clock.callLater(wait, self._pause_over)
            else:
                # it runs for long, where nobody has told of a start, nor that it has come up
                self.moved(woken.generation, woken.address, self._expected > 0)
            return
        self._expected = 0.0
        again = self.means.wheel.now + woken.retry
        self._cause, self._refused_until = woken.refusal, again
        if woken.retry and woken.refusal != "start_timeout":
            # who can wait for the next attempt does
            hopeless = self.places.expired(again)
        else:
            hopeless = self.places.dismiss()
        for passage in hopeless:
            passage.refused(woken.refusal, woken.retry or RETRY)
        if len(self.places):
            self.means.clock.callLater(woken.retry, self._wake_again)

    def _wake_failed(self, failure: Failure) -> None:
        """The link is lost: `keeper_back` asks again, or patience ends; or nobody waits."""
        self._waking = None

    def _is_doubtful(self, generation: int) -> bool:
        """Whether it has just been tried in vain, and nobody has waited since."""
        now = self.means.wheel.now
        mine = self._is_doubted and generation == self._missed
        return mine and now - self._missed_at < FORGIVEN

    def _pause_over(self) -> None:
        self._pause = None
        self._wake_again()

    def _wake_again(self) -> None:
        if self.lane is None and len(self.places):
            self._wake(self._host)

    def keeper_lost(self) -> None:
        self._keeper_lost = True
        self._waking = None

    def keeper_back(self) -> None:
        self._keeper_lost = False
        self.changed = True
        self._wake_again()

    def expect(self, seconds: float) -> None:
        """A start goes on that should take so long."""
        self._expected = self.means.clock.seconds() + seconds

    def moved(self, generation: int, address: str, new: bool = True) -> None:
        """From now on requests go there; `new`: it has come up just now."""
        lane = self.lane
        if lane is not None:
            if lane.generation >= generation:
                return
            self._forget()
        # who waited while it was swapped has waited for a place, not for the start
        since = monotonic() if lane is None else lane.since
        upstream = self.means.upstream(
            address, kept=self.means.kept(self.app), traffic=self.traffic
        )
        self.lane = Lane(self, upstream, f"{self.name}#{generation}", generation, since)
        self._refused_until = self._expected = 0.0
        self._is_new, self._new_since = new, self.means.clock.seconds()
        self.used_at = self.means.wheel.now
        self.changed = True
        self.places.taken = 0
        self.places.capacity = self._capacity()
        self.serve()

    def quiesce(self, generation: int) -> bool:
        """Promise to send nothing to that generation, unless it is being used."""
        lane = self.lane
        if lane is None or lane.generation != generation:
            return not any(old.generation == generation for old in self.old)
        for connection in list(lane.upstream.open):
            connection.look()
        moving, _ = self._requests(lane)
        if moving or lane.talking or len(self.places):
            return False
        self._forget()
        # what stands still, and what is silent, does not keep it
        lane.upstream.cut("upstream_died", False)
        lane.upstream.cut("idle")
        return True

    def retire(self, generation: int, deadline: float) -> None:
        """Give what runs on an old generation that much time, and WebSockets their own."""
        if self.lane is not None and self.lane.generation <= generation:
            self._forget()
            self._wake_again()
        for lane in self.old:
            if lane.generation <= generation:
                upstream, later = lane.upstream, self.means.clock.callLater
                lasting = max(deadline, self.means.limits.drain_websockets)
                later(deadline, upstream.cut, "upstream_died", False)
                later(lasting, upstream.cut, "upstream_died")

    def cut(self, cause: str) -> None:
        """End everything now."""
        self.refuse_all(cause, None)
        self._forget()
        for lane in list(self.old):
            lane.upstream.cut(cause)

    def _forget(self) -> None:
        lane, self.lane = self.lane, None
        self.places.capacity = 0
        self.changed = True
        if lane is not None:
            lane.upstream.close()
            if lane.is_used:
                self.old.append(lane)
            else:
                self._last_words(lane)

    # what it is doing

    def in_use(self) -> list[Lane]:
        return self.old if self.lane is None else [*self.old, self.lane]

    def states(self) -> dict[str, int]:
        if self.lane is not None:
            return {"up": 1}
        if self._waking is not None or self._pause is not None:
            return {"up": 0, "starting": 1}
        late = self._refused_until > self.means.wheel.now
        return {"up": 0, "refused" if late else "stopped": 1}

    def activity(self) -> list[Use]:
        """A line for each generation with requests, or with news since the last report."""
        lines, self._untold = self._untold, []
        lines += [self._use(lane, lane.in_flight, 0.0) for lane in self.old]
        lane = self.lane
        if lane is not None and (self.changed or lane.is_used):
            self.changed = False
            _, worthy = self._requests(lane)
            worthy += sum([is_worthy(passage.exchange.fields) for passage in self.places])
            now = self.means.wheel.now
            if worthy:
                self.used_at = now
            lines.append(self._use(lane, worthy, now - self.used_at))
        return lines

    def _requests(self, lane: Lane) -> tuple[int, int]:
        """How many requests on it do not stand still, and for how many of them it should run."""
        moving = lane.in_flight
        worthy = moving
        if not moving:
            return 0, 0
        since = self.means.wheel.now - STILL
        for connection in lane.upstream.open:
            passage = connection.reply
            if not isinstance(passage, Passage):
                continue
            if connection.stands_still(since):
                moving -= 1
                worthy -= 1
            elif not is_worthy(passage.exchange.fields):
                worthy -= 1
        return moving, worthy

    def _use(self, lane: Lane, requests: int, age: float) -> Use:
        busy = requests + lane.talking
        served, lane.told = lane.served - lane.told, lane.served
        return Use(self.name, lane.generation, busy, age, lane.sockets, served)

    @property
    def is_forgettable(self) -> bool:
        """Whether nothing would be missed."""
        busy = self.old or len(self.places) or (self.lane is not None and self.lane.is_used)
        return not busy and self.means.wheel.now - self.used_at > REMEMBERED

    def explain(self) -> list[str]:
        lane = self.lane
        if lane is None:
            told = f"app {self.name} is not known to run; the request would wake it"
            left = self._refused_until - self.means.wheel.now
            refused = f"; that was refused before: {self._cause}, for {left:.0f} s more"
            return [told + refused if left > 0 else told]
        # one that is new may have come further since the last request
        room = self.places.capacity if self._breath is not None else self._capacity()
        state = f"{lane.in_flight} of {room} places taken, {len(self.places)} wait"
        if lane.sockets:
            state += f", {lane.sockets} WebSockets open"
            if lane.silent:
                state += f", {lane.silent} of them silent"
        where = f"generation {lane.generation} at {lane.upstream.address}"
        return [f"app {self.name}, {where}: {state}"]

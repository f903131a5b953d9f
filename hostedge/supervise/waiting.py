"""
Who waits for an app to come up.

In:  `supervise.supervised` with wakes, and with what its app's machine says to who waits.
Out: an answer to each, in a turn of its own.
"""

from __future__ import annotations

from typing import Any

from attrs import define
from twisted.internet.defer import Deferred

from hostedge.ipc import Woken


@define(eq=False)
class _Waiter:
    since: float
    woken: Deferred[Woken]


class Waiting:
    """Everybody is answered once, or takes the wish back by cancelling."""

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._waiters: list[_Waiter] = []

    def __len__(self) -> int:
        return len(self._waiters)

    def add(self) -> Deferred[Woken]:
        woken: Deferred[Woken] = Deferred(self._take_back)
        self._waiters.append(_Waiter(self._reactor.seconds(), woken))
        return woken

    def _take_back(self, woken: Deferred[Woken]) -> None:
        self._waiters = [each for each in self._waiters if each.woken is not woken]

    def answer(self, woken: Woken) -> None:
        """All of them, the same."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            self._answer(waiter, woken)

    def refuse(self, cause: str, retry: float, patience: float, everyone: bool) -> None:
        """Those whose patience is over before the next try in `retry` seconds, or everyone."""
        until = self._reactor.seconds() + retry
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if everyone or waiter.since + patience < until:
                self._answer(waiter, Woken(refusal=cause, retry=max(retry, 0.0)))
            else:
                self._waiters.append(waiter)

    def _answer(self, waiter: _Waiter, woken: Woken) -> None:
        # in a turn of its own: this is the middle of a transition, and who is answered may ask
        def answer() -> None:
            if not waiter.woken.called:
                waiter.woken.callback(woken)

        self._reactor.callLater(0, answer)

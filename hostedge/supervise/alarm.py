"""
A timer of which there is one.

In:  the machines of apps and of their ends; `supervise.probing` and `supervise.renewal`.
Out: calls, by a clock that is given. No Twisted in here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Timer(Protocol):
    def cancel(self) -> object: ...


class Clock(Protocol):
    """The part of the world that every machine here needs."""

    def seconds(self) -> float:
        """Seconds of a clock that only goes forward."""

    def call_later(self, seconds: float, what: Callable[[], None]) -> Timer:
        """Run `what` after `seconds` unless cancelled."""


@dataclass
class Alarm:
    """At most one timer; setting it again forgets the one before."""

    clock: Clock
    _timer: Timer | None = None

    @property
    def is_set(self) -> bool:
        return self._timer is not None

    def set(self, seconds: float, what: Callable[[], None]) -> None:
        self.clear()

        def ring() -> None:
            self._timer = None
            what()

        self._timer = self.clock.call_later(seconds, ring)

    def clear(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

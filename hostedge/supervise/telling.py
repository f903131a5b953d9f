"""
What the owner of an app may want to know of it, put into events.

In:  `supervise.supervised`, as it happens.
Out: `Events.tell`, with how long each step of a start took.
"""

from __future__ import annotations

from typing import Any

from twisted.python.failure import Failure

from hostedge.supervise.reasons import Reason
from hostedge.supervise.surroundings import Surroundings


class Telling:
    """One app's."""

    def __init__(self, around: Surroundings, name: str) -> None:
        self._around = around
        self._name = name
        # why it is queued, and when each step of the start that is under way was over
        self._by = "request"
        self._steps: list[tuple[str, float]] = []

    def tell(self, event: str, generation: int = 0, **facts: Any) -> None:
        self._around.events.tell(event, self._name, generation, **facts)

    def wanted(self, by: str) -> None:
        """The next start is due to a `request`, a `change`, a `restart`, or to `always_on`."""
        self._by = by

    def queued(self, waiters: int) -> None:
        self._steps.clear()
        self._step("queued")
        # who waits has asked, whatever else there is
        self.tell("queued", waiters=waiters, by="request" if waiters else self._by)

    def token(self) -> None:
        if [name for name, _ in self._steps] != ["queued"]:
            # a start beside one that serves begins here; what is left is of one that has failed
            self._steps.clear()
        self._step("token")
        self.tell("token")

    def launched(self, generation: int, pid: int) -> None:
        self._step("launched")
        self.tell("launched", generation, pid=pid)

    def executed(self, generation: int) -> None:
        self._step("exec")
        self.tell("exec", generation)

    def bound(self, generation: int) -> None:
        self._step("bound")
        self.tell("bound", generation)

    def ready(self, generation: int) -> None:
        """With milliseconds since the first step and for each one after it."""
        self._step("ready")
        pairs = zip(self._steps, self._steps[1:], strict=False)
        took = {f"{name}_ms": _ms(after - before) for (_, before), (name, after) in pairs}
        self.tell("ready", generation, ms=_ms(self._steps[-1][1] - self._steps[0][1]), **took)
        self._steps.clear()

    def _step(self, name: str) -> None:
        self._steps.append((name, self._around.reactor.seconds()))

    def ended(
        self,
        generation: int,
        pid: int,
        how: Failure,
        why: Reason,
        oom: bool,
        expected: bool,
        served: bool,
    ) -> None:
        """Once for each generation that was launched."""
        facts = {
            "pid": pid,
            "exit": getattr(how.value, "exitCode", None),
            "signal": getattr(how.value, "signal", None),
            "oom": oom or None,
            "reason": why.text,
            "cause": why.code,
        }
        self.tell("exited" if pid else "start_failed", generation, expected=expected, **facts)
        if served and not expected:
            self.tell("crashed", generation, **facts)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)

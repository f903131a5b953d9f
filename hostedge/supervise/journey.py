"""
How starts went: step by step, and how those ended that failed.

In:  `supervise.events` with everything that happens; `tail` reads what a daemon has said.
Out: the last start of an app, and the last that failed, as plain values for its owner; each end
     of a start to who counts. No Twisted in here.

    queued  ->  token  ->  launched  ->  exec  ->  bound  ->  ready
            or, from anywhere, exited: with its status or signal, and its last lines;
            or start_failed, when it could not be launched at all

A step that nobody tells is not there; its time is then part of the next one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from attrs import Factory, define

from hostedge.supervise.event import ENDS, Event

LINES = 20  # of what a daemon said last
LINE = 1000  # characters of one of them
TEXT = 40_000  # of all of them: a value of AMP has 64 KiB
KEPT = 500  # apps whose last start that failed is kept, and a hundred times as many that did not

STEPS = ("queued", "token", "launched", "exec", "bound")
_ARRIVED = ("ready", "reload_ok")
# why a start is given up, and what else may happen on the way to its end
_GIVEN_UP = ("unready", "start_timeout", "squatted")
_TROUBLE = (*_GIVEN_UP, "oom", "killed", "stuck")
# what a step is called as a phase of a start: the time until it, since the one before
PHASES = {
    "token": "token",
    "launched": "fork",
    "exec": "exec",
    "bound": "bind",
    "ready": "first_response",
}


@define
class Start:
    """A start from the first wish to its end."""

    app: str
    began: float
    generation: int = 0
    # where the log was when it was launched
    offset: int = 0
    # each with its time
    steps: list[tuple[str, float]] = Factory(list)
    # it will not come up; its end is all that is missing
    given_up: bool = False
    facts: dict[str, Any] = Factory(dict)

    def phases(self) -> dict[str, float]:
        """Seconds that each phase took."""
        took: dict[str, float] = {}
        last = self.began
        for step, time in self.steps:
            if step in PHASES:
                took[PHASES[step]] = max(0.0, time - last)
            last = time
        return took

    def seconds(self) -> float:
        """From the first wish to the end."""
        return max(0.0, self.steps[-1][1] - self.began)


# Called with each start that has ended, and whether it came up.
Ended = Callable[[Start, bool], object]


class Journeys:
    """At most one start of an app is under way."""

    def __init__(
        self,
        size_of: Callable[[str], int],
        tail: Callable[[str, int], Sequence[str]],
        ended: Ended = lambda start, well: None,
    ) -> None:
        self._size_of = size_of
        self._tail = tail
        self._ended = ended
        self._under_way: dict[str, Start] = {}
        self._failed: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._last: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def hear(self, happened: Event) -> None:
        """Something has happened to an app."""
        app, event = happened.app, happened.event
        start = self._under_way.get(app)
        if start is None or (event == "queued" and not start.generation):
            if event not in STEPS:
                return
            # one that had left the line, if there is any, is no start any more
            start = self._under_way[app] = Start(app, happened.time)
        if not self._concerns(start, happened):
            return
        if event in STEPS or event in _TROUBLE:
            self._step(start, happened)
        elif event in _ARRIVED:
            self._step(start, happened, "ready")
            self._arrive(start)
        elif event in ENDS:
            self._step(start, happened, "exited")
            self._fail(start, happened)
        elif event in ("idle_stop", "disabled", "suspended", "failed") and not start.generation:
            # it left the line
            del self._under_way[app]

    def _concerns(self, start: Start, happened: Event) -> bool:
        """Not what happens to the generation that still serves, or is being ended."""
        if happened.event == "launched" or not happened.generation or _never_was(happened):
            return True
        return happened.generation == start.generation

    def _step(self, start: Start, happened: Event, name: str = "") -> None:
        if happened.event == "queued" and start.steps:
            # it is in line already, or in it again
            return
        start.steps.append((name or happened.event, happened.time))
        # why it was given up counts, not how it then ended
        known = start.facts
        start.facts = {**known, **happened.facts}
        if start.given_up:
            start.facts |= known
        start.given_up = start.given_up or happened.event in _GIVEN_UP
        if happened.event == "oom":
            start.facts["oom"] = True
        elif _never_was(happened):
            start.generation = happened.generation
            # whatever the log says, it did not say it
            start.offset = self._size_of(start.app)
        elif happened.event == "launched":
            start.generation = happened.generation
            start.offset = self._size_of(start.app)

    def _arrive(self, start: Start) -> None:
        del self._under_way[start.app]
        self._note(self._last, start.app, summary(start, True), 100 * KEPT)
        self._ended(start, True)

    def _fail(self, start: Start, happened: Event) -> None:
        del self._under_way[start.app]
        if happened.facts.get("expected") and not start.given_up:
            # it was not wanted any more before it was up
            return
        said = self._tail(start.app, start.offset)
        self._note(self._last, start.app, summary(start, False), 100 * KEPT)
        self._note(self._failed, start.app, journey(start, said), KEPT)
        self._ended(start, False)

    def _note(
        self, kept: OrderedDict[str, dict[str, Any]], app: str, what: dict[str, Any], most: int
    ) -> None:
        kept[app] = what
        kept.move_to_end(app)
        while len(kept) > most:
            kept.popitem(last=False)

    def last(self, app: str) -> dict[str, Any] | None:
        """The last start that has ended, well or not."""
        return self._last.get(app)

    def failed(self, app: str) -> dict[str, Any] | None:
        """The last start that failed, with what the daemon said."""
        return self._failed.get(app)


def _never_was(happened: Event) -> bool:
    """The end of one that could not be launched at all."""
    if happened.event == "start_failed":
        return True
    return happened.event in ENDS and happened.facts.get("pid") == 0


def summary(start: Start, well: bool) -> dict[str, Any]:
    """When, how long, and what of it was what, in seconds."""
    return {
        "began": round(start.began, 3),
        "generation": start.generation,
        "ok": well,
        "seconds": round(start.seconds(), 4),
        "phases": {name: round(took, 4) for name, took in start.phases().items()},
    }


def journey(start: Start, said: Sequence[str]) -> dict[str, Any]:
    """All that is known of a start that failed; `ms` is the time since the step before."""
    last = start.began
    steps: list[dict[str, Any]] = []
    for step, time in start.steps:
        steps.append({"step": step, "ms": round(max(0.0, time - last) * 1000, 1)})
        last = time
    facts = start.facts
    return {
        "app": start.app,
        "generation": start.generation,
        "began": round(start.began, 3),
        "seconds": round(start.seconds(), 4),
        "reason": str(facts.get("reason", "")),
        "cause": str(facts.get("cause", "")),
        "steps": steps,
        "exit": facts.get("exit"),
        "signal": facts.get("signal"),
        "oom": bool(facts.get("oom")),
        "stderr": last_lines(said),
    }


def last_lines(said: Sequence[str]) -> list[str]:
    """The last lines that are not empty, each and all of them cut to what can be sent."""
    lines = [line[:LINE] for line in said if line.strip()][-LINES:]
    while sum(map(_size, lines)) > TEXT:
        del lines[0]
    return lines


def _size(line: str) -> int:
    # as JSON has it: escaped, a character of four bytes is two of six
    return sum(1 if " " <= c <= "~" else 12 for c in line)

"""
What has happened to apps, for whoever wants to see it.

In:  `supervise.chronicle`, with what `supervise.supervised` tells, each thing once, and with what
     `links.keeper` asks for: all that came after a number.
Out: numbered lines of JSON to who waits, and to `supervise.event_log`; everything to who hears.

What is told is one word and what is known beside it; nothing of that is needed, all of it is shown.
`cause` is a word of `supervise.reasons.CODES`, `reason` a line:

    queued      waiters; by: request, change, restart or always_on
    token       its turn to start has come
    launched    pid; its process exists
    exec, bound                     the command runs; it listens
    ready       ms since it was queued; the first answer came
    unready, start_timeout, squatted    reason, cause; it will not come up
    exited      pid, exit, signal, oom, reason, cause, expected; once for each that was launched
    start_failed                    reason, cause: it could not be launched at all; or exited, pid 0
    oom         in_flight: requests that it worked on
    crashed, idle_stop, evicted, frozen, thawed, killed, stuck, backoff, failed, half_open
    reload_ok, reload_kept_old, adopted, disabled, suspended
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any, Protocol

from attrs import evolve, frozen
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from hostedge.supervise.event import Event

KEPT = 10_000  # events
KEPT_BYTES = 8 * 1024 * 1024  # of their lines
PAGE = 60_000  # bytes of an answer: a value of AMP has 64 KiB
WINDOW = 60.0  # seconds within which the same thing is told so many times
BURST = 10
PATIENCE = 20.0  # seconds that who asks waits for something to happen


class Clock(Protocol):
    """The reactor, as far as time goes; `seconds` is the time of day."""

    def seconds(self) -> float: ...

    def callLater(self, delay: float, function: Callable[..., Any], *arguments: Any) -> Any: ...


# Called with every event, before any is held back.
Hearer = Callable[[Event], object]


@frozen
class _Kept:
    number: int
    app: str
    line: bytes


@frozen(eq=False)
class _Waiting:
    after: int
    app: str
    answer: Deferred[bytes]
    late: Any


class Events:
    """
    The last events, in bounded memory. Numbers grow, also from one keeper to the next: the first
    is the time in milliseconds.

    An app that does the same thing over and over is told `BURST` times; the rest of the window is
    told in one line, when it is over.
    """

    log = Logger()

    def __init__(self, clock: Clock, write: Callable[[str, bytes], object]) -> None:
        self._clock = clock
        self._write = write
        self._kept: deque[_Kept] = deque()
        self._bytes = 0
        self._last = int(clock.seconds() * 1000)
        self._hearers: list[Hearer] = []
        self._waiting: list[_Waiting] = []
        self._is_answering = False
        # how often each kind was told in this window, and the last of each that is held back
        self._told: dict[tuple[str, str, str], int] = {}
        self._held: dict[tuple[str, str, str], Event] = {}

    def hear(self, hearer: Hearer) -> None:
        """Have this called with every event."""
        self._hearers.append(hearer)

    def tell(self, event: str, app: str, generation: int = 0, **facts: Any) -> None:
        """This has happened; whoever tells it is never disturbed."""
        self.record(self.announce(event, app, generation, **facts))

    def announce(self, event: str, app: str, generation: int = 0, **facts: Any) -> Event:
        """Only who hears learns of it yet: more of it will be known in a moment."""
        happened = Event(self._clock.seconds(), app, generation, event, facts)
        for hearer in self._hearers:
            try:
                hearer(happened)
            except Exception:  # noqa: BLE001 - an app must not suffer from being watched
                self.log.failure("{app}: {event} was not understood", app=app, event=event)
        return happened

    def record(self, happened: Event) -> None:
        """Keep it for who asks, and write it, unless it was told so often in this window."""
        kind = happened.app, happened.event, str(happened.facts.get("reason", ""))
        if not self._told:
            self._clock.callLater(WINDOW, self._window_over)
        told = self._told[kind] = self._told.get(kind, 0) + 1
        if told <= BURST:
            self._keep(happened)
            return
        held = self._held.get(kind)
        self._held[kind] = evolve(happened, count=held.count + 1 if held else 1)

    def _window_over(self) -> None:
        held, self._held = self._held, {}
        self._told.clear()
        for event in held.values():
            self._keep(event)

    def _keep(self, event: Event) -> None:
        self._last += 1
        line = evolve(event, number=self._last).line()
        self._kept.append(_Kept(self._last, event.app, line))
        self._bytes += len(line)
        while len(self._kept) > KEPT or self._bytes > KEPT_BYTES:
            self._bytes -= len(self._kept.popleft().line)
        self._write(event.app, line)
        if self._waiting and not self._is_answering:
            # together with all else that happens in this turn
            self._is_answering = True
            self._clock.callLater(0, self._answer)

    # for who asks

    def page(self, after: int, app: str = "") -> bytes:
        """
        A JSON list of what came after number `after`, oldest first, as much as there is room for;
        `after` below 0: the last so many.

        `app` is one app, `account/` for all of an account, or empty for every one.
        """
        found: list[bytes] = []
        size = 0
        for kept in self._after(after, app):
            size += len(kept.line) + 1
            if size > PAGE:
                break
            found.append(kept.line)
        return b"[" + b",".join(found) + b"]"

    def _after(self, after: int, app: str) -> list[_Kept]:
        if not self._kept:
            return []
        # every number is there; one that is not yet is of a keeper whose clock was ahead
        known = after - self._kept[0].number + 1 if 0 < after <= self._last else 0
        found = [k for k in islice(self._kept, max(known, 0), None) if _is_of(k.app, app)]
        return found[after:] if after < 0 else found

    def next(self, after: int, app: str = "") -> Deferred[bytes]:
        """The same, but if there is nothing, once there is, or after `PATIENCE`."""
        page = self.page(after, app)
        if page != b"[]":
            return succeed(page)
        waiting = _Waiting(
            after, app, Deferred(), self._clock.callLater(PATIENCE, self._answer_late)
        )
        self._waiting.append(waiting)
        return waiting.answer

    def _answer(self) -> None:
        self._is_answering = False
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            page = self.page(each.after, each.app)
            if page == b"[]":
                self._waiting.append(each)
            else:
                each.late.cancel()
                each.answer.callback(page)

    def _answer_late(self) -> None:
        # they came in the order in which they are late
        self._waiting.pop(0).answer.callback(b"[]")


def _is_of(app: str, wanted: str) -> bool:
    return not wanted or app == wanted or (wanted.endswith("/") and app.startswith(wanted))

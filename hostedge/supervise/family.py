"""
The node's own processes: control, the template and the edges, started and kept alive.

In:  `links.keeper` tells who has linked; the keeper's service starts and stops the family.
Out: processes; each that ends is started again, after a pause if it did not live long.

    template    spawned
    edges       forked by the template when it has linked and the store is there
    control     spawned; at a start with a store, once the first edge has linked: visitors need
                only edges, and two interpreters that start at once each take twice as long
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hostedge.net.identity import process_started
from hostedge.net.link import LOST
from hostedge.supervise.inheritance import Relative

STEADY = 2.0  # seconds; who lived longer is started again at once
PAUSE_FIRST = 0.1
PAUSE_MAX = 5.0
CONTROL_LATEST = 2.0  # seconds after which control does not wait for an edge

CONTROL = ("control", 0)
TEMPLATE = ("template", 0)

Place = tuple[str, int]


class Watched(Protocol):
    """A process that is told when to end and says when it has."""

    def signal(self, number: int) -> None: ...


class Processes(Protocol):
    """What the family needs of the machine."""

    def spawn(self, role: str, ended: Callable[[], None]) -> tuple[int, Watched]:
        """Start control or the template; `ended` is called once, later."""

    def watch(self, pid: int, started: int, ended: Callable[[], None]) -> Watched:
        """
        Be told when a process that exists already ends.

        Raises:
            ProcessLookupError: it has ended.
        """

    def fork(self, index: int) -> Deferred[int]:
        """Have the template fork an edge; fires with its pid."""


def pause(quick_deaths: int) -> float:
    """Seconds before the next start after so many short lives in a row."""
    if quick_deaths == 0:
        return 0.0
    return min(PAUSE_FIRST * 2.0 ** min(quick_deaths - 1, 20), PAUSE_MAX)


class _Member:
    """One place of the family and who holds it now."""

    def __init__(self) -> None:
        self.relative: Relative | None = None
        self.process: Watched | None = None
        self.since = 0.0
        self.quick_deaths = 0
        # a start is under way or its pause runs
        self.coming = False
        # who waits for the present one's end
        self.replaced: list[Deferred[None]] = []


class Family:
    """
    Every place is held by one process, or one is coming. Nothing comes once `stop` was called.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        processes: Processes,
        edges: int,
        note: Callable[[list[Relative]], None],
        edge_ended: Callable[[int], None],
        store_is_there: Callable[[], bool],
    ) -> None:
        self._reactor = reactor
        self._processes = processes
        self._note = note
        self._edge_ended = edge_ended
        self._store_is_there = store_is_there
        self._members: dict[Place, _Member] = {CONTROL: _Member(), TEMPLATE: _Member()}
        self._members.update({("edge", index): _Member() for index in range(edges)})
        self._template_linked = False
        self._stopping = False
        self._emptied: list[Deferred[None]] = []

    def adopt(self, relatives: tuple[Relative, ...]) -> None:
        """Take over the living processes of a keeper that was killed."""
        for relative in relatives:
            self._hold(relative)

    def start(self) -> None:
        """Fill every place that nobody holds."""
        for place in self._members:
            if place != CONTROL or not self._store_is_there():
                self._fill(place)
        self._reactor.callLater(CONTROL_LATEST, self._fill, CONTROL)

    def came(self, relative: Relative) -> bool:
        """
        A process has linked. False: its place is held by another one and it has to go.
        """
        member = self._members.get((relative.role, relative.index))
        if member is None:
            return False
        if member.relative is None:
            self._hold(relative)
        if member.relative != relative:
            return False
        if relative.role == "template":
            self._template_linked = True
            for place in self._members:
                if place[0] == "edge":
                    self._fill(place)
        elif relative.role == "edge":
            self._fill(CONTROL)
        return True

    def template_lost(self) -> None:
        """The template's link is gone; until it is back no edge can be forked."""
        self._template_linked = False

    def edges(self) -> list[tuple[int, int, float]]:
        """Index, pid and age in seconds of every edge that lives."""
        now = self._reactor.seconds()
        return [
            (index, member.relative.pid, now - member.since)
            for (role, index), member in self._members.items()
            if role == "edge" and member.relative is not None
        ]

    def replace(self, pid: int) -> Deferred[None]:
        """End this edge at once; fires when it has ended. Its place is filled again."""
        gone: Deferred[None] = Deferred()
        for (role, _), member in self._members.items():
            if role != "edge" or member.relative is None or member.process is None:
                continue
            if member.relative.pid == pid:
                member.replaced.append(gone)
                member.process.signal(signal.SIGKILL)
                return gone
        gone.callback(None)
        return gone

    def _fill(self, place: Place) -> None:
        member = self._members[place]
        if self._stopping or member.coming or member.relative is not None:
            return
        if place[0] != "edge":
            self._spawn(place)
        elif self._template_linked:
            if not self._store_is_there():
                # control makes it within a second of the node's first start
                self._later(place, PAUSE_FIRST)
                return
            member.coming = True
            forked = self._processes.fork(place[1])
            forked.addCallbacks(
                partial(self._forked, place), partial(self._fork_failed, place)
            ).addErrback(lambda failure: self.log.failure("fork of an edge", failure))

    def _spawn(self, place: Place) -> None:
        role, index = place
        pid, process = self._processes.spawn(role, lambda: self._ended(place, pid))
        self._held(place, Relative(role, index, pid, process_started(pid)), process)

    def _forked(self, place: Place, pid: int) -> None:
        member = self._members[place]
        member.coming = False
        if member.relative is None:
            try:
                self._hold(Relative(*place, pid, process_started(pid)))
            except ProcessLookupError:
                self._rest(place, 0.0)

    def _fork_failed(self, place: Place, failure: Failure) -> None:
        failure.trap(*LOST)
        self._members[place].coming = False
        self._later(place, PAUSE_FIRST)

    def _hold(self, relative: Relative) -> None:
        place = (relative.role, relative.index)
        if place not in self._members:
            # fewer edges than the last keeper had
            self._members[place] = _Member()
        try:
            process = self._processes.watch(
                relative.pid, relative.started, lambda: self._ended(place, relative.pid)
            )
        except ProcessLookupError:
            return
        self._held(place, relative, process)

    def _held(self, place: Place, relative: Relative, process: Watched) -> None:
        member = self._members[place]
        member.relative, member.process = relative, process
        member.since = self._reactor.seconds()
        self._tell()
        if self._stopping:
            process.signal(signal.SIGTERM)

    def _tell(self) -> None:
        self._note([m.relative for m in self._members.values() if m.relative is not None])

    def _ended(self, place: Place, pid: int) -> None:
        member = self._members[place]
        if member.relative is None or member.relative.pid != pid:
            return
        lived = self._reactor.seconds() - member.since
        member.relative = member.process = None
        replaced, member.replaced = member.replaced, []
        for gone in replaced:
            gone.callback(None)
        self._tell()
        role, index = place
        if role == "edge":
            self._edge_ended(index)
        if self._stopping:
            self._check_empty()
            return
        self.log.warn("{role} {index}, pid {pid}, has ended", role=role, index=index, pid=pid)
        self._rest(place, lived)

    def _rest(self, place: Place, lived: float) -> None:
        member = self._members[place]
        member.quick_deaths = 0 if lived >= STEADY else member.quick_deaths + 1
        self._later(place, pause(member.quick_deaths))

    def _later(self, place: Place, seconds: float) -> None:
        member = self._members[place]
        member.coming = True

        def over() -> None:
            member.coming = False
            self._fill(place)

        self._reactor.callLater(seconds, over)

    def signal(self, role: str, number: int) -> None:
        """Signal every process of a role."""
        for (held, _), member in self._members.items():
            if held == role and member.process is not None:
                member.process.signal(number)

    def no_more(self) -> None:
        """From now on nobody who ends is started again."""
        self._stopping = True

    def living(self, role: str) -> int:
        """How many processes of this role live."""
        return sum(r == role and m.relative is not None for (r, _), m in self._members.items())

    def when_empty(self) -> Deferred[None]:
        """Fires when the last process has ended; for use after `no_more`."""
        empty: Deferred[None] = Deferred()
        self._emptied.append(empty)
        self._check_empty()
        return empty

    def _check_empty(self) -> None:
        if any(member.relative is not None for member in self._members.values()):
            return
        emptied, self._emptied = self._emptied, []
        for waiting in emptied:
            waiting.callback(None)

"""
The node's own processes: control, the template and the edges, started and kept alive.

In:  `links.keeper` tells who has linked; the keeper's service starts and stops the family.
Out: processes; each that ends is started again, after a pause if it did not live long.

    template    spawned
    edges       forked by the template when it has linked and the store is there
    control     spawned; at a start with a store, once the first edge has linked: visitors need
                only edges, and two interpreters that start at once each take twice as long

In an upgrade a place has a successor beside it, in a place of its own: it is on trial until it is
confirmed, and then the other one leaves. Neither of these two is started again when it ends.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any, Protocol

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hostedge.net.identity import process_started
from hostedge.net.link import LOST
from hostedge.net.page import PLACES
from hostedge.supervise.inheritance import Relative

STEADY = 2.0  # seconds; who lived longer is started again at once
PAUSE_FIRST = 0.1
PAUSE_MAX = 5.0
LEFT = 600.0  # seconds after which one is ended that was leaving already under another keeper
CONTROL_LATEST = 2.0  # seconds after which control does not wait for an edge

CONTROL = ("control", 0)
TEMPLATE = ("template", 0)

Place = tuple[str, int]

# how a place is held
REGULAR, TRIAL, LEAVING = range(3)


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
        self.standing = REGULAR
        self.linked = False
        # the template that was asked for the next edge here
        self.template = 0


class Family:
    """
    Every place is held by one process, or one is coming. Nothing comes after `no_more`.
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
        counted: Callable[[], list[int]],
    ) -> None:
        self._reactor = reactor
        self._processes = processes
        self._note = note
        self._edge_ended = edge_ended
        self._store_is_there = store_is_there
        # indices of edges that are taken for living by what edges share
        self._counted = counted
        self._members: dict[Place, _Member] = {CONTROL: _Member(), TEMPLATE: _Member()}
        self._members.update({("edge", index): _Member() for index in range(edges)})
        self._edges = edges
        # the one that edges are forked from
        self._template = TEMPLATE
        self._stopping = False
        self._emptied: list[Deferred[None]] = []

    def adopt(self, relatives: tuple[Relative, ...]) -> None:
        """Take over the living processes of another keeper, or of this one's older code."""
        for relative in relatives:
            self._hold(relative)
        for index in self._counted():
            if self.holder(("edge", index)) is None:
                # it has ended while there was no keeper
                self._edge_ended(index)
        held = [place for place, member in self._members.items() if member.relative is not None]
        templates = [place for place in held if place[0] == "template" and self._stays(place)]
        if templates:
            # there may be two, where an upgrade was broken off
            self._template = max(templates, key=self._began)
            if TEMPLATE not in held:
                del self._members[TEMPLATE]
        for place in templates:
            if place != self._template:
                self.leave(place)
        unheld = [place for place in self.edge_places() if place not in held]
        for place in unheld[max(0, self._edges - len(self.edge_places()) + len(unheld)) :]:
            del self._members[place]

    def _stays(self, place: Place) -> bool:
        return self._members[place].standing == REGULAR

    def _began(self, place: Place) -> tuple[int, int]:
        relative = self._members[place].relative
        return (0, 0) if relative is None else (relative.started, relative.pid)

    def start(self) -> None:
        """Fill every place that nobody holds."""
        for place in list(self._members):
            if place != CONTROL or not self._store_is_there():
                self._fill(place)
        self._reactor.callLater(CONTROL_LATEST, self._fill, CONTROL)

    def came(self, relative: Relative) -> bool:
        """
        A process has linked. False: its place is held by another one and it has to go.
        """
        place = self._place_of(relative)
        member = self._members.get(place)
        if member is None:
            return False
        if member.relative is None:
            self._hold(relative)
        if member.relative is None or not member.relative.is_same(relative):
            return False
        member.linked = True
        if relative.version != member.relative.version:
            member.relative = evolve(member.relative, version=relative.version)
            self._tell()
        if place == self._template:
            self._fill_edges()
        elif relative.role == "edge":
            self._fill(CONTROL)
        return True

    def _place_of(self, relative: Relative) -> Place:
        """Where it is; control and the templates do not know their places themselves."""
        for place, member in self._members.items():
            if member.relative is not None and member.relative.is_same(relative):
                return place
        return relative.role, relative.index

    def lost(self, pid: int) -> None:
        """A process's link is gone; until it is back no edge can be forked by it."""
        for member in self._members.values():
            if member.relative is not None and member.relative.pid == pid:
                member.linked = False

    @property
    def template(self) -> int:
        """The pid of the template that edges are forked from; 0: there is none."""
        relative = self._members[self._template].relative
        return 0 if relative is None else relative.pid

    def template_place(self) -> Place:
        """Where that one is, or is coming."""
        return self._template

    # successors

    def add(self, role: str) -> Place:
        """
        Start one more process of this role, on trial; answers its place.

        Raises:
            OSError: it could not be started, or there is no place.
        """
        free = next(index for index in count() if (role, index) not in self._members)
        if free >= PLACES:
            raise OSError(f"there is no place for one more {role}")
        place = role, free
        self._members[place] = member = _Member()
        member.standing = TRIAL
        try:
            self._fill(place)
        except OSError:
            del self._members[place]
            raise
        return place

    def holder(self, place: Place) -> Relative | None:
        """Who is there now."""
        member = self._members.get(place)
        return None if member is None else member.relative

    def is_there(self, place: Place) -> bool:
        """Whether somebody holds this place or is coming."""
        return place in self._members

    def is_linked(self, place: Place) -> bool:
        """Whether whoever holds this place has linked."""
        member = self._members.get(place)
        return member is not None and member.relative is not None and member.linked

    def is_leaving(self, place: Place) -> bool:
        member = self._members.get(place)
        return member is not None and member.standing == LEAVING

    def use(self, place: Place) -> None:
        """Have edges forked by the template at this place."""
        self._template = place
        if self.is_linked(place):
            self._fill_edges()

    def confirm(self, place: Place) -> None:
        """A successor is as good as any other from now on."""
        self._members[place].standing = REGULAR
        self._tell()

    def leave(self, place: Place, patience: float = 0.0) -> None:
        """Whoever is there is not followed by another, and is ended if it lives on after this."""
        member = self._members[place]
        member.standing = LEAVING
        if member.relative is None and not member.coming:
            del self._members[place]
        self._tell()
        self._reactor.callLater(patience, self._end, place, member)

    def _end(self, place: Place, member: _Member) -> None:
        if self._members.get(place) is member and member.process is not None:
            member.process.signal(signal.SIGKILL)

    def edge_places(self) -> list[Place]:
        """The places that are always filled with an edge."""
        return [
            place
            for place, member in self._members.items()
            if place[0] == "edge" and member.standing == REGULAR
        ]

    def aged(self) -> list[Place]:
        """Those of them whose edge another template has forked."""
        held = [(place, self._members[place].relative) for place in self.edge_places()]
        return [place for place, edge in held if edge and edge.template != self.template]

    def _fill_edges(self) -> None:
        for place, member in list(self._members.items()):
            if place[0] == "edge" and member.standing != LEAVING:
                self._fill(place)

    def edges(self) -> list[tuple[int, int, float, bool]]:
        """Of every edge that lives: index, pid, age in seconds, whether it is leaving."""
        now = self._reactor.seconds()
        return [
            (index, member.relative.pid, now - member.since, member.standing == LEAVING)
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
        elif self.is_linked(self._template):
            if not self._store_is_there():
                # control makes it within a second of the node's first start
                self._later(place, PAUSE_FIRST)
                return
            member.coming = True
            member.template = self.template
            forked = self._processes.fork(place[1])
            forked.addCallbacks(
                partial(self._forked, place), partial(self._fork_failed, place)
            ).addErrback(lambda failure: self.log.failure("fork of an edge", failure))

    def _spawn(self, place: Place) -> None:
        role, index = place
        try:
            pid, process = self._processes.spawn(role, lambda: self._ended(place, pid))
        except OSError as error:
            if self._members[place].standing != REGULAR:
                raise
            self.log.error("{role} could not be started: {error}", role=role, error=error)
            self._missing(place, 0.0)
            return
        self._held(place, Relative(role, index, pid, process_started(pid)), process)

    def _forked(self, place: Place, pid: int) -> None:
        member = self._members[place]
        member.coming = False
        if member.relative is None:
            try:
                self._hold(Relative(*place, pid, process_started(pid)))
            except ProcessLookupError:
                self._missing(place, 0.0)

    def _fork_failed(self, place: Place, failure: Failure) -> None:
        failure.trap(*LOST)
        member = self._members[place]
        member.coming = False
        if member.standing == REGULAR:
            self._later(place, PAUSE_FIRST)
        else:
            del self._members[place]

    def _hold(self, relative: Relative) -> None:
        place = (relative.role, relative.index)
        try:
            process = self._processes.watch(
                relative.pid, relative.started, lambda: self._ended(place, relative.pid)
            )
        except ProcessLookupError:
            return
        # a successor's place, or one of more edges than there are to be now
        member = self._members.setdefault(place, _Member())
        if member.template:
            relative = evolve(relative, template=member.template)
        self._held(place, relative, process)
        if relative.leaving:
            self.leave(place, LEFT)

    def _held(self, place: Place, relative: Relative, process: Watched) -> None:
        member = self._members[place]
        member.relative, member.process = relative, process
        member.since = self._reactor.seconds()
        self._tell()
        if self._stopping:
            process.signal(signal.SIGTERM)

    def _tell(self) -> None:
        relatives = [
            evolve(member.relative, leaving=member.standing == LEAVING)
            for member in self._members.values()
            if member.relative is not None
        ]
        try:
            self._note(relatives)
        except OSError as error:
            # they serve; only a next keeper would not know of all of them
            self.log.error("the note of the node's processes is old: {error}", error=error)

    def _ended(self, place: Place, pid: int) -> None:
        member = self._members.get(place)
        if member is None or member.relative is None or member.relative.pid != pid:
            return
        lived = self._reactor.seconds() - member.since
        member.relative = member.process = None
        member.linked = False
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
        if member.standing == LEAVING:
            self.log.info("{role} {index}, pid {pid}, has left", role=role, index=index, pid=pid)
        else:
            self.log.warn("{role} {index}, pid {pid}, has ended", role=role, index=index, pid=pid)
        self._missing(place, lived)

    def _missing(self, place: Place, lived: float) -> None:
        """Nobody is there any more; whoever was lived so long."""
        member = self._members[place]
        if member.standing != REGULAR:
            del self._members[place]
            return
        member.quick_deaths = 0 if lived >= STEADY else member.quick_deaths + 1
        self._later(place, pause(member.quick_deaths))

    def _later(self, place: Place, seconds: float) -> None:
        member = self._members[place]
        member.coming = True

        def over() -> None:
            member.coming = False
            if self._members.get(place) is member:
                self._fill(place)

        self._reactor.callLater(seconds, over)

    def signal(self, role: str, number: int) -> None:
        """Signal every process of a role."""
        for (held, _), member in self._members.items():
            if held == role and member.process is not None:
                member.process.signal(number)

    def signal_one(self, place: Place, number: int) -> None:
        """Signal whoever is at this place."""
        process = self._members[place].process
        if process is not None:
            process.signal(number)

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

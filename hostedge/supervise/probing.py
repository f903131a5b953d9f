"""
Which edge finds out whether a generation answers, and when that is worth a try.

In:  `supervise.supervised`, for one that was launched or has renewed itself.
Out: `Edges.probe`, whose answer comes to `supervise.daemons`; the moment at which a daemon that
     finds a port by itself listens there.
"""

from __future__ import annotations

from collections.abc import Callable

from hostedge.supervise.alarm import Alarm, Clock
from hostedge.supervise.running import Processes
from hostedge.supervise.surroundings import Edges

LOOK_FIRST, LOOK_LATER = 0.025, 0.25  # seconds between two looks at a port


class Binding:
    """Looks at the port of a generation that is starting, until somebody listens there."""

    def __init__(self, clock: Clock, processes: Processes, bound: Callable[[int], object]) -> None:
        self._processes = processes
        # called with the generation once, whoever it is that listens
        self._bound = bound
        self._alarm = Alarm(clock)
        self._generation = 0

    def begin(self, generation: int) -> None:
        running = self._processes.get(generation)
        if running is not None and not running.entry.address.startswith("unix:"):
            self._generation = generation
            self._look(generation, LOOK_FIRST)

    def _look(self, generation: int, pause: float) -> None:
        if self._processes.place(generation) == "nobody":
            longer = min(pause * 1.5, LOOK_LATER)
            self._alarm.set(pause, lambda: self._look(generation, longer))
        else:
            self._bound(generation)

    def answered(self, generation: int) -> None:
        """It has answered an edge, so it listens, seen here or not."""
        if self._alarm.is_set and generation == self._generation:
            self._alarm.clear()
            self._bound(generation)

    def over(self, generation: int) -> None:
        """It has ended."""
        if generation == self._generation:
            self._alarm.clear()


class Probing:
    """At most one generation is probed, by one edge; by another one when that is gone."""

    def __init__(self, edges: Edges, name: str, processes: Processes) -> None:
        self._edges = edges
        self._name = name
        self._processes = processes
        self._edge: int | None = None
        self.generation: int | None = None
        # what the last visitor has asked for
        self.host = ""

    def begin(self, generation: int) -> None:
        self.generation, self._edge = generation, None
        self._ask()

    def edge_came(self) -> None:
        if self._edge is None:
            self._ask()

    def edge_gone(self, edge: int) -> None:
        if self._edge == edge:
            self._ask()

    def _ask(self) -> None:
        running = self._processes.get(self.generation)
        if running is None or running.process is None:
            return
        entry, held = running.entry, running.held is not None
        self._edge = self._edges.probe(
            self._edge, self._name, entry.generation, entry.address, self.host, held
        )

    def over(self, generation: int) -> None:
        """It has answered."""
        if generation == self.generation:
            self.generation = self._edge = None

    def stop(self, generation: int) -> None:
        """It has ended; its address may soon be another's."""
        if generation != self.generation:
            return
        edge, self._edge, self.generation = self._edge, None, None
        if edge is not None:
            self._edges.stop_probe(edge, self._name)

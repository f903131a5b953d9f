"""
Which edge finds out whether a generation answers.

In:  `supervise.supervised`, for one that was launched or has renewed itself.
Out: `Edges.probe`; the edge's answer comes to `supervise.daemons`.
"""

from __future__ import annotations

from hostedge.supervise.running import Processes
from hostedge.supervise.surroundings import Edges


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

"""
How much an app is used: what is in flight, for how long nothing was.

In:  `supervise.supervised` with wakes and with what edges report.
Out: seconds until the app counts as idle. No Twisted in here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hostedge.ipc import Use

IN_USE = 60.0  # seconds since the last request in which a daemon that died comes back by itself


@dataclass
class Demand:
    """Every edge's part of it; `last` is when a request began or ended."""

    last: float
    # by edge; edges with nothing are not there
    _in_flight: dict[int, int] = field(default_factory=dict)
    _sockets: dict[int, int] = field(default_factory=dict)
    # generations that have answered a visitor
    _served: set[int] = field(default_factory=set)

    def note(self, edge: int, use: Use, now: float) -> None:
        """What one edge does with it."""
        for counts, count in ((self._in_flight, use.in_flight), (self._sockets, use.sockets)):
            if count:
                counts[edge] = count
            else:
                counts.pop(edge, None)
        if use.served:
            self._served.add(use.generation)
        self.last = max(self.last, now - use.age)

    def edge_gone(self, edge: int) -> None:
        self._in_flight.pop(edge, None)
        self._sockets.pop(edge, None)

    def forget(self, generation: int) -> None:
        self._served.discard(generation)

    def has_served(self, generation: int) -> bool:
        return generation in self._served

    @property
    def in_flight(self) -> int:
        return sum(self._in_flight.values())

    def lately(self, now: float) -> bool:
        """Was it used so lately that it should come back by itself?"""
        return bool(self._in_flight) or now - self.last < IN_USE

    def idle_left(self, after: float, now: float) -> float | None:
        """Seconds until nobody has used it for so long; None: never."""
        if after <= 0:
            return None
        return after if self._in_flight else self.last + after - now

    def freeze_left(self, after: float, now: float) -> float | None:
        """The same, and a WebSocket, whose peer would miss its pings, is use by being open."""
        left = self.idle_left(after, now)
        return after if left is not None and self._sockets else left

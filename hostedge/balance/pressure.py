"""
How hard pressed an edge is, and how far it goes to lighten its burden.

In:  `http.burden` measures four times a second.
Out: a step of the ladder; each step's measure stays in force on all steps above it.

    0.70   connections that are idle get less time, down to 5 seconds at 0.95
    0.80   new windows of HTTP/2 stay small, and a connection opens half as many streams
    0.98   no connection is accepted

A step is left again only a good way below where it was entered, so that it does not flutter.

Requests that wait are compared with what an edge can bear, not with what apps allow. Were it the
sum of their `queue`s, an edge with one app in use would accept nobody because that app is slow, and
one with ten thousand would never notice. One that waits takes 7 KiB (measured, with its connection,
of HTTP/1), so all of them together have some 70 MB; how many wait for an app is bounded by `queue`,
and for all by `queue_requests`: only a node that raises that comes to be pressed by them.
"""

from __future__ import annotations

from enum import IntEnum

from attrs import frozen


class Step(IntEnum):
    """What is done about it."""

    CALM = 0
    SHORTEN = 1
    NARROW = 2
    PAUSE = 3


ENTERED = {Step.SHORTEN: 0.70, Step.NARROW: 0.80, Step.PAUSE: 0.98}
# how far below that it is left
HYSTERESIS = 0.05

# an edge whose reactor comes so much too late has all it can do
FULL_LAG = 0.1
# requests that wait for a place on an edge; why it is no sum of limits stands above
FULL_LINES = 10_000

# seconds of idleness that are granted at least, and from where on it is no more than that
LEAST_IDLE = 5.0
SHORTEST = 0.95


@frozen
class Burden:
    """Shares of what an edge can bear; 1 is all of it."""

    connections: float = 0.0
    descriptors: float = 0.0
    memory: float = 0.0
    lag: float = 0.0
    lines: float = 0.0

    @property
    def pressure(self) -> float:
        return max(self.shares().values())

    @property
    def heaviest(self) -> str:
        """What presses most."""
        shares = self.shares()
        return max(shares, key=lambda name: shares[name])

    def shares(self) -> dict[str, float]:
        return {
            "connections": self.connections,
            "descriptors": self.descriptors,
            "memory": self.memory,
            "lag": self.lag,
            "lines": self.lines,
        }


def step_for(pressure: float, before: Step) -> Step:
    """The highest step that is entered, or was and is not left."""
    for step in sorted(ENTERED, reverse=True):
        entered = ENTERED[step]
        if pressure > entered or (step <= before and pressure > entered - HYSTERESIS):
            return step
    return Step.CALM


def idle_time(usual: float, pressure: float, step: Step) -> float:
    """How long a connection may be idle: `usual`, or in a straight line down to the least."""
    if step < Step.SHORTEN or usual <= LEAST_IDLE:
        return usual
    start = ENTERED[Step.SHORTEN]
    part = min(max((pressure - start) / (SHORTEST - start), 0.0), 1.0)
    return usual - (usual - LEAST_IDLE) * part

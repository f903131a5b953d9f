"""
What a case has to be: one kind of work, sent to one door of each peer.

In:  `cases.known` lists them.
Out: `__main__` drives them; the name and `<name>-paced` are the keys of `build/bench.json`.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from benchmarks.load import Drive
from benchmarks.peers.kind import Running
from benchmarks.stage import Stage


@frozen
class Unit:
    """What a number of the table says."""

    # as the table and the plot write it
    name: str
    of: Callable[[Drive], float]


CPU = Unit("µs CPU", lambda drive: drive.cost)


@frozen
class Goal:
    """What ours may cost."""

    # the peer that all others are compared with, as it is called, and as its makers write it
    base: str
    title: str
    # cost of ours to that of the base, at most; None: no such bound
    reach: float | None = None
    # a peer that ours has to cost less than; none if empty
    below: str = ""
    # what ours may cost, whatever the others do
    most: float | None = None
    unit: Unit = CPU


@frozen
class Case:
    """Drives of one kind; a peer without the door is left out."""

    name: str
    # one line under the plot's heading
    title: str
    door: str
    goal: Goal
    # of each drive; cases with a drive that nothing disturbs need less
    seconds: float
    # asks once for what will be asked for; NotMeasured, if a peer answers something else
    check: Callable[[Running], None]
    flat: Callable[[Stage, Running, float], Drive]
    # stage, peer, units a second, seconds; None: it has no rate
    paced: Callable[[Stage, Running, float, float], Drive] | None = None
    # units a second that the load generator sends evenly, at most
    most_paced: float = 0.0
    # a drive that nothing disturbs need not be repeated
    rounds: int = 100
    # whether every peer that has an access log writes it
    logged: bool = True

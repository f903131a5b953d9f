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
class Case:
    """Drives of one kind; a peer without the door is left out."""

    name: str
    # one line under the plot's heading
    title: str
    door: str
    flat: Callable[[Stage, Running, float], Drive]
    # stage, peer, requests a second, seconds; None: the case is flat out only
    paced: Callable[[Stage, Running, float, float], Drive] | None = None

"""
An edge that has too much to do: how it notices, and who is told.

In:  `compose` makes one for each edge; it looks by itself.
Out: `balance.pressure` says which step that is; entrances and the listener's share do what it says.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from hostedge.balance.pressure import FULL_LAG, FULL_LINES, Burden, Step, idle_time, step_for
from hostedge.http.entrance import Entrance
from hostedge.settings import Limits

# seconds between two looks, while there is any connection and else
PERIOD = 0.25
REST = 1.0
# looks over which the reactor has to be late
LOOKS = 4
# from this lag on, in seconds, sources get less of what costs most: handshakes
STRAINED = 0.05
# connections that are idle are looked at again when they shall have so much less time
SHORTER = 0.9

_PAGE = os.sysconf("SC_PAGE_SIZE")


class Share(Protocol):
    """The connections of the edge: `net.listener.Share`."""

    connections: int
    limit: int
    paused: bool


class Strained(Protocol):
    """Who admits less while the reactor is late: `net.sources.Handshakes`."""

    strained: bool


class Measures(Protocol):
    """What is there to be counted."""

    def descriptors(self) -> float:
        """The share of descriptors that are open."""

    def memory(self) -> float:
        """The share of the memory that the edge may take."""

    def lines(self) -> int:
        """Requests that wait for a place."""


class Ladder:
    """
    Looks four times a second; `step` is what is in force.

    `burden` is what the last look has found, for whoever asks how the edge is doing.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        seconds: Callable[[], float],
        measures: Measures,
        share: Share,
        entrances: Sequence[Entrance],
        handshakes: Strained,
        counters: dict[str, int],
        limits: Limits,
    ) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._measures = measures
        self._share = share
        self._entrances = entrances
        self._handshakes = handshakes
        self._counters = counters
        self._limits = limits
        self._lags: deque[float] = deque(maxlen=LOOKS)
        self._call: IDelayedCall | None = None
        self._due = 0.0
        # the idle time of HTTP/1 for which connections have been looked at last
        self._told = limits.keepalive_timeout
        self.step = Step.CALM
        self.burden = Burden()

    def start(self) -> None:
        wait = PERIOD if self._share.connections else REST
        self._due = self._seconds() + wait
        self._call = self._reactor.callLater(wait, self._look)

    def stop(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def report(self) -> dict[str, object]:
        """For `hostedge status` and the metrics."""
        burden = self.burden
        return {
            "pressure": round(burden.pressure, 3),
            "pressed_by": burden.heaviest,
            "step": self.step.name.lower(),
            "lag": round(self._lags[-1], 4) if self._lags else 0.0,
        }

    def _look(self) -> None:
        # one long turn is no lag that stands; a second of them is
        self._lags.append(max(0.0, self._seconds() - self._due))
        share, measures = self._share, self._measures
        lasting = min(self._lags) if len(self._lags) == LOOKS else 0.0
        self.burden = Burden(
            connections=share.connections / share.limit,
            descriptors=measures.descriptors(),
            memory=measures.memory(),
            lag=lasting / FULL_LAG,
            lines=measures.lines() / FULL_LINES,
        )
        self._handshakes.strained = lasting > STRAINED
        self._climb()
        self.start()

    def _climb(self) -> None:
        pressure, before = self.burden.pressure, self.step
        self.step = step = step_for(pressure, before)
        if step is not before:
            self._log.info(
                "step {step} instead of {before}: {heaviest} at {pressure:.2f} of what is bearable",
                step=step.name.lower(),
                before=before.name.lower(),
                heaviest=self.burden.heaviest,
                pressure=pressure,
            )
            if step is Step.PAUSE:
                self._counters["accept_paused"] += 1
        self._share.paused = step >= Step.PAUSE
        limits = self._limits
        idle = idle_time(limits.keepalive_timeout, pressure, step)
        h2_idle = idle_time(limits.h2_keepalive_timeout, pressure, step)
        narrow = step >= Step.NARROW
        shorter = idle < self._told * SHORTER
        changed = narrow is not (before >= Step.NARROW)
        for entrance in self._entrances:
            entrance.idle, entrance.h2_idle, entrance.narrow = idle, h2_idle, narrow
            if shorter or changed:
                entrance.relieve()
        if shorter:
            self._counters["idle_shortened"] += 1
            self._told = idle
        elif step is Step.CALM:
            self._told = idle


class Process:
    """Measures of this process: descriptors by what is watched or counted, memory by the kernel."""

    def __init__(
        self,
        watched: Callable[[], int],
        descriptors: int,
        memory: int,
        lines: Callable[[], int],
    ) -> None:
        self._watched = watched
        self._most = descriptors
        self._memory = memory
        self.lines = lines
        self._statm = os.open("/proc/self/statm", os.O_RDONLY | os.O_CLOEXEC)

    def descriptors(self) -> float:
        return self._watched() / self._most

    def memory(self) -> float:
        resident = int(os.pread(self._statm, 128, 0).split()[1]) * _PAGE
        return resident / self._memory


def memory_for(edges: int) -> int:
    """Bytes that each of so many edges may take: half of what there is, of machine or cgroup."""
    there = os.sysconf("SC_PHYS_PAGES") * _PAGE
    return min(there, _cgroup_limit(there)) // 2 // edges


def _cgroup_limit(otherwise: int) -> int:
    try:
        own = Path("/proc/self/cgroup").read_text().partition("0::")[2].splitlines()[0]
    except (OSError, IndexError):
        return otherwise
    limit, folder = otherwise, Path("/sys/fs/cgroup") / own.lstrip("/")
    for each in (folder, *folder.parents):
        try:
            limit = min(limit, int((each / "memory.max").read_text()))
        except (OSError, ValueError):
            # not a controller here, or no limit
            continue
    return limit

"""
Everything that is told of apps, and who keeps what of it.

In:  `supervise.supervised` tells; `links.keeper` asks for control.
Out: events, the last starts, counts; logs that stay within bounds.

    tell  ->  journeys, counts, log bounds      all that happens
          ->  the last events, a file an app    the same, but a flood of one thing once a minute
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hostedge.supervise.daemon_counts import DaemonCounts
from hostedge.supervise.event import Event
from hostedge.supervise.event_log import EventLog
from hostedge.supervise.events import Events
from hostedge.supervise.journey import Journeys
from hostedge.supervise.log_bounds import InThread, LogBounds
from hostedge.supervise.logs import app_log, read_tail, size_of

SETTLED = 0.2  # seconds in which edges learn of the connections that an end has broken
NAMED = 20  # requests

# Asks all edges what a generation worked on: method, host, path, id and seconds of each.
InFlight = Callable[[str, int], Deferred[list[dict[str, Any]]]]


class Chronicle:
    """One for each keeper."""

    log = Logger()

    def __init__(
        self, reactor: Any, logs: Path, in_thread: InThread, in_flight: InFlight | None = None
    ) -> None:
        self._reactor = reactor
        self._logs = logs
        self._in_flight = in_flight
        self._file = EventLog(logs)
        self._counts = DaemonCounts()
        self._events = Events(reactor, self._file.write)
        self._bounds = LogBounds(reactor, logs, in_thread)
        self._journeys = Journeys(self._size_of, self._tail, self._counts.ended)
        for part in (self._journeys, self._counts, self._bounds):
            self._events.hear(part.hear)
        # what is asked by `links.keeper`
        self.page = self._events.page
        self.next = self._events.next
        self.failed = self._journeys.failed

    def _log_of(self, app: str) -> Path:
        account, _, name = app.partition("/")
        return app_log(self._logs, account, name)

    def _size_of(self, app: str) -> int:
        return size_of(self._log_of(app))

    def _tail(self, app: str, offset: int) -> list[str]:
        return read_tail(self._log_of(app), offset)

    def tell(self, event: str, app: str, generation: int = 0, **facts: Any) -> None:
        """
        This has happened to an app: a word of `supervise.events`, and what is known beside it.
        Of one that was killed for memory it is kept a moment later, with what it worked on.
        """
        happened = self._events.announce(event, app, generation, **facts)
        if event == "oom" and self._in_flight is not None and "in_flight" not in facts:
            self._reactor.callLater(SETTLED, self._record_with, self._in_flight, happened)
        else:
            self._events.record(happened)

    def _record_with(self, ask: InFlight, happened: Event) -> None:
        def known(requests: list[dict[str, Any]]) -> None:
            facts = {**happened.facts, "in_flight": requests[:NAMED]}
            self._events.record(evolve(happened, facts=facts))

        def not_known(failure: Failure) -> list[dict[str, Any]]:
            self.log.failure("{app}: the edges were not asked", failure, app=happened.app)
            return []

        asking = ask(happened.app, happened.generation)
        asking.addErrback(not_known).addCallback(known)

    def described(self, daemon: dict[str, Any]) -> dict[str, Any]:
        """What the keeper knows of an app, with how its last start went."""
        return {**daemon, "start": self._journeys.last(str(daemon["app"]))}

    def counts(self) -> dict[str, Any]:
        """All that is counted, as values for JSON."""
        logs = {**self._bounds.counts, "events_dropped": self._file.dropped}
        return {**self._counts.tell(), "logs": logs}

    def stop(self) -> None:
        """Nothing is looked at any more."""
        self._bounds.stop()

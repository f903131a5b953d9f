"""
Of failures that come by the thousand, one a second from each place is written; all are counted.

In:  the log of an edge: `compose` puts it before what writes.
Out: the same events, but for failures that follow too closely; the next one says how many those
     were.

A request that fails costs a traceback of a few kilobytes, and whoever knows how to make one fail
can ask as often as he likes. A place is a line of ours, or of a library, that logs: what it says
besides differs from request to request.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define
from twisted.logger import ILogObserver, LogEvent
from zope.interface import implementer

EVERY = 1.0  # seconds between two failures of one place
# of what texts are put together at run time: beyond, they share a place
PLACES = 256


@define
class _Place:
    written_at: float
    suppressed: int = 0


@implementer(ILogObserver)
class Failures:
    """An observer before another one. What is no failure passes."""

    def __init__(
        self, observer: ILogObserver, seconds: Callable[[], float], counters: dict[str, int]
    ) -> None:
        self._observer = observer
        self._seconds = seconds
        self._counters = counters
        self._places: dict[tuple[object, object], _Place] = {}

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_failure") is None:
            self._observer(event)
            return
        self._counters["failures"] += 1
        place, now = self._place(event), self._seconds()
        if now - place.written_at < EVERY:
            place.suppressed += 1
            return
        suppressed, place.suppressed, place.written_at = place.suppressed, 0, now
        if suppressed:
            format = f"{event.get('log_format') or ''} ({{suppressed}} more like it before this)"
            event = {**event, "log_format": format, "suppressed": suppressed}
        self._observer(event)

    def _place(self, event: LogEvent) -> _Place:
        key = event.get("log_namespace"), event.get("log_format")
        places = self._places
        if key not in places and len(places) >= PLACES:
            key = None, None
        return places.setdefault(key, _Place(-EVERY))

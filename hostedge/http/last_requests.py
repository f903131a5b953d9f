"""
Requests whose app died under them: who was on a generation when it ended.

In:  `http.relay`, for each connection to an app that is lost in the middle of a request; nothing
     else calls it, and what goes well costs nothing.
Out: what the keeper asks for when an app was killed for memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

from attrs import frozen

KEPT = 256
NAMED = 20
LASTING = 30.0  # seconds for which somebody may want to know
LONG = 200  # characters of a path


class Asking(Protocol):
    """A request: `http.exchange.Exchange`."""

    method: bytes
    target: bytes
    host: str
    id: str


@frozen
class _Died:
    time: float
    generation: int
    app: str
    request: dict[str, Any]


class LastRequests:
    """The last ones of every app, the newest last; bounded in number and size."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._died: deque[_Died] = deque(maxlen=KEPT)

    def died(self, app: str, generation: int, asking: Asking, sent_at: float) -> None:
        """A connection to this generation was lost; `sent_at`: since when the request was there."""
        now = self._clock()
        request = {
            "method": asking.method.decode("latin-1"),
            "host": asking.host,
            # what follows the path may be somebody's secret
            "path": asking.target.partition(b"?")[0].decode("latin-1")[:LONG],
            "id": asking.id,
            "seconds": round(now - sent_at, 3),
        }
        self._died.append(_Died(now, generation, app, request))

    def of(self, app: str, generation: int) -> list[dict[str, Any]]:
        """Those of this generation, a moment ago: those first that were there the longest."""
        since = self._clock() - LASTING
        found = [
            each.request
            for each in self._died
            if each.generation == generation and each.app == app and each.time >= since
        ]
        found.sort(key=lambda request: -request["seconds"])
        return found[:NAMED]

"""
Finding out when an app answers: a request that waits, or a port that is polled.

In:  `http.backends`, for the keeper.
Out: a Deferred that fires when the app has answered with any status.
"""

from __future__ import annotations

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from hostedge.errors import UpstreamFailed
from hostedge.http.exchange import Fields
from hostedge.http.lane import Means
from hostedge.http.unmade import NO_ROOM
from hostedge.http.upstream import Upstream, UpstreamConnection

# longer than any start may take; the keeper decides when a start has failed
PATIENCE = 3600.0
# seconds in which a response may come to its end, for a daemon that would complain of a broken
# connection
LINGER = 2.0


def pause(waited: float) -> float:
    """Seconds until the next look at a port, most frequent where most apps are ready."""
    if waited < 1.0:
        return 0.025
    return 0.05 if waited < 5.0 else 0.25


class Probe:
    """
    `OPTIONS /` to one generation.

    With a held listener one request waits in its backlog until the app takes it, or until the
    connection ends; without one, connecting is tried until it succeeds and is answered.
    """

    def __init__(self, means: Means, address: str, host: str, held: bool) -> None:
        self._limits = evolve(means.limits, response_timeout=PATIENCE)
        self._upstream: Upstream = means.upstream(address)
        self._clock = means.clock
        self._host = host
        self._held = held
        self._waited = 0.0
        self._call: IDelayedCall | None = None
        self._attempt: UpstreamConnection | None = None
        self._connection: UpstreamConnection | None = None
        self.answered: Deferred[None] = Deferred(lambda _: self._stop())

    def start(self) -> Deferred[None]:
        self._try()
        return self.answered

    def _try(self) -> None:
        self._call = None
        attempt = self._upstream.connect(self, self._limits)
        self._attempt = attempt if attempt.pending else None

    def connected_to(self, connection: UpstreamConnection) -> None:
        self._attempt = None
        self._connection = connection
        request = f"OPTIONS / HTTP/1.1\r\nHost: {self._host}\r\nConnection: close\r\n\r\n"
        connection.send(request.encode("ascii", "replace"), self, False, True, self._limits)

    def connect_failed(self, cause: str) -> None:
        self._attempt = None
        if cause == NO_ROOM:
            # it is there, and so are many before us
            self._later()
        else:
            self._again(cause)

    def informed(self, fields: Fields) -> None:
        """The response itself is what counts."""

    def response_begins(
        self, status: int, fields: Fields, length: int | None, data: bytes, whole: bool
    ) -> None:
        if whole:
            self._connection = None
        else:
            self._call = self._clock.callLater(LINGER, self._give_up)
        self.answered.callback(None)

    def _give_up(self) -> None:
        self._call = None
        self._stop()

    def response_data(self, data: bytes, whole: bool) -> None:
        """The head was enough, but who answers shall be able to finish."""
        if whole:
            self._connection = None
            self._stop()

    def upstream_failed(self, cause: str, answered: bool) -> None:
        self._connection = None
        if self.answered.called:
            self._stop()
        elif answered:
            self.answered.errback(UpstreamFailed(cause))
        else:
            self._again(cause)

    def _again(self, cause: str) -> None:
        if self._held:
            self.answered.errback(UpstreamFailed(cause))
            return
        self._later()

    def _later(self) -> None:
        delay = pause(self._waited)
        self._waited += delay
        self._call = self._clock.callLater(delay, self._try)

    def _stop(self) -> None:
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if self._attempt is not None:
            self._attempt.forget_caller()
            self._attempt = None
        if self._connection is not None:
            self._connection.abandon()
            self._connection = None

"""
What all connections of one listener share.

In:  `compose` makes one for each listener of an edge.
Out: protocols read it; `drain` ends their connections.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred

from hostedge.http.exchange import Exchange, Leaf
from hostedge.http.known_heads import KnownHeads
from hostedge.http.wheel import Wheel
from hostedge.settings import Limits

# where a connection stands: without a request, with a part of a head, with a request, switched to a
# WebSocket (one of HTTP/2 with nothing else), and with our side ended
STAGES = ("idle", "reading", "active", "websocket", "closing")

# what answers this request, or a cause of `errors.CAUSES`
Router = Callable[[Exchange], Leaf | str]


class Connection(Protocol):
    """A client's connection, for the one who has to end it."""

    # the client's address
    client: str

    @property
    def stage(self) -> str:
        """Where it stands: one of `STAGES`."""

    @property
    def is_busy(self) -> bool:
        """Whether a request is being answered."""

    def drain(self) -> None:
        """Answer what is being asked, then end."""

    def end(self) -> None:
        """Break off at once."""

    def relieve(self) -> None:
        """The edge is harder pressed, or less: its entrance says what that means."""


class Refusals(Protocol):
    """What is kept of refused requests: `observe.refused.Refusals`."""

    def keep(
        self,
        cause: str,
        asking: Any,
        scheme: bytes,
        id: str,
        request: bytes,
        host: str = "",
        detail: str = "",
        verbatim: bool = False,
    ) -> None: ...


class Entrance:
    """Facts and parts that do not differ between the connections of a listener."""

    def __init__(
        self,
        *,
        scheme: bytes,
        router: Router,
        limits: Limits,
        wheel: Wheel,
        counters: dict[str, int],
        record: Callable[[Exchange], None],
        refusals: Refusals,
        make_id: Callable[[], str],
        date: Callable[[], bytes],
        page: Callable[[str, int], str] = lambda host, status: "",
        claim: Callable[[Any], object] = lambda exchange: None,
        h2_answers: list[int] | None = None,
        default_host: bytes = b"",
        strike: Callable[[str], None] = lambda client: None,
    ) -> None:
        self.scheme = scheme
        self.router = router
        self.limits = limits
        self.wheel = wheel
        self.counters = counters
        # the access log's
        self.record = record
        self.refusals = refusals
        self.make_id = make_id
        self.date = date
        # a site's own page for a refusal, by host and status; empty: it has none
        self.page = page
        # finds out for a request that is not routed whose it is
        self.claim = claim
        # answers by HTTP/2, by the first digit of their status
        self.h2_answers = [0] * 6 if h2_answers is None else h2_answers
        # for whom requests of HTTP/1.0 are that name nobody; empty: they are refused
        self.default_host = default_host
        # told of clients whose connection was ended for a flood
        self.strike = strike
        # what a connection may have, less while the edge is hard pressed: `http.burden`.
        # Seconds of idleness; whether HTTP/2 has half the streams and small windows
        self.idle, self.h2_idle = limits.keepalive_timeout, limits.h2_keepalive_timeout
        self.narrow = False
        self.draining = False
        self.known_heads = KnownHeads()
        # while draining: WebSockets go on
        self.keeps_sockets = False
        self.connections: set[Connection] = set()
        self._drained: Deferred[None] | None = None

    def add(self, connection: Connection) -> None:
        self.connections.add(connection)

    def remove(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if self._drained is not None and not self.connections:
            done, self._drained = self._drained, None
            done.callback(None)

    def relieve(self) -> None:
        """Have every connection look at what it may have by now."""
        for connection in list(self.connections):
            connection.relieve()

    def stages(self) -> Counter[str]:
        """How many connections stand where."""
        return Counter([connection.stage for connection in self.connections])

    @property
    def in_flight(self) -> int:
        """Requests that are being answered."""
        return sum(connection.is_busy for connection in self.connections)

    def drain(self, keep_sockets: bool = False) -> Deferred[None]:
        """
        End every connection once it has nothing to do; fires when none is left. WebSockets may
        go on until `drain_sockets`.
        """
        self.draining, self.keeps_sockets = True, keep_sockets
        done: Deferred[None] = Deferred()
        for connection in list(self.connections):
            connection.drain()
        if self.connections:
            self._drained = done
        else:
            done.callback(None)
        return done

    def drain_sockets(self) -> None:
        """Have WebSockets that were kept told to go."""
        if self.keeps_sockets:
            self.keeps_sockets = False
            for connection in list(self.connections):
                connection.drain()

    def end(self) -> None:
        """Break off what `drain` still waits for."""
        for connection in list(self.connections):
            connection.end()

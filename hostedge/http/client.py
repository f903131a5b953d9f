"""
What a client's connection does in the same way whichever protocol it speaks.

In:  `http.h1` and `http.h2` are such connections; exchanges ask who the client is.
Out: the client's facts, whether it takes what it is sent, and the end of our side.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from twisted.internet.protocol import Protocol

from hostedge.http.entrance import Entrance
from hostedge.http.pace import Pace
from hostedge.http.wheel import NEVER
from hostedge.net.eager import EagerConnection

LINGER = 2.0  # seconds in which a client may still be sending what we do not want
LINGER_SIZE = 65536
CHECK = 5.0  # seconds between looks at a connection that is being answered
# seconds over which the rates of bodies are averaged, and that a request's body has before that
BODY_WINDOW = BODY_GRACE = 10.0
# seconds over which it is averaged how fast a client reads
READ_WINDOW = 30.0


class ClientConnection(Protocol, ABC):
    """
    One client's connection, watched by the wheel from its beginning to its end.

    `kept` are bytes of bodies that wait in memory, counted by their spools.
    `_written` are bytes for the client; `_taking` is how it takes what the kernel did not take
    at once, None while there is nothing of it.
    """

    transport: EagerConnection

    # a dict of so many attributes would be 1.5 kB for each connection, and slower
    __slots__ = (
        *("entrance", "deadline", "due", "kept", "handshake"),
        *("client", "client_port", "local_host", "local_port", "server_name"),
        *("_wheel", "_limits", "_reading", "_written", "_renewal", "_most", "_taking", "_lingered"),
    )

    def __init__(self, entrance: Entrance) -> None:
        self.entrance = entrance
        self.deadline = NEVER
        self.due = 0
        self.client = self.server_name = self.local_host = ""
        self.client_port = self.local_port = 0
        # seconds from its accept to the end of the TLS handshake, until a request has told it
        self.handshake = 0.0
        self.kept = 0
        self._wheel = entrance.wheel
        # how slow it may be with what it is sent: the node's, or those of what has answered
        self._limits = entrance.limits
        self._reading = True
        self._written = 0
        # when it has been there for long enough, and after how many requests
        self._renewal = NEVER
        self._most = 0
        self._taking: Pace | None = None
        self._lingered = 0

    @property
    @abstractmethod
    def protocol(self) -> str:
        """Which HTTP it speaks, as exchanges say it."""

    def keep_refusal(
        self, cause: str, request: bytes, detail: str = "", verbatim: bool = False
    ) -> str:
        """Keep what has come of a request that is no exchange, for whoever asks; its error id."""
        entrance = self.entrance
        error_id = entrance.make_id()
        entrance.refusals.keep(
            cause, self, entrance.scheme, error_id, request, "", detail, verbatim
        )
        return error_id

    @property
    @abstractmethod
    def stage(self) -> str:
        """Where it stands, as `http.entrance.STAGES` has it."""

    @property
    @abstractmethod
    def is_busy(self) -> bool:
        """Whether a request is being answered."""

    @abstractmethod
    def drain(self) -> None:
        """Answer what is being asked, then end."""

    @abstractmethod
    def end(self) -> None:
        """Break off at once."""

    @abstractmethod
    def relieve(self) -> None:
        """The edge is harder pressed, or less: its entrance says what that means."""

    @abstractmethod
    def timed_out(self) -> None:
        """From the wheel: the deadline is over, or may be."""

    def _meet(self, patience: float) -> None:
        """It is connected; what has to happen within `patience` seconds is the protocol's."""
        transport, entrance = self.transport, self.entrance
        peer = transport.getPeer()
        # UNIX peers and the addresses of tests have neither
        self.client, self.client_port = getattr(peer, "host", ""), getattr(peer, "port", 0)
        reached = getattr(transport, "reached_port", 0)
        host = transport.getHost()
        self.local_host, self.local_port = getattr(host, "host", ""), getattr(host, "port", 0)
        self.local_port = reached or self.local_port
        self.server_name = getattr(transport, "server_name", "") or ""
        self.handshake = getattr(transport, "handshake", 0.0)
        entrance.counters["http_connections"] += 1
        entrance.add(self)
        self.deadline = self._wheel.now + patience
        # not all at once that were made at once
        share = 0.9 + self.client_port % 201 / 1000
        self._renewal = self._wheel.now + entrance.limits.connection_age * share
        self._most = max(1, round(entrance.limits.connection_requests * share))
        self._wheel.watch(self)

    def _is_stuck(self, unsent: int, now: float) -> bool:
        """Whether the client takes nothing of what it was sent, or too little, for too long."""
        limits, delivered = self._limits, self._written - unsent
        if not unsent:
            self._taking = None
        elif self._taking is None:
            self._taking = Pace(now, delivered)
        elif self._taking.lags(now, delivered, limits.write_timeout, limits.read_rate, READ_WINDOW):
            self.entrance.counters["http_write_stalled"] += 1
            return True
        return False

    def _half_close(self) -> None:
        half_close = getattr(self.transport, "loseWriteConnection", None)
        if half_close is not None:
            half_close()

    def _read_on(self) -> None:
        """Read what nobody wants, for a moment: a socket closed with unread bytes is reset."""
        if not self._reading:
            self._reading = True
            self.transport.resumeProducing()
        self.deadline = self._wheel.now + LINGER
        self._wheel.hasten(self)

    def _linger_on(self, size: int, most: int = LINGER_SIZE) -> None:
        """Bytes that nobody wants have come; `most`: it ends at more of them than that."""
        self._lingered += size
        if self._lingered > most:
            self.end()

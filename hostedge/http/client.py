"""
What a client's connection does in the same way whichever protocol it speaks.

In:  `http.h1` and `http.h2` are such connections; exchanges ask who the client is.
Out: the client's facts, whether it takes what it is sent, and the end of our side.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from twisted.internet.protocol import Protocol

from hostedge.http.entrance import Entrance
from hostedge.http.wheel import NEVER
from hostedge.net.eager import EagerConnection

LINGER = 2.0  # seconds in which a client may still be sending what we do not want
LINGER_SIZE = 65536
CHECK = 5.0  # seconds between looks at a connection that is being answered


class ClientConnection(Protocol, ABC):
    """
    One client's connection, watched by the wheel from its beginning to its end.

    `_written` are bytes for the client; `_stuck` is how many of them had been delivered when
    that last changed, and when.
    """

    transport: EagerConnection
    deadline = NEVER
    due = 0

    def __init__(self, entrance: Entrance) -> None:
        self.entrance = entrance
        self.client = self.server_name = ""
        self.client_port = self.local_port = 0
        self._wheel = entrance.wheel
        self._reading = True
        self._written = 0
        self._stuck = (0, 0.0)
        self._lingered = 0

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
    def timed_out(self) -> None:
        """From the wheel: the deadline is over, or may be."""

    def _meet(self, patience: float) -> None:
        """It is connected; what has to happen within `patience` seconds is the protocol's."""
        transport, entrance = self.transport, self.entrance
        peer = transport.getPeer()
        # UNIX peers and the addresses of tests have neither
        self.client, self.client_port = getattr(peer, "host", ""), getattr(peer, "port", 0)
        reached = getattr(transport, "reached_port", 0)
        self.local_port = reached or getattr(transport.getHost(), "port", 0)
        self.server_name = getattr(transport, "server_name", "") or ""
        entrance.counters["http_connections"] += 1
        entrance.add(self)
        self.deadline = self._wheel.now + patience
        self._wheel.watch(self)

    def _is_stuck(self, unsent: int, now: float) -> bool:
        """Whether the client has taken nothing of what it was sent for too long."""
        delivered = self._written - unsent
        if delivered != self._stuck[0]:
            self._stuck = (delivered, now)
        elif now - self._stuck[1] >= self.entrance.limits.write_timeout:
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

    def _linger_on(self, size: int) -> None:
        """Bytes that nobody wants have come."""
        self._lingered += size
        if self._lingered > LINGER_SIZE:
            self.end()

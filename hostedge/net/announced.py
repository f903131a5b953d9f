"""
Connections on which a proxy first says who the client is, until it has said so.

In:  `net.listener` accepts on a port that only proxies may use.
Out: the socket, with the client's address, for whom the connection is meant: not a byte more
     than the announcement has been taken from it. Every other one ends here, counted once.
Spec: `wire.proxy_protocol`.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

from attrs import frozen
from twisted.internet.abstract import FileDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure

from hostedge.errors import BadRequest
from hostedge.wire.networks import Networks
from hostedge.wire.proxy_protocol import MAX_HEADER, Header, read_header


class Timed(Protocol):
    """What the wheel watches."""

    deadline: float
    due: int

    def timed_out(self) -> None: ...


class Wheel(Protocol):
    """What is needed of `http.wheel.Wheel`; deadlines are of `time.monotonic`."""

    def watch(self, timed: Timed) -> None: ...

    def forget(self, timed: Timed) -> None: ...


@frozen
class Announcements:
    """What all connections of the listeners for proxies share."""

    reactor: Any
    wheel: Wheel
    counters: dict[str, int]
    trusted: Networks
    # a connection ended that nobody has taken
    abandoned: Callable[[], object]
    # seconds from the accept to the last byte
    timeout: float

    def accept(
        self,
        take: Callable[[socket.socket, tuple[Any, ...], int], None],
        connected: socket.socket,
        peer: tuple[Any, ...],
    ) -> None:
        """
        Take in a connection that a listener has accepted; `take` gets the socket, the client's
        address and port, and the port that the client has connected to.
        """
        if peer[0] in self.trusted:
            Announcement(self, take, connected, peer)
            return
        self.counters["proxy_untrusted"] += 1
        connected.close()
        self.abandoned()


class Announcement(FileDescriptor):
    """One connection until its client is known. `deadline` is absolute."""

    _log = Logger()
    due = 0

    def __init__(
        self,
        shared: Announcements,
        take: Callable[[socket.socket, tuple[Any, ...], int], None],
        connected: socket.socket,
        peer: tuple[Any, ...],
    ) -> None:
        super().__init__(shared.reactor)
        self._shared = shared
        self._take = take
        self._socket = connected
        self._peer = peer
        # the bytes without which there is nothing to do
        self._wanted = 1
        self._ended = False
        self.deadline = time.monotonic() + shared.timeout
        shared.wheel.watch(self)
        self.startReading()

    def fileno(self) -> int:
        return self._socket.fileno()

    def doRead(self) -> None:
        try:
            data = self._socket.recv(MAX_HEADER, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            self._end("proxy_gone")
            return
        if len(data) < self._wanted:
            # woken below the low-water mark: no more will come, or the kernel has no memory
            self._end("proxy_gone")
            return
        try:
            header = read_header(data)
        except BadRequest:
            self._end("proxy_refused")
            return
        if isinstance(header, int):
            # the peeked bytes stay and keep the socket readable: wake when the rest is there
            self._wait_for(header)
            return
        if self._wanted > 1:
            self._wait_for(1)
        self._socket.recv(header.size)
        self._hand_over(header)

    def connectionLost(self, reason: Failure) -> None:
        # a hang-up, or a bug that the reactor has logged
        self._end("proxy_gone")

    def timed_out(self) -> None:
        self._end("proxy_timeout")

    def _wait_for(self, wanted: int) -> None:
        self._wanted = wanted
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wanted)

    def _hand_over(self, header: Header) -> None:
        self._leave()
        client = header.client or self._peer
        local = header.local or self._socket.getsockname()
        try:
            self._take(self._socket, client, local[1])
        except Exception:  # noqa: BLE001 - the reactor would blame this object
            self._log.failure("an announced connection could not be taken in")
            self._socket.close()
            self._shared.abandoned()

    def _leave(self) -> None:
        self._ended = True
        self._shared.wheel.forget(self)
        self.stopReading()

    def _end(self, counter: str) -> None:
        if self._ended:
            return
        self._leave()
        self._shared.counters[counter] += 1
        self._socket.close()
        self._shared.abandoned()

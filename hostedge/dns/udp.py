"""
DNS over UDP: one reader for each edge on each socket that all edges share.

In:  the edge's reactor, when a datagram has come and this edge is the one to be woken.
Out: the responder's answers, from the address that was asked.

    <- datagrams      a batch a turn; what is left is read in the next one
    -> answers        each where its question came from
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from hostedge.net.datagram import SIZE, Batch
from hostedge.net.listener import Listener

# the answer to a message of this client, whose address is packed; None: none is given
Respond = Callable[[bytes, bytes], bytes | None]


class SharedReads(Protocol):
    """What of `net.reactor.EdgeReactor` is needed here."""

    def add_shared_reader(self, reader: Any) -> None: ...

    def removeReader(self, reader: Any) -> None: ...

    def callLater(self, delay: float, callable: Callable[[], object]) -> Any: ...


@implementer(IReadDescriptor)
class UdpReader:
    """
    Answers what it reads at once: between two turns nothing waits here.

    A datagram is lost when the kernel does not take its answer: its client asks again.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: SharedReads,
        listener: Listener,
        batch: Batch,
        respond: Respond,
        counters: dict[str, int],
    ) -> None:
        self._reactor = reactor
        self._listener = listener
        self._descriptor = listener.socket.fileno()
        self._batch = batch
        self._respond = respond
        self._counters = counters
        self._again: Any = None

    def start(self) -> None:
        self._reactor.add_shared_reader(self)

    def stop(self) -> None:
        """Read no more; the socket stays open for the other edges."""
        if self._again is not None and self._again.active():
            self._again.cancel()
        self._reactor.removeReader(self)

    def fileno(self) -> int:
        return self._descriptor

    def doRead(self) -> None:
        batch, respond = self._batch, self._respond
        arrived, names, leaving, sizes = batch.arrived, batch.names, batch.leaving, batch.sizes
        lengths = batch.receive(self._descriptor)
        self._counters["dns_queries"] += len(lengths)
        # answers are sent together, up to the first question that gets none
        unsent = start = 0
        host = batch.host_at
        for place, length in enumerate(lengths):
            answer = None
            if length <= SIZE:
                client = names[host : host + batch.host_size]
                try:
                    answer = respond(arrived[start : start + length], client)
                except Exception:  # noqa: BLE001 - one question must not cost the others' answers
                    self._failed()
            else:
                self._counters["dns_udp_oversized"] += 1
            if answer is None:
                self._send(unsent, place)
                unsent = place + 1
            else:
                size = sizes[place] = len(answer)
                leaving[start : start + size] = answer
            start += SIZE
            host += batch.name_size
        self._send(unsent, len(lengths))

    def _send(self, first: int, end: int) -> None:
        lost = self._batch.send(self._descriptor, first, end)
        if lost:
            self._counters["dns_udp_lost"] += lost

    def _failed(self) -> None:
        self._log.failure("a question could not be answered")
        self._counters["dns_failed"] += 1

    def connectionLost(self, reason: Any) -> None:
        """An error was noted on the socket, such as of an answer before: it is no end."""
        self._listener.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        # when the reactor itself ends there is no later
        self._again = self._reactor.callLater(0, self.start)

    def logPrefix(self) -> str:
        return f"{self._listener.protocol} {self._listener.address}"

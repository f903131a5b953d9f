"""
The reactor of an edge: Twisted's epoll reactor with a turn in three parts.

In:  an edge installs it before anything imports the global reactor.
Out: `doRead` and `doWrite` of whatever is ready; `deliver` and `turn_ends` of eager transports.

    ready: a b c              ->    doRead a, doRead b, doRead c
    answered: from b          ->    deliver b
    received: from a, c       ->    deliver a, deliver c
    written: to b, a          ->    turn_ends b, turn_ends a

System calls that follow one another find the kernel's code in the processor's cache and leave
ours there for what is between them; and many sends wake a peer on another core once. Under load
a proxied request costs up to a quarter less than when each event is read, dealt with and answered
by itself. With one connection ready nothing waits.

What our own connections have brought comes before what clients ask, for the same reason: to end
one request and to begin another has little code in common, and to take turns at both costs an
eighth more than one after the other. It also frees places and connections for what is asked.

There is no logging context around an event: it only puts the transport's name into lines of
`twisted.python.log`, and costs seven calls. Errors are logged as ever.
"""

from __future__ import annotations

from itertools import chain
from select import EPOLLEXCLUSIVE, EPOLLIN
from typing import Any, Protocol

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.main import installReactor
from twisted.logger import Logger

# events of one turn: so many requests are read, at most, before the first answer is sent
TURN = 64


class Late(Protocol):
    """A transport for which a turn has parts."""

    def deliver(self, data: bytes) -> None:
        """What it has put into `answered` or `received`."""

    def turn_ends(self) -> None:
        """It is in `written`."""


class EdgeReactor(EPollReactor):
    """
    Everything but the turn itself is Twisted's.

    `answered`, `received` and `written` are there only in the parts of a turn in which something
    may be added: else a transport delivers and sends at once.
    """

    _log = Logger()

    # from whom we have connected to, and from who has connected to us
    answered: list[tuple[Late, bytes]] | None = None
    received: list[tuple[Late, bytes]] | None = None
    written: list[Late] | None = None

    @property
    def descriptors(self) -> int:
        """How many sockets and pipes it watches: nearly all descriptors that an edge has."""
        return len(self._selectables)

    def add_shared_reader(self, reader: IReadDescriptor) -> None:
        """
        As `addReader`, for a socket that several processes wait on: one of them is woken.

        The kernel takes one that waits: whoever is busy, stopped or dead costs nothing. It is
        never a writer as well; `removeReader` ends it.
        """
        descriptor = reader.fileno()
        self._poller.register(descriptor, EPOLLIN | EPOLLEXCLUSIVE)
        self._selectables[descriptor] = reader
        self._reads.add(descriptor)

    def doPoll(self, timeout: float | None) -> None:
        selectables = self._selectables
        try:
            ready = self._poller.poll(-1 if timeout is None else timeout, TURN)
        except InterruptedError:
            return
        # found now: the number of one that ends in this turn may soon be another one's
        others = [(selectables.get(fd), fd, event) for fd, event in ready if event != EPOLLIN]
        written = self.written = []
        try:
            self._read(ready)
            for selectable, fd, event in others:
                if selectable is not None and selectables.get(fd) is selectable:
                    self._doReadOrWrite(selectable, fd, event)
        finally:
            self.written = None
        for transport in written:
            try:
                transport.turn_ends()
            except Exception as error:  # noqa: BLE001 - costs this connection, not the others
                self._failed(transport, error, False)

    def _read(self, ready: list[tuple[int, int]]) -> None:
        selectables = self._selectables
        answered = self.answered = []
        received = self.received = []
        try:
            for fd, event in ready:
                selectable: Any = selectables.get(fd)
                if event != EPOLLIN or selectable is None:
                    # it is one of the others, or ended by what came before it in this turn
                    continue
                try:
                    why = selectable.doRead()
                except Exception as error:  # noqa: BLE001 - as above
                    self._failed(selectable, error, True)
                else:
                    if why:
                        self._disconnectSelectable(selectable, why, True)
        finally:
            self.answered = self.received = None
        for transport, data in chain(answered, received):
            try:
                transport.deliver(data)
            except Exception as error:  # noqa: BLE001 - as above
                self._failed(transport, error, True)

    def _failed(self, selectable: Any, error: Exception, reading: bool) -> None:
        self._log.failure("{selectable} failed", selectable=selectable)
        self._disconnectSelectable(selectable, error, reading)

    doIteration = doPoll


def install() -> EdgeReactor:
    """Make it the global reactor."""
    reactor = EdgeReactor()
    installReactor(reactor)
    return reactor

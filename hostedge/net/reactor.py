"""
The reactor of an edge: Twisted's epoll reactor without a logging context around each event.

In:  an edge installs it before anything imports the global reactor.
Out: `doRead` and `doWrite` of whatever is ready.

The context only puts the transport's name into lines of `twisted.python.log`, and costs seven
calls an event: a sixth of what a proxied request costs. Errors are logged as ever.
"""

from __future__ import annotations

from select import EPOLLIN
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor
from twisted.logger import Logger


class EdgeReactor(EPollReactor):
    """Everything but the turn itself is Twisted's."""

    _log = Logger()

    def doPoll(self, timeout: float | None) -> None:
        selectables = self._selectables
        try:
            ready = self._poller.poll(-1 if timeout is None else timeout, len(selectables))
        except InterruptedError:
            return
        for fd, event in ready:
            selectable: Any = selectables.get(fd)
            if selectable is None:
                # ended by what came before it in this turn
                continue
            if event != EPOLLIN:
                self._doReadOrWrite(selectable, fd, event)
                continue
            try:
                why = selectable.doRead()
            except Exception as error:  # noqa: BLE001 - costs this connection, not the others
                self._log.failure("reading from {selectable} failed", selectable=selectable)
                why = error
            if why:
                self._disconnectSelectable(selectable, why, True)

    doIteration = doPoll


def install() -> EdgeReactor:
    """Make it the global reactor."""
    reactor = EdgeReactor()
    installReactor(reactor)
    return reactor

"""A real epoll reactor that a test turns by hand, and TCP pairs on it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

from twisted.internet.epollreactor import EPollReactor
from twisted.trial.unittest import SynchronousTestCase

LIMIT = 5.0  # seconds of turns until something that does not happen is a failure


class Turning:
    """`until` turns the reactor; it runs nowhere else."""

    def __init__(self, test: SynchronousTestCase) -> None:
        self.reactor = EPollReactor()
        self._test = test
        test.addCleanup(self._close)

    def turn(self, times: int = 1, wait: float = 0.0) -> None:
        for _ in range(times):
            self.reactor.runUntilCurrent()
            self.reactor.doIteration(wait)

    def until(self, happened: Callable[[], object]) -> None:
        end = self.reactor.seconds() + LIMIT
        while not happened():
            self._test.assertLess(self.reactor.seconds(), end, "it does not happen")
            self.turn(wait=0.01)

    def _close(self) -> None:
        for reader in self.reactor.removeAll():
            if isinstance(getattr(reader, "socket", None), socket.socket):
                reader.socket.close()
        waker = self.reactor.waker
        for descriptor in {waker.i, waker.o}:
            os.close(descriptor)
        self.reactor._poller.close()


def tcp_pair(test: SynchronousTestCase) -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection over the loopback; the accepted one does not block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        accepted, _ = listener.accept()
    accepted.setblocking(False)
    test.addCleanup(client.close)
    test.addCleanup(accepted.close)
    return client, accepted

"""
Tests for `hostedge.net.listener` with real sockets.
"""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from hostedge.balance.turns import FLOOR
from hostedge.errors import ConfigError
from hostedge.net.listener import Acceptor, Listener, Share, bind
from hostedge.net.page import SharedPage


class Exhausted:
    """A listening socket that is out of descriptors a few times."""

    def __init__(self, real: socket.socket, times: int) -> None:
        self.real = real
        self.times = times
        self.tries = 0

    def fileno(self) -> int:
        return self.real.fileno()

    def accept(self) -> Any:
        self.tries += 1
        if self.tries <= self.times:
            raise OSError(errno.EMFILE, "out of descriptors")
        return self.real.accept()

    def getsockname(self) -> Any:
        return self.real.getsockname()

    def detach(self) -> int:
        return self.real.detach()


class AcceptorTests(TestCase):
    """Several edges, one listener."""

    timeout = 20

    def setUp(self) -> None:
        self.listener = bind("http", "127.0.0.1:0", "test")
        self.addCleanup(self.listener.socket.close)
        self.page = SharedPage.create(Path(self.mktemp()))
        self.accepted: list[int] = []
        self.waiting: list[tuple[int, Deferred[None]]] = []

    def edge(self, place: int, sock: Any = None, connections: int = 0, limit: int = 1000) -> Share:
        """One more edge on a duplicate of the listener."""
        share = Share(self.page, place, limit)
        for _ in range(connections):
            share.opened()
        own = Listener("http", "", sock or self.listener.socket.dup())

        def made(connected: socket.socket, address: tuple[Any, ...]) -> None:
            self.addCleanup(connected.close)
            self.accepted.append(place)
            self.waiting = [
                (n, d) for n, d in self.waiting if len(self.accepted) < n or d.callback(None)
            ]

        acceptor = Acceptor(reactor, own, made, share)
        acceptor.startReading()
        self.addCleanup(acceptor.stop)
        return share

    def connect(self, times: int = 1) -> None:
        for _ in range(times):
            client = socket.create_connection(self.listener.socket.getsockname(), 10)
            self.addCleanup(client.close)

    def until(self, count: int) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        if len(self.accepted) >= count:
            done.callback(None)
        else:
            self.waiting.append((count, done))
        return done

    async def test_accepts(self) -> None:
        """
        What connects is accepted and counted in the page.
        """
        self.edge(0)
        self.connect(3)
        await self.until(3)
        self.assertEqual(self.page.counts(), [3])

    async def test_crowdedEdgeStepsBack(self) -> None:
        """
        An edge far above the mean leaves the connections to the other one.
        """
        self.edge(0, connections=10 * FLOOR)
        self.edge(1)
        self.connect(FLOOR)
        await self.until(FLOOR)
        self.assertGreater(self.accepted.count(1), self.accepted.count(0))

    async def test_onlyWillingEdgeServes(self) -> None:
        """
        When the less crowded edge hangs, the crowded one still accepts.
        """
        self.page.put(1, 0)
        self.edge(0, connections=10 * FLOOR)
        self.connect(3)
        await self.until(3)
        self.assertEqual(self.accepted, [0, 0, 0])

    async def test_outOfDescriptors(self) -> None:
        """
        Without a descriptor to spare the edge rests instead of spinning, then goes on.
        """
        exhausted = Exhausted(self.listener.socket.dup(), times=1)
        self.edge(0, sock=exhausted)
        self.connect()
        await deferLater(reactor, 0.02)
        self.assertEqual((exhausted.tries, self.accepted), (1, []))
        await self.until(1)

    def test_whoLives(self) -> None:
        """
        An edge learns who lives with a look, in a list that stays the same; one that leaves still
        counts there, but no longer as one that is compared with.
        """
        first = Share(self.page, 0, 10)
        places = first.places
        second = Share(self.page, 5, 10)
        self.assertEqual((places, second.places), ([0], [0, 5]))
        first.look()
        self.assertEqual(places, [0, 5])
        second.opened()
        second.leave()
        second.closed()
        first.look()
        self.assertEqual((places, self.page.counts()), ([0, 5], [0]))

    async def test_fullEdgeWaits(self) -> None:
        """
        An edge that holds all it may accepts again when one has ended.
        """
        share = self.edge(0, limit=1)
        self.connect(2)
        await self.until(1)
        await deferLater(reactor, 0.02)
        self.assertEqual(self.accepted, [0])
        share.closed()
        await self.until(2)

    def test_addressInUse(self) -> None:
        """
        An address that is taken is named with the reason.
        """
        error = self.assertRaises(ConfigError, bind, "http", self.listener.address, "file: listen")
        self.assertEqual(
            str(error),
            f"file: listen: cannot listen on {self.listener.address}: Address already in use",
        )

    def test_ipv6(self) -> None:
        """
        An IPv6 listener takes IPv6 only, so that IPv4 can have its own beside it.
        """
        listener = bind("http", "[::1]:0", "test")
        self.addCleanup(listener.socket.close)
        self.assertRegex(listener.address, r"^\[::1\]:\d+$")
        flag = listener.socket.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
        self.assertEqual(flag, 1)

"""From the first byte on a port for proxies to a connection with a client, or to none."""

from __future__ import annotations

import socket
import struct
import time
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hostedge.net.announced import Announcements
from hostedge.observe.counters import make_counters
from hostedge.wire.networks import parse_networks
from hostedge.wire.proxy_protocol import MAX_LINE, make_binary, make_line
from tests.net.turning import Turning, tcp_pair
from tests.tls.served import FakeWheel

CLIENT, LOCAL = ("192.0.2.7", 40000), ("198.51.100.1", 443)


class Port:
    """What a listener for proxies would be, without the listener."""

    def __init__(self, test: SynchronousTestCase, trusted: str = "127.0.0.0/8") -> None:
        self.test = test
        self.turning = Turning(test)
        self.wheel = FakeWheel()
        self.counters = make_counters()
        self.taken: list[tuple[socket.socket, tuple[Any, ...], int]] = []
        self.abandoned = 0
        self.failing = False
        self.announcements = Announcements(
            self.turning.reactor,
            self.wheel,
            self.counters,
            parse_networks([trusted]),
            self._abandon,
            5.0,
        )

    def _abandon(self) -> None:
        self.abandoned += 1

    def _take(self, connected: socket.socket, client: tuple[Any, ...], port: int) -> None:
        if self.failing:
            raise LookupError("nobody is here")
        self.test.addCleanup(connected.close)
        self.taken.append((connected, client, port))

    def connect(self) -> socket.socket:
        proxy, accepted = tcp_pair(self.test)
        proxy.setblocking(False)
        # as accept(2) gives it: nobody else holds it
        mine = socket.socket(fileno=accepted.detach())
        self.announcements.accept(self._take, mine, proxy.getsockname())
        return proxy

    def counted(self) -> dict[str, int]:
        return {name: count for name, count in self.counters.items() if count}


def is_closed(proxy: socket.socket) -> bool:
    try:
        return proxy.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


class AnnouncementTests(SynchronousTestCase):
    """What becomes of a connection."""

    def test_anyCut(self) -> None:
        """However the header is cut, it is taken off whole, and nothing after it."""
        for header, client, port in (
            (make_line(CLIENT, LOCAL), CLIENT, 443),
            (make_binary(CLIENT, LOCAL), CLIENT, 443),
            (make_line(None, None), None, 0),
            (make_binary(None, None), None, 0),
        ):
            for cut in range(len(header) + 1):
                stage = Port(self)
                proxy = stage.connect()
                for piece in (header[:cut], header[cut:] + b"GET /"):
                    if piece:
                        proxy.send(piece)
                        stage.turning.turn(2, 0.001)
                stage.turning.until(lambda stage=stage: stage.taken)
                ((connected, who, reached),) = stage.taken
                self.assertEqual(who, client or proxy.getsockname())
                self.assertEqual(reached, port or proxy.getpeername()[1])
                self.assertEqual(connected.recv(100), b"GET /")
                self.assertEqual(connected.getsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT), 1)
                self.assertEqual((stage.counted(), stage.wheel.watched), ({}, []))
                stage.turning.reactor.removeAll()

    def test_untrusted(self) -> None:
        """Whoever is not named is shut out before a byte is read."""
        stage = Port(self, "10.0.0.0/8")
        proxy = stage.connect()
        self.assertTrue(is_closed(proxy))
        self.assertEqual(stage.counted(), {"proxy_untrusted": 1})
        self.assertEqual((stage.taken, stage.abandoned), ([], 1))

    def test_refused(self) -> None:
        """What is no header ends the connection."""
        for data in (b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\0", b"PROXY UNKNOWN" + b"x" * MAX_LINE):
            stage = Port(self)
            proxy = stage.connect()
            proxy.send(data)
            stage.turning.until(lambda proxy=proxy: is_closed(proxy))
            self.assertEqual(stage.counted(), {"proxy_refused": 1})
            self.assertEqual((stage.taken, stage.abandoned), ([], 1))
            self.assertEqual(stage.wheel.watched, [])

    def test_slow(self) -> None:
        """The time is absolute: no byte that trickles in moves it."""
        stage = Port(self)
        proxy = stage.connect()
        (watched,) = stage.wheel.watched
        deadline = watched.deadline
        self.assertLessEqual(deadline, time.monotonic() + 5.0)
        proxy.send(b"PROXY ")
        stage.turning.turn(3, 0.001)
        self.assertEqual(watched.deadline, deadline)
        watched.timed_out()
        self.assertTrue(is_closed(proxy))
        self.assertEqual(stage.counted(), {"proxy_timeout": 1})
        self.assertEqual(stage.abandoned, 1)

    def test_gone(self) -> None:
        """A proxy that leaves, by an end or a reset, in the middle or before, is counted once."""
        for said, reset in ((b"", False), (b"PROXY UNK", False), (b"PROXY UNK", True)):
            stage = Port(self)
            proxy = stage.connect()
            if said:
                proxy.send(said)
                stage.turning.turn(2, 0.001)
            if reset:
                proxy.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            proxy.close()
            stage.turning.until(lambda stage=stage: stage.abandoned)
            self.assertEqual(stage.counted(), {"proxy_gone": 1})
            self.assertEqual(stage.wheel.watched, [])

    def test_nobodyTakesIt(self) -> None:
        """A failure behind it ends the connection, and only that."""
        stage = Port(self)
        stage.failing = True
        proxy = stage.connect()
        proxy.send(make_line(None, None))
        stage.turning.until(lambda: stage.abandoned)
        self.assertTrue(is_closed(proxy))
        self.assertEqual(len(self.flushLoggedErrors(LookupError)), 1)

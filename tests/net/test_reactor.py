"""The turn of an edge's reactor."""

from __future__ import annotations

import socket
from collections.abc import Callable

from twisted.internet import main
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.testing import AccumulatingProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hostedge.net.eager import EagerServer
from hostedge.net.reactor import EdgeReactor


class Ended(AccumulatingProtocol):
    """Knows that it was made, without a factory."""

    def connectionMade(self) -> None:
        self.made = 1


class ReactorTests(SynchronousTestCase):
    """Real descriptors, one turn at a time."""

    def setUp(self) -> None:
        self.reactor = EdgeReactor()
        self.addCleanup(self.reactor._poller.close)

    def connect(self) -> tuple[Ended, EagerServer, socket.socket]:
        ours, peer = socket.socketpair()
        self.addCleanup(peer.close)
        protocol = Ended()
        transport = EagerServer(ours, protocol, ("127.0.0.1", 1), None, 1, self.reactor)
        protocol.makeConnection(transport)
        self.addCleanup(lambda: transport.disconnected or transport.connectionLost(_done()))
        return protocol, transport, peer

    def test_reads(self) -> None:
        """What has arrived is read; an end is told as an end, a reset as a loss."""
        protocol, _, peer = self.connect()
        peer.send(b"hello")
        self.reactor.doIteration(0)
        self.assertEqual(protocol.data, b"hello")
        peer.close()
        self.reactor.doIteration(0)
        self.assertIsInstance(protocol.closedReason.value, (ConnectionDone, ConnectionLost))

    def test_writes(self) -> None:
        """What the kernel did not take goes out in later turns."""
        _, transport, peer = self.connect()
        body = bytes(1_000_000)
        transport.write(body)
        self.assertGreater(transport.unsent, 0)
        got = 0
        while got < len(body):
            got += len(peer.recv(1 << 20))
            self.reactor.doIteration(0)
        self.assertEqual((got, transport.unsent), (len(body), 0))

    def test_errorCostsOneConnection(self) -> None:
        """A protocol that raises is logged and loses its connection; the others go on."""
        bad, _, bad_peer = self.connect()
        good, _, good_peer = self.connect()
        bad.dataReceived = _fail
        bad_peer.send(b"x")
        good_peer.send(b"y")
        self.reactor.doIteration(0)
        self.assertEqual((bad.closed, good.data), (1, b"y"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_endedInTheSameTurn(self) -> None:
        """A connection that another one has ended in this turn is not read any more."""
        pairs = [self.connect() for _ in range(2)]
        for (mine, _, peer), (_, other, _) in zip(pairs, reversed(pairs), strict=True):
            mine.dataReceived = _ender(mine, other)
            peer.send(b"x")
        self.reactor.doIteration(0)
        self.assertEqual(sorted(mine.data for mine, _, _ in pairs), [b"", b"read"])

    def test_readsFirstThenWrites(self) -> None:
        """What is written in answer to events leaves when all of them have been dealt with."""
        seen: list[bytes] = []
        peers = []
        for _ in range(3):
            protocol, _, peer = self.connect()
            protocol.dataReceived = _answerer(protocol, peers, seen)
            peer.setblocking(False)
            peers.append(peer)
            peer.send(b"x")
        self.reactor.doIteration(0)
        self.assertEqual(seen, [])
        self.assertEqual([peer.recv(9) for peer in peers], [b"answer"] * 3)

    def test_timersWriteAtOnce(self) -> None:
        """Outside a turn there is nothing to wait for."""
        _, transport, peer = self.connect()
        self.reactor.callLater(0, transport.write, b"tick")
        self.reactor.runUntilCurrent()
        self.assertEqual(peer.recv(9), b"tick")

    def test_errorInASendCostsOneConnection(self) -> None:
        """Of several late writers one that fails is ended; the others' bytes leave."""
        bad, bad_transport, bad_peer = self.connect()
        good, _, good_peer = self.connect()
        bad_transport.socket = _Refusing(bad_transport.socket)
        for protocol, peer in ((bad, bad_peer), (good, good_peer)):
            protocol.dataReceived = _answerer(protocol, [], [])
            peer.send(b"x")
        self.reactor.doIteration(0)
        self.assertEqual((bad.closed, good_peer.recv(9)), (1, b"answer"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class _Refusing:
    """A socket whose `send` has a bug."""

    def __init__(self, real: socket.socket) -> None:
        self._real = real

    def send(self, data: bytes) -> int:
        raise ZeroDivisionError

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)


def _answerer(
    mine: Ended, peers: list[socket.socket], seen: list[bytes]
) -> Callable[[bytes], None]:
    """Answers what comes; `seen` is what has reached one of `peers` by then."""

    def data_received(data: bytes) -> None:
        for peer in peers:
            try:
                seen.append(peer.recv(9))
            except BlockingIOError:
                pass
        mine.transport.write(b"answer")

    return data_received


def _done() -> Failure:
    return Failure(main.CONNECTION_DONE)


def _fail(data: bytes) -> None:
    raise ZeroDivisionError


def _ender(mine: Ended, other: EagerServer) -> Callable[[bytes], None]:
    def data_received(data: bytes) -> None:
        mine.data = b"read"
        other.connectionLost(_done())

    return data_received

"""The turn of an edge's reactor."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from twisted.internet import main
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.testing import AccumulatingProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hostedge.net.eager import ClientProtocol, EagerClient, EagerServer
from hostedge.net.reactor import EdgeReactor


class Ended(AccumulatingProtocol):
    """Knows that it was made, without a factory."""

    def connectionMade(self) -> None:
        self.made = 1


class Played(ClientProtocol):
    """Of a connection of our own."""

    made = False

    def connectionMade(self) -> None:
        self.made = True

    def connection_failed(self, error: OSError) -> None:
        raise error


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

    def test_readsBeforeAnythingIsDelivered(self) -> None:
        """The first of several protocols that hear something hears it when all were read."""
        waiting: list[int] = []
        connections = [self.connect() for _ in range(3)]
        for protocol, _, peer in connections:
            peer.send(b"x")

            def count(data: bytes, mine: Ended = protocol) -> None:
                mine.data = data
                waiting.append(sum(_waits(each) for _, each, _ in connections))

            protocol.dataReceived = count
        self.reactor.doIteration(0)
        self.assertEqual(waiting, [0, 0, 0])
        self.assertEqual([protocol.data for protocol, _, _ in connections], [b"x"] * 3)

    def test_ourOwnConnectionsFirst(self) -> None:
        """What servers have answered is heard before what clients ask, whoever was ready first."""
        heard: list[bytes] = []
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        client = Played()
        transport = EagerClient(
            f"127.0.0.1:{listener.getsockname()[1]}",
            client,
            self.reactor,  # type: ignore[arg-type]
        )
        transport.connect()
        self.addCleanup(lambda: transport.disconnected or transport.connectionLost(_done()))
        server, _ = listener.accept()
        self.addCleanup(server.close)
        while not client.made:
            self.reactor.doIteration(0)
        asking, _, peer = self.connect()
        asking.dataReceived = client.dataReceived = heard.append  # type: ignore[method-assign]
        peer.send(b"asked")
        server.send(b"answered")
        select.select([transport], [], [])
        self.reactor.doIteration(0)
        self.assertEqual(heard, [b"answered", b"asked"])

    def test_dataBeforeAFailingWrite(self) -> None:
        """What a peer said before it went away is heard, even while we were still sending."""
        protocol, transport, peer = self.connect()
        transport.write(bytes(1_000_000))
        peer.send(b"no more")
        peer.close()
        self.reactor.doIteration(0)
        self.assertEqual((protocol.data, protocol.closed), (b"no more", 1))

    def test_numberOfAnEndedConnection(self) -> None:
        """An event of a connection that ended in its turn does not reach one with its number."""
        first, transport, peer = self.connect()
        second, other, other_peer = self.connect()
        number = other.fileno()
        ours, third_peer = socket.socketpair()
        self.addCleanup(third_peer.close)
        third = Ended()

        def replace(data: bytes) -> None:
            other.connectionLost(_done())
            os.dup2(ours.fileno(), number)
            replacement = socket.socket(fileno=number)
            new = EagerServer(replacement, third, ("127.0.0.1", 1), None, 1, self.reactor)
            third.makeConnection(new)
            self.addCleanup(lambda: new.disconnected or new.connectionLost(_done()))

        first.dataReceived = replace
        peer.send(b"x")
        # its event is a hang-up, not something to read
        other.startWriting()
        other.pauseProducing()
        other_peer.close()
        self.reactor.doIteration(0)
        self.addCleanup(ours.close)
        self.assertEqual((second.closed, third.closed), (1, 0))

    def test_timersWriteAtOnce(self) -> None:
        """Outside a turn there is nothing to wait for."""
        _, transport, peer = self.connect()
        self.reactor.callLater(0, transport.write, b"tick")
        self.reactor.runUntilCurrent()
        self.assertEqual(peer.recv(9), b"tick")

    def test_sharedReaderWakesOne(self) -> None:
        """One of those who wait for a shared socket is woken; while it is busy, another one."""
        shared, peer = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(shared.close)
        self.addCleanup(peer.close)
        reactors = [self.reactor, EdgeReactor()]
        self.addCleanup(reactors[1]._poller.close)
        readers = [_Shared(shared) for _ in reactors]
        for reactor, reader in zip(reactors, readers, strict=True):
            reactor.add_shared_reader(reader)
        threads = [threading.Thread(target=each.doIteration, args=(5,)) for each in reactors]
        for thread in threads:
            thread.start()
        _until_asleep(threads)
        peer.send(b"x")
        self.assertEqual(_woken(readers), 1)
        peer.send(b"y")
        self.assertEqual(_woken(readers), 2)
        for reader in readers:
            reader.go_on.set()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(each.read for each in readers), [b"x", b"y"])
        for reactor, reader in zip(reactors, readers, strict=True):
            reactor.removeReader(reader)
            self.assertNotIn(reader, reactor.getReaders())

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


@implementer(IReadDescriptor)
class _Shared:
    """A reader of a shared socket that is busy for as long as the test wants."""

    def __init__(self, shared: socket.socket) -> None:
        self._shared = shared
        self.woken = threading.Event()
        self.go_on = threading.Event()
        self.read = b""

    def fileno(self) -> int:
        return self._shared.fileno()

    def doRead(self) -> None:
        self.woken.set()
        self.go_on.wait(5)
        self.read = self._shared.recv(9)

    def connectionLost(self, reason: object) -> None:
        raise AssertionError("a shared socket does not end")

    def logPrefix(self) -> str:
        return "shared"


def _woken(readers: list[_Shared]) -> int:
    """How many have been woken, after a while in which all could have been."""
    for reader in readers:
        reader.woken.wait(0.1)
    return sum(each.woken.is_set() for each in readers)


def _until_asleep(threads: list[threading.Thread]) -> None:
    """Wait until each of them sleeps in `epoll_wait`, a second where the kernel does not say."""
    for thread in threads:
        for _ in range(100):
            if "poll" in Path(f"/proc/self/task/{thread.native_id}/wchan").read_text():
                break
            thread.join(0.01)


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


def _waits(transport: EagerServer) -> bool:
    return bool(select.select([transport], [], [], 0)[0])


def _done() -> Failure:
    return Failure(main.CONNECTION_DONE)


def _fail(data: bytes) -> None:
    raise ZeroDivisionError


def _ender(mine: Ended, other: EagerServer) -> Callable[[bytes], None]:
    def data_received(data: bytes) -> None:
        mine.data = b"read"
        other.connectionLost(_done())

    return data_received

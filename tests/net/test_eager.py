"""Bytes through eager transports: none lost, none doubled, all callbacks as Twisted's."""

from __future__ import annotations

import contextlib
import os
import socket
import tempfile
from collections.abc import Callable

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet import main
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.internet.testing import AccumulatingProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hostedge.net.eager import ClientProtocol, EagerClient, EagerServer, parse_endpoint


class FakePoll:
    """
    The reactor's sets of readers and writers; `turn` serves the writers once.

    Between `begin` and `end` it deals with events, as an edge's reactor does.
    """

    received: list[tuple[EagerServer, bytes]] | None = None
    written: list[EagerServer] | None = None

    def __init__(self) -> None:
        self.readers: set[object] = set()
        self.writers: set[object] = set()
        self.later: list[tuple[Callable[..., None], tuple[object, ...]]] = []
        self.addReader = self.readers.add
        self.addWriter = self.writers.add
        self.removeReader = self.readers.discard
        self.removeWriter = self.writers.discard

    def callLater(self, delay: float, what: Callable[..., None], *arguments: object) -> None:
        self.later.append((what, arguments))

    def turn(self) -> None:
        for writer in list(self.writers):
            why = writer.doWrite()
            if why:
                writer.connectionLost(Failure(why))

    def begin(self) -> None:
        self.end()
        self.written = []

    def end(self) -> None:
        written, self.written = self.written or [], None
        for transport in written:
            transport.turn_ends()


class Recorder(ClientProtocol):
    """What a client hears, in order."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def connectionMade(self) -> None:
        self.heard.append("made")

    def connection_failed(self, error: OSError) -> None:
        self.heard.append(type(error))

    def connectionLost(self, reason: Failure = Failure(main.CONNECTION_DONE)) -> None:  # noqa: B008
        self.heard.append(reason.type)


class Feeder:
    """A producer that writes a list of chunks, one whenever it is allowed to."""

    def __init__(self, transport: EagerServer, chunks: list[bytes], push: bool) -> None:
        self.transport = transport
        self.chunks = chunks
        self.push = push
        self.paused = False
        self.pauses = 0

    def resumeProducing(self) -> None:
        self.paused = False
        if not self.push:
            self._one()

    def pauseProducing(self) -> None:
        self.paused = True
        self.pauses += 1

    def stopProducing(self) -> None:
        self.chunks = []

    def _one(self) -> None:
        if self.chunks:
            self.transport.write(self.chunks.pop(0))
        else:
            self.transport.unregisterProducer()


class Pair:
    """An eager server on one end of a socket pair with small buffers; the test is the other."""

    def __init__(self, protocol: Protocol) -> None:
        self.poll = FakePoll()
        ours, self.peer = socket.socketpair()
        for end in (ours, self.peer):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
            end.setblocking(False)
        self.transport = EagerServer(ours, protocol, ("127.0.0.1", 1), None, 1, self.poll)
        protocol.makeConnection(self.transport)

    def drain(self, size: int = 65536) -> bytes:
        try:
            return self.peer.recv(size)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self.peer.close()
        self.transport.connectionLost(Failure(main.CONNECTION_DONE))


PAYLOAD = bytes(range(256)) * 256


class EagerTests(SynchronousTestCase):
    """Servers over socket pairs, clients to real listeners."""

    def pair(self, protocol: Protocol | None = None) -> Pair:
        pair = Pair(protocol or AccumulatingProtocol())
        self.addCleanup(pair.close)
        return pair

    def test_keepAlive(self) -> None:
        """A peer over TCP is asked after a minute of silence; a UNIX peer need not be."""
        pair = Pair(Protocol())
        self.addCleanup(pair.close)
        pair.transport.keep_alive()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            peer = socket.create_connection(listener.getsockname())
            self.addCleanup(peer.close)
            ours = listener.accept()[0]
        transport = EagerServer(ours, Protocol(), ("127.0.0.1", 1), None, 1, pair.poll)
        transport.keep_alive()
        self.assertEqual(ours.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE), 1)
        options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        self.assertEqual([ours.getsockopt(socket.IPPROTO_TCP, o) for o in options], [60, 10, 6])
        ours.close()

    def test_smallWriteGoesOutAtOnce(self) -> None:
        """A write that the kernel takes needs no turn of the reactor."""
        pair = self.pair()
        pair.transport.write(b"hello")
        pair.transport.writeSequence([b" ", b"world"])
        self.assertEqual(pair.drain(), b"hello world")
        self.assertEqual(pair.poll.writers, set())
        self.assertEqual(pair.transport.unsent, 0)

    def test_unread(self) -> None:
        """What has arrived is known before it is read."""
        pair = self.pair()
        self.assertFalse(pair.transport.unread)
        pair.peer.sendall(b"x")
        self.assertTrue(pair.transport.unread)

    def test_undelivered(self) -> None:
        """What the kernel has taken is on its way until the peer has it."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            peer = socket.create_connection(listener.getsockname())
            self.addCleanup(peer.close)
            ours, address = listener.accept()
        ours.setblocking(False)
        protocol, poll = AccumulatingProtocol(), FakePoll()
        transport = EagerServer(ours, protocol, address, None, 1, poll)
        protocol.makeConnection(transport)
        self.addCleanup(transport.connectionLost, Failure(main.CONNECTION_DONE))
        size = 20_000_000
        transport.write(bytes(size))
        self.assertGreater(transport.undelivered, transport.unsent)
        self.assertLess(transport.undelivered, size)
        got = 0
        while transport.undelivered:
            transport.doWrite()
            with contextlib.suppress(BlockingIOError):
                got += len(peer.recv(1 << 20, socket.MSG_DONTWAIT))
        while got < size:
            got += len(peer.recv(1 << 20))
        self.assertEqual(got, size)

    @settings(max_examples=60, deadline=None)
    @given(
        cuts=st.lists(st.integers(0, len(PAYLOAD)), max_size=12),
        drains=st.lists(st.integers(0, 9000), min_size=1, max_size=20),
    )
    def test_noByteLostOrDoubled(self, cuts: list[int], drains: list[int]) -> None:
        """Whatever the sizes of writes and reads, the peer gets the bytes in order, once."""
        pair = Pair(AccumulatingProtocol())
        borders = [0, *sorted(cuts), len(PAYLOAD)]
        chunks = [PAYLOAD[a:b] for a, b in zip(borders, borders[1:], strict=False)]
        got = b""
        for turn, chunk in enumerate(chunks):
            pair.transport.write(chunk)
            got += pair.drain(drains[turn % len(drains)])
            if turn % 3 == 0:
                pair.poll.turn()
        pair.transport.loseConnection()
        for size in drains:
            pair.poll.turn()
            got += pair.drain(size)
        while not pair.transport.disconnected or len(got) < len(PAYLOAD):
            pair.poll.turn()
            piece = pair.drain()
            self.assertTrue(piece or not pair.transport.disconnected, "bytes are missing")
            got += piece
        pair.close()
        self.assertEqual(got, PAYLOAD)

    @settings(max_examples=120, deadline=None)
    @given(
        st.lists(
            st.one_of(
                st.integers(1, 30_000),
                st.sampled_from(("begin", "end", "serve", "drain", "pull")),
            ),
            max_size=30,
        )
    )
    # served within the turn, but not to the end
    @example(["begin", 16_000, "pull", "serve", 5, "drain", "end"])
    def test_turnsKeepTheOrder(self, steps: list[int | str]) -> None:
        """Writes in and between turns, with the writer served at any time: the same bytes."""
        pair = Pair(AccumulatingProtocol())
        sent = got = b""
        for step in steps:
            if isinstance(step, int):
                piece = PAYLOAD[len(sent) % 251 :][:step]
                sent += piece
                pair.transport.write(piece)
            elif step == "drain":
                got += pair.drain(5000)
            elif step == "serve":
                pair.poll.turn()
            elif step == "pull":
                # asks for the writer without a byte in the queue
                pair.transport.startWriting()
            else:
                getattr(pair.poll, step)()
        self.assertEqual(pair.transport.connected, 1)
        pair.poll.end()
        while pair.transport.unsent:
            self.assertIn(pair.transport, pair.poll.writers)
            got += pair.drain()
            pair.poll.turn()
        while piece := pair.drain():
            got += piece
        pair.close()
        self.assertEqual(got, sent)

    def test_readFirstDeliveredLater(self) -> None:
        """What is read in a turn is in the reactor's hands; a connection that ended drops it."""
        for end, heard in (
            ("", b"hello"),
            # on its way: the one piece that may follow a pause
            ("pauseProducing", b"hello"),
            ("loseConnection", b""),
            ("abortConnection", b""),
            ("connectionLost", b""),
        ):
            protocol = AccumulatingProtocol()
            pair = self.pair(protocol)
            pair.poll.received = []
            pair.peer.send(b"hello")
            self.assertIsNone(pair.transport.doRead())
            self.assertEqual((protocol.data, len(pair.poll.received)), (b"", 1))
            if end == "connectionLost":
                pair.transport.connectionLost(Failure(main.CONNECTION_LOST))
            elif end:
                getattr(pair.transport, end)()
            for transport, data in pair.poll.received:
                transport.deliver(data)
            self.assertEqual(protocol.data, heard, end)

    def test_smallWritesOfATurnLeaveTogether(self) -> None:
        """Nothing leaves before the turn ends, and no writer is asked for; a large one leaves."""
        pair = self.pair()
        pair.poll.begin()
        pair.transport.write(b"hello")
        pair.transport.write(b" world")
        self.assertEqual((pair.drain(), pair.transport.unsent), (b"", 11))
        pair.poll.end()
        self.assertEqual((pair.drain(), pair.transport.unsent), (b"hello world", 0))
        self.assertEqual(pair.poll.writers, set())
        pair.poll.begin()
        pair.transport.write(PAYLOAD)
        self.assertEqual(pair.drain(5), PAYLOAD[:5])

    def test_endedAfterALateWrite(self) -> None:
        """A connection that is closed in the turn of its last write still sends it."""
        for close in ("loseConnection", "loseWriteConnection"):
            pair = self.pair()
            pair.poll.begin()
            pair.transport.write(b"bye")
            getattr(pair.transport, close)()
            pair.poll.end()
            pair.poll.turn()
            self.assertEqual(pair.drain(), b"bye")
            self.assertEqual(pair.transport.disconnected, close == "loseConnection")

    def test_goneBeforeTheTurnEnds(self) -> None:
        """What is aborted or lost in the turn of a write is not written to any more."""
        aborted, lost = self.pair(), self.pair()
        for pair in (aborted, lost):
            pair.poll.begin()
            pair.transport.write(b"late")
        aborted.transport.abortConnection()
        lost.transport.connectionLost(Failure(main.CONNECTION_LOST))
        for pair in (aborted, lost):
            pair.poll.end()
            self.assertEqual(pair.drain(), b"")

    def test_producerPausedByLateWritesGoesOn(self) -> None:
        """A push producer that filled the queue within a turn is resumed once all is sent."""
        for room in (4608, 1 << 20):
            pair = self.pair()
            pair.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
            feeder = Feeder(pair.transport, [], push=True)
            pair.transport.registerProducer(feeder, True)
            pair.poll.begin()
            for _ in range(7):
                pair.transport.write(PAYLOAD[:10_000])
            self.assertTrue(feeder.paused)
            pair.poll.end()
            got = b""
            while pair.poll.writers:
                got += pair.drain()
                pair.poll.turn()
            self.assertFalse(feeder.paused)
            while chunk := pair.drain():
                got += chunk
            self.assertEqual(got, PAYLOAD[:10_000] * 7)

    def test_everySplit(self) -> None:
        """Two writes cut at any position, the first drained byte by byte, arrive whole."""
        text = PAYLOAD[:300]
        for cut in range(len(text) + 1):
            pair = Pair(AccumulatingProtocol())
            pair.transport.write(text[:cut])
            got = pair.drain(1)
            pair.transport.write(text[cut:])
            got += pair.drain()
            pair.close()
            self.assertEqual(got, text)

    def test_pushProducerIsPausedAndResumed(self) -> None:
        """A full buffer pauses a push producer; once it is empty the producer goes on."""
        pair = self.pair()
        feeder = Feeder(pair.transport, [], push=True)
        pair.transport.registerProducer(feeder, True)
        pair.transport.write(PAYLOAD * 4)
        self.assertTrue(feeder.paused)
        got = b""
        while feeder.paused:
            got += pair.drain()
            pair.poll.turn()
        while chunk := pair.drain():
            got += chunk
        self.assertEqual((got, feeder.pauses), (PAYLOAD * 4, 1))

    def test_pullProducerIsAskedForMore(self) -> None:
        """A pull producer whose writes go out at once is still asked for the next one."""
        pair = self.pair()
        feeder = Feeder(pair.transport, [b"a", b"b", b"c"], push=False)
        pair.transport.registerProducer(feeder, False)
        for _ in range(6):
            pair.poll.turn()
        self.assertEqual(pair.drain(), b"abc")
        self.assertIsNone(pair.transport.producer)

    def test_writeNeverLosesTheConnection(self) -> None:
        """A write to a peer that is gone is reported in the reactor's turn, not inside write."""
        protocol = AccumulatingProtocol()
        pair = self.pair(protocol)
        pair.peer.close()
        for _ in range(3):
            pair.transport.write(PAYLOAD)
        self.assertFalse(protocol.closed)
        pair.poll.turn()
        self.assertTrue(protocol.closed)
        self.assertIs(protocol.closedReason.type, ConnectionLost)

    def test_loseWriteConnectionAfterTheRest(self) -> None:
        """Half closing waits for what is queued; the other direction stays open."""
        protocol = AccumulatingProtocol()
        pair = self.pair(protocol)
        pair.transport.write(PAYLOAD)
        pair.transport.loseWriteConnection()
        got = b""
        while pair.poll.writers:
            got += pair.drain()
            pair.poll.turn()
        while chunk := pair.drain():
            got += chunk
        self.assertEqual(got, PAYLOAD)
        pair.transport.write(b"too late")
        self.assertEqual(pair.peer.recv(10), b"")
        pair.peer.send(b"still here")
        self.assertIsNone(pair.transport.doRead())
        self.assertEqual(protocol.data, b"still here")

    def test_endOfStream(self) -> None:
        """A peer's end is a clean end, a reset is a loss, nothing to read is neither."""
        pair = self.pair()
        self.assertIsNone(pair.transport.doRead())
        pair.peer.shutdown(socket.SHUT_WR)
        self.assertIs(pair.transport.doRead(), main.CONNECTION_DONE)

    def test_clientTcp(self) -> None:
        """A TCP client is made once the kernel says so, and refused likewise."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = f"127.0.0.1:{listener.getsockname()[1]}"
            self.assertEqual(self._connect(address).heard[:1], ["made"])
        self.assertEqual(self._connect(address).heard, [ConnectionRefusedError])

    def test_clientUnix(self) -> None:
        """A UNIX client is made or refused before `connect` returns; a full backlog refuses."""
        path = os.path.join(tempfile.mkdtemp(), "s")
        self.assertEqual(self._connect(f"unix:{path}").heard, [FileNotFoundError])
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            self.assertEqual(self._connect(f"unix:{path}").heard, [ConnectionRefusedError])
            listener.listen(0)
            first, second = self._connect(f"unix:{path}"), self._connect(f"unix:{path}")
            self.assertEqual(first.heard, ["made"])
            self.assertEqual(second.heard, [BlockingIOError])
            self.assertEqual(first.transport.getPeer().name, os.fsencode(path))

    def test_clientGivesUp(self) -> None:
        """An attempt that is given up fails once, and leaves nothing with the reactor."""
        poll, protocol = FakePoll(), Recorder()
        client = EagerClient("127.0.0.1:9", protocol, poll)
        client.connecting = True
        poll.addWriter(client)
        client.give_up()
        client.give_up()
        self.assertEqual((protocol.heard, poll.writers), ([TimeoutError], set()))

    def test_endpoints(self) -> None:
        """Numeric addresses only; names are resolved elsewhere."""
        self.assertEqual(parse_endpoint("[::1]:80"), (socket.AF_INET6, ("::1", 80)))
        self.assertEqual(parse_endpoint("unix:/a b"), (socket.AF_UNIX, "/a b"))
        for bad in ("localhost:80", "80", ":80", "1.2.3:80"):
            self.assertRaises(ValueError, parse_endpoint, bad)

    def _connect(self, address: str) -> Recorder:
        poll, protocol = FakePoll(), Recorder()
        client = EagerClient(address, protocol, poll)
        client.connect()
        while client.connecting:
            poll.turn()
        if not client.disconnected:
            self.addCleanup(client.connectionLost, Failure(main.CONNECTION_DONE))
        return protocol

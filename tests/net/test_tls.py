"""Bytes through TLS on a socket: none lost, none doubled, every end seen for what it is."""

from __future__ import annotations

import socket
import ssl
import struct

from hypothesis import given, settings
from hypothesis import strategies as st
from OpenSSL import SSL
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.main import CONNECTION_DONE
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hostedge.net.tls import MAX_EVENTS, TLSServer
from hostedge.tls.contexts import DEFAULT
from hostedge.tls.template import make_ring
from tests.tls.certified import client_context
from tests.tls.served import Port, Recorder

TLS12 = ssl.TLSVersion.TLSv1_2
TLS13 = ssl.TLSVersion.TLSv1_3


def pattern(size: int) -> bytes:
    """Bytes whose place can be told."""
    return b"".join(n.to_bytes(4) for n in range(size // 4 + 1))[:size]


class Drops:
    """A streaming producer that ends the connection after its last piece."""

    def __init__(self, transport: TLSServer, total: bytes, size: int) -> None:
        self._transport = transport
        self._rest = total
        self._size = size
        self._paused = False
        self.pauses = 0
        transport.registerProducer(self, True)

    def resumeProducing(self) -> None:
        self._paused = False
        while self._rest and not self._paused:
            piece, self._rest = self._rest[: self._size], self._rest[self._size :]
            self._transport.write(piece)
        if not self._rest:
            self._transport.unregisterProducer()
            self._transport.loseConnection()

    def pauseProducing(self) -> None:
        self._paused = True
        self.pauses += 1

    def stopProducing(self) -> None:
        self._rest = b""


class WaitsForRoom:
    """A session in which reading waits until something could be written."""

    def __init__(self, session: SSL.Connection) -> None:
        self._session = session
        self.recv_calls = 0

    def recv(self, size: int) -> bytes:
        self.recv_calls += 1
        if self.recv_calls == 1:
            raise SSL.WantWriteError
        return self._session.recv(size)

    def __getattr__(self, name: str) -> object:
        return getattr(self._session, name)


class DataTests(SynchronousTestCase):
    """Both directions of an open connection."""

    def test_echo(self) -> None:
        """
        What comes in goes out, at once, without the reactor's writer.
        """
        for version in (TLS12, TLS13):
            port = Port(self)
            client, protocol = port.open(context=client_context(version=version))
            protocol.got = protocol.transport.write
            client.send(b"hello")
            self.assertEqual(port.receive(client), b"hello")
            self.assertEqual(port.turning.reactor.getWriters(), [])

    def test_muchAtOnce(self) -> None:
        """
        More than any buffer holds arrives whole, in order, and pauses who produces it.
        """
        sent = pattern(1_000_000)
        for piece in (len(sent), 100_000, 16_384, 5_000):
            port = Port(self)
            client, protocol = port.open()
            protocol.transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 40_000)
            drops = Drops(protocol.transport, sent, piece)
            drops.resumeProducing()
            got = b""
            while more := port.receive(client):
                got += more
            self.assertTrue(got == sent)
            self.assertGreater(drops.pauses, 0)

    def test_muchComesIn(self) -> None:
        """
        What a client sends faster than it is read arrives whole, across pauses.
        """
        sent = pattern(1_000_000)
        port = Port(self)
        client, protocol = port.open()
        seen = 0

        def got(_: bytes) -> None:
            nonlocal seen
            seen += 1
            # a whole record each time: nothing stays where epoll cannot see it
            self.assertEqual(protocol.transport._session.pending(), 0)
            if seen % 3 == 0:
                protocol.transport.pauseProducing()
                port.turning.reactor.callLater(0, protocol.transport.resumeProducing)

        protocol.got = got
        rest = memoryview(sent)

        def all_sent() -> bool:
            nonlocal rest
            try:
                while rest:
                    rest = rest[client.send(rest) :]
            except (ssl.SSLWantWriteError, BlockingIOError):
                return False
            return True

        port.until(all_sent)
        port.until(lambda: len(protocol.data) == len(sent))
        self.assertTrue(protocol.data == sent)

    def test_pausedIsSilent(self) -> None:
        """
        While paused nothing is delivered, and nothing turns.
        """
        port = Port(self)
        client, protocol = port.open()
        protocol.transport.pauseProducing()
        client.send(b"hello")
        port.turning.turn(5, 0.001)
        self.assertEqual(protocol.data, b"")
        protocol.transport.resumeProducing()
        port.until(lambda: protocol.data)
        self.assertEqual(protocol.data, b"hello")

    @settings(max_examples=25, deadline=None)
    @given(
        st.lists(st.integers(1, 40_000), min_size=1, max_size=8),
        st.lists(st.integers(1, 30_000), min_size=1, max_size=8),
        st.sampled_from((TLS12, TLS13)),
        st.integers(2_048, 60_000),
    )
    def test_noneLostNoneDoubled(
        self, writes: list[int], reads: list[int], version: ssl.TLSVersion, room: int
    ) -> None:
        """
        However much is written at a time and however slowly it is drained, through however
        small a buffer, and while as much comes back: the same bytes, then a clean end.
        """
        port = Port(self, ring=_RING)
        client, protocol = port.open(context=client_context(version=version))
        transport = protocol.transport
        transport.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, room)
        total = pattern(sum(writes))
        at = 0
        for size in writes:
            transport.write(total[at : at + size])
            at += size
        transport.loseWriteConnection()
        got = back = b""
        turn = 0
        while True:
            size = reads[turn % len(reads)]
            turn += 1
            more = port.receive(client, size)
            if not more:
                break
            got += more
            client.setblocking(True)
            client.sendall(more)
            client.setblocking(False)
            back += more
            port.turning.turn()
        self.assertTrue(got == total)
        port.until(lambda: len(protocol.data) == len(back))
        self.assertTrue(protocol.data == total)
        client.close()
        port.until(lambda: protocol.lost)

    def test_everySplit(self) -> None:
        """
        A record that comes in two pieces, cut anywhere, is one piece of data.
        """
        port = Port(self)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = client_context().wrap_bio(incoming, outgoing, server_hostname="a.example")
        client = port.connect()
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                client.send(outgoing.read())
                incoming.write(port.receive(client))
        session.write(b"first")
        client.send(outgoing.read())
        port.until(lambda: port.protocols and port.protocols[0].data)
        (protocol,) = port.protocols
        for at in range(1, 27):
            protocol.data = b""
            session.write(b"hello")
            record = outgoing.read()
            self.assertEqual(len(record), 27)
            client.send(record[:at])
            port.turning.turn(2)
            self.assertEqual(protocol.data, b"")
            client.send(record[at:])
            port.until(lambda: protocol.data)
            self.assertEqual(protocol.data, b"hello")

    def test_readWaitsForRoom(self) -> None:
        """
        When OpenSSL has to write before it reads on, the reactor is asked for that; a pause
        meanwhile stays one.
        """
        port = Port(self)
        client, protocol = port.open()
        transport = protocol.transport
        for paused in (False, True):
            protocol.data = b""
            stubborn = WaitsForRoom(transport._session)
            transport._session = stubborn  # type: ignore[assignment]
            client.send(b"hello")
            port.until(lambda: stubborn.recv_calls == 1)  # noqa: B023
            if paused:
                transport.pauseProducing()
                port.turning.turn(5, 0.001)
                self.assertEqual(stubborn.recv_calls, 1)
                transport.resumeProducing()
            port.until(lambda: protocol.data)
            self.assertEqual(protocol.data, b"hello")
            port.turning.turn(2)
            self.assertEqual(port.turning.reactor.getWriters(), [])


class EndTests(SynchronousTestCase):
    """Who ended, and whether on purpose."""

    def open(self, version: ssl.TLSVersion = TLS13) -> tuple[Port, ssl.SSLSocket, Recorder]:
        port = Port(self)
        client, protocol = port.open(context=client_context(version=version))
        return port, client, protocol

    def test_weEnd(self) -> None:
        """
        `loseConnection` sends what is queued, then close_notify: a clean end for the client.
        """
        for version in (TLS12, TLS13):
            port, client, protocol = self.open(version)
            protocol.transport.write(b"bye")
            protocol.transport.loseConnection()
            self.assertEqual(port.receive(client), b"bye")
            # suppress_ragged_eofs is off: an end without close_notify would raise
            self.assertEqual(port.receive(client), b"")
            port.until(lambda: protocol.lost)  # noqa: B023
            self.assertTrue(protocol.lost and protocol.lost.check(ConnectionDone))
            older = {"tls_older": 1} if version is TLS12 else {}
            self.assertEqual(port.counted(), {"tls_handshakes": 1} | older)

    def test_weAbort(self) -> None:
        """
        `abortConnection` cannot be taken for an end: the client sees a reset.
        """
        port, client, protocol = self.open()
        protocol.transport.write(b"half an ans")
        protocol.transport.abortConnection()
        port.until(lambda: protocol.lost)
        self.assertTrue(protocol.lost and protocol.lost.check(ConnectionAborted))
        client.setblocking(True)
        self.assertRaises(OSError, lambda: [client.recv(100), client.recv(100)])
        self.assertEqual(port.counted(), {"tls_handshakes": 1})

    def test_halfClose(self) -> None:
        """
        After close_notify of one side the other side still talks, in both directions.
        """
        port, client, protocol = self.open()
        protocol.transport.loseWriteConnection()
        self.assertEqual(port.receive(client), b"")
        client.send(b"still here")
        port.until(lambda: protocol.data)
        self.assertEqual(protocol.data, b"still here")

        port, client, protocol = self.open()
        self._notify(client)
        port.until(lambda: protocol.read_ended)
        self.assertIsNone(protocol.lost)
        protocol.transport.write(b"an answer")
        protocol.transport.loseConnection()
        raw = self._raw(client)
        port.until(lambda: protocol.lost)
        self.assertTrue(protocol.lost and protocol.lost.check(ConnectionDone))
        self.assertGreater(len(port.receive(raw)), len("an answer") + 20)
        self.assertEqual(port.counted(), {"tls_handshakes": 1})

    def test_endIsAnswered(self) -> None:
        """
        A protocol that does not care for half-closed connections: close_notify is answered.
        """
        port, client, protocol = self.open()
        protocol.readConnectionLost = (  # type: ignore[method-assign]
            lambda: protocol.transport.connectionLost(_DONE)
        )
        self._notify(client)
        port.until(lambda: protocol.lost)
        client.settimeout(5)
        self.assertIsInstance(client.unwrap(), socket.socket)

    def test_cut(self) -> None:
        """
        An end without close_notify, a reset and nonsense are losses, and told apart.
        """
        for end, counter in (
            (lambda raw: raw.shutdown(socket.SHUT_WR), "tls_truncated"),
            (lambda raw: self._reset(raw), "tls_reset"),
            (lambda raw: raw.send(b"nonsense that is no record"), "tls_broken"),
            (lambda raw: raw.send(b"\x17\3\3\0\x20" + bytes(32)), "tls_broken"),
        ):
            port, client, protocol = self.open()
            end(self._raw(client))
            port.until(lambda: protocol.lost)  # noqa: B023
            self.assertTrue(protocol.lost and protocol.lost.check(ConnectionLost))
            self.assertFalse(protocol.read_ended)
            self.assertEqual(port.counted(), {"tls_handshakes": 1, counter: 1})

    def test_resetWhileWeTalk(self) -> None:
        """
        A client that resets while bytes for it are queued, or while nothing is read.
        """
        for paused in (False, True):
            port, client, protocol = self.open()
            if paused:
                protocol.transport.pauseProducing()
            protocol.transport.write(pattern(5_000_000))
            self._reset(self._raw(client))
            port.until(lambda: protocol.lost)  # noqa: B023
            self.assertTrue(protocol.lost and protocol.lost.check(ConnectionLost))
            self.assertEqual(port.counted(), {"tls_handshakes": 1, "tls_reset": 1})

    def test_eagerWriteFails(self) -> None:
        """
        A write that fails at once does not end the connection within the write.
        """
        port, client, protocol = self.open()
        self._reset(self._raw(client))
        protocol.transport.write(b"to nobody")
        protocol.transport.write(b"to nobody")
        self.assertIsNone(protocol.lost)
        port.until(lambda: protocol.lost)
        self.assertEqual(port.counted(), {"tls_handshakes": 1, "tls_reset": 1})

    def test_noRoomForTheEnd(self) -> None:
        """
        When the client reads nothing, close_notify waits for room like everything else.
        """
        for end in ("loseConnection", "loseWriteConnection"):
            port, client, protocol = self.open()
            transport = protocol.transport
            sent = 0
            # fill the kernel's buffers to the last byte, then nothing is queued here
            while transport.unsent == 0:
                transport.write(b"x" * 1000)
                sent += 1000
            getattr(transport, end)()
            port.turning.turn(5, 0.001)
            self.assertIsNone(protocol.lost)
            got = 0
            while more := port.receive(client):
                got += len(more)
            self.assertEqual(got, sent)

    def test_descriptorIsFree(self) -> None:
        """
        After the end nothing of us can reach the descriptor, which may be another's.
        """
        port, client, protocol = self.open()
        transport = protocol.transport
        client.close()
        port.until(lambda: protocol.lost)
        self.assertFalse(hasattr(transport, "_session"))
        transport.write(b"late")
        transport.loseConnection()
        transport.connectionLost(_DONE)

    def test_flood(self) -> None:
        """
        So many key updates or alerts in a second, and the connection is shut.
        """
        port, client, protocol = self.open()
        for _ in range(MAX_EVENTS - 1):
            protocol.transport.event()
        port.turning.turn(2)
        self.assertIsNone(protocol.lost)
        protocol.transport.event()
        port.until(lambda: protocol.lost)
        self.assertEqual(port.counted(), {"tls_handshakes": 1, "tls_flood": 1})

    def test_renegotiation(self) -> None:
        """
        TLS 1.2 clients cannot have the handshake done again; those who insist are shut out.
        """
        port = Port(self)
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        client = SSL.Connection(context, port.connect())
        client.set_tlsext_host_name(b"a.example")
        client.set_connect_state()

        def through() -> bool:
            try:
                client.do_handshake()
            except SSL.WantReadError:
                return False
            return True

        port.until(through)
        port.until(lambda: port.protocols)
        refused = 0
        while not port.protocols[0].lost and refused < 10 * MAX_EVENTS:
            refused += 1
            client.renegotiate()
            try:
                client.do_handshake()
            except SSL.Error:
                pass
            port.turning.turn(2)
            try:
                client.recv(100)
            except SSL.Error:
                pass
        self.assertIsNotNone(port.protocols[0].lost)
        self.assertEqual(port.protocols[0].data, b"")
        self.assertEqual(port.counters["tls_handshakes"], 1)

    def _notify(self, client: ssl.SSLSocket) -> None:
        # sends close_notify, then would wait for the answer
        self.assertRaises(ssl.SSLWantReadError, client.unwrap)

    def _raw(self, client: ssl.SSLSocket) -> socket.socket:
        raw = socket.socket(fileno=client.detach())
        self.addCleanup(raw.close)
        return raw

    def _reset(self, raw: socket.socket) -> None:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raw.close()


_RING = make_ring(DEFAULT, 1)
_DONE = Failure(CONNECTION_DONE)

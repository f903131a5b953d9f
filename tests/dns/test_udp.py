"""
Tests for `hostedge.dns.udp`.
"""

from __future__ import annotations

import os
import select
import signal
import socket

from twisted.trial.unittest import SynchronousTestCase

from hostedge.dns.udp import UdpReader
from hostedge.net.datagram import PLACES, SIZE, Batch
from hostedge.net.listener import Listener, bind
from hostedge.net.reactor import EdgeReactor
from hostedge.observe.counters import make_counters


def respond(packet: bytes, client: bytes) -> bytes | None:
    """Say who asked what; nothing to `silence`, and `bug` finds one."""
    if packet == b"silence":
        return None
    if packet == b"bug":
        raise ZeroDivisionError
    return packet + b" from " + socket.inet_ntop(FAMILIES[len(client)], client).encode()


FAMILIES = {4: socket.AF_INET, 16: socket.AF_INET6}


class Case(SynchronousTestCase):
    """A real socket, one turn of a reactor at a time."""

    address = "127.0.0.1"
    bound = "127.0.0.1:0"
    family = socket.AF_INET

    def setUp(self) -> None:
        self.listener = bind("dns-udp", self.bound, "test")
        self.addCleanup(self.listener.socket.close)
        self.counters = make_counters()
        self.reactor, self.reader = self.edge()
        self.client = socket.socket(self.family, socket.SOCK_DGRAM)
        self.addCleanup(self.client.close)
        self.client.settimeout(5)
        self.client.connect(self.listener.socket.getsockname())

    def edge(self) -> tuple[EdgeReactor, UdpReader]:
        reactor = EdgeReactor()
        self.addCleanup(reactor._poller.close)
        batch = Batch(self.family)
        reader = UdpReader(reactor, self.listener, batch, respond, self.counters)
        reader.start()
        return reactor, reader

    def turn(self) -> None:
        self.reactor.runUntilCurrent()
        self.reactor.doIteration(0)


class SharedTests(Case):
    """What does not depend on the family."""

    def test_lostAnswers(self) -> None:
        """
        An answer that the kernel does not take is counted, and the others are sent.
        """
        try:
            raw = socket.socket(self.family, socket.SOCK_RAW, socket.IPPROTO_UDP)
        except PermissionError:
            self.skipTest("only root can send from port 0")
        self.addCleanup(raw.close)
        port = self.listener.socket.getsockname()[1]
        # from port 0, without a checksum
        header = b"\0\0" + port.to_bytes(2, "big") + (8 + 3).to_bytes(2, "big") + b"\0\0"
        self.client.send(b"a")
        raw.sendto(header + b"bad", (self.address, 0))
        self.client.send(b"b")
        self.turn()
        self.assertEqual([self.client.recv(99)[:1] for _ in range(2)], [b"a", b"b"])
        self.assertEqual(self.counters["dns_udp_lost"], 1)


class UdpReaderTests(Case):
    """What an edge reads, it answers."""

    def test_answers(self) -> None:
        """
        All that has come is answered in one turn, each its own, from the address that was asked.
        """
        for number in range(5):
            self.client.send(b"%d" % number)
        self.turn()
        wanted = [b"%d from %s" % (n, self.address.encode()) for n in range(5)]
        # a connected socket takes nothing from any other address
        self.assertEqual([self.client.recv(99) for _ in range(5)], wanted)

    def test_noAnswer(self) -> None:
        """
        A question that gets no answer, or a bug, costs no other question its answer.
        """
        for packet in (b"silence", b"a", b"bug", b"silence", b"b", b"c", b"bug"):
            self.client.send(packet)
        self.turn()
        self.assertEqual([self.client.recv(99)[:1] for _ in range(3)], [b"a", b"b", b"c"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)
        self.assertEqual(self.counters["dns_failed"], 2)

    def test_oversized(self) -> None:
        """
        What is longer than any question is dropped and counted; an empty datagram is a question.
        """
        for packet in (b"x" * (SIZE + 1), b"x" * 60_000, b"", b"last"):
            self.client.send(packet)
        self.turn()
        self.assertEqual([self.client.recv(99)[:4] for _ in range(2)], [b" fro", b"last"])
        self.assertEqual(self.counters["dns_udp_oversized"], 2)

    def test_othersHaveTheirTurn(self) -> None:
        """
        More than a batch is dealt with in more than one turn.
        """
        for _ in range(PLACES + 1):
            self.client.send(b"a")
        self.turn()
        for _ in range(PLACES):
            self.client.recv(99)
        self.assertEqual(select.select([self.client], [], [], 0)[0], [])
        self.turn()
        self.client.recv(99)

    def test_errorOnTheSocket(self) -> None:
        """
        An error that is noted on the socket does not end it.
        """
        nobody = socket.socket(self.family, socket.SOCK_DGRAM)
        nobody.bind((self.address, 0))
        gone = nobody.getsockname()
        nobody.close()
        ours = self.listener.socket
        # a connected socket is told that nobody is there
        ours.connect(gone)
        ours.send(b"x")
        self.turn()
        ours.connect(self.client.getsockname())
        self.client.send(b"a")
        self.turn()
        self.turn()
        self.assertEqual(self.client.recv(99)[:1], b"a")

    def test_stops(self) -> None:
        """
        Whoever has stopped reads no more, and leaves the socket to the others.
        """
        self.reader.stop()
        self.client.send(b"a")
        self.turn()
        self.assertEqual(select.select([self.client], [], [], 0)[0], [])
        other, _ = self.edge()
        other.doIteration(0)
        self.assertEqual(self.client.recv(99)[:1], b"a")

    def test_stopsBetweenErrorAndNext(self) -> None:
        """
        Whoever stops while an error is being dealt with does not begin again.
        """
        self.reactor.removeReader(self.reader)
        self.reader.connectionLost(None)
        self.reader.stop()
        self.turn()
        self.assertNotIn(self.reader, self.reactor.getReaders())


class UdpReaderTests6(UdpReaderTests):
    """The same over IPv6."""

    address = "::1"
    bound = "[::1]:0"
    family = socket.AF_INET6


class StoppedEdgeTests(SynchronousTestCase):
    """Edges that are processes."""

    def test_stoppedEdge(self) -> None:
        """
        An edge that is stopped swallows nothing: the others answer every question.
        """
        listener = bind("dns-udp", "127.0.0.1:0", "test")
        self.addCleanup(listener.socket.close)
        pids = [self.fork(listener) for _ in range(2)]
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.addCleanup(client.close)
        client.settimeout(5)
        client.connect(listener.socket.getsockname())
        for pid in (None, *pids):
            if pid is not None:
                os.kill(pid, signal.SIGSTOP)
                os.waitpid(pid, os.WUNTRACED)
            for number in range(50):
                client.send(b"%d" % number)
                self.assertEqual(client.recv(99), b"%d from 127.0.0.1" % number)
            if pid is not None:
                os.kill(pid, signal.SIGCONT)

    def fork(self, listener: Listener) -> int:
        """One more process that reads from the listener."""
        pid = os.fork()
        if pid:
            self.addCleanup(os.waitpid, pid, 0)
            self.addCleanup(os.kill, pid, signal.SIGKILL)
            return pid
        try:
            reactor = EdgeReactor()
            UdpReader(reactor, listener, Batch(socket.AF_INET), respond, make_counters()).start()
            while True:
                reactor.doIteration(60)
        finally:
            os._exit(1)

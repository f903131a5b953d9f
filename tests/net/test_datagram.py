"""
Tests for `hostedge.net.datagram`.
"""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from hostedge.net.datagram import PLACES, SIZE, Batch

LOOPBACK = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


class BatchTests(SynchronousTestCase):
    """Real sockets on the loopback."""

    family = socket.AF_INET

    def setUp(self) -> None:
        self.batch = Batch(self.family)
        self.ours = self.bound()

    def bound(self) -> socket.socket:
        opened = socket.socket(self.family, socket.SOCK_DGRAM)
        self.addCleanup(opened.close)
        opened.settimeout(5)
        try:
            opened.bind((LOOPBACK[self.family], 0))
        except OSError as error:
            self.skipTest(str(error))
        return opened

    def receive(self) -> list[tuple[bytes, str]]:
        """What has come, and from which host."""
        batch = self.batch
        found = []
        for place, length in enumerate(batch.receive(self.ours.fileno())):
            host = place * batch.name_size + batch.host_at
            packed = batch.names[host : host + batch.host_size]
            start = place * SIZE
            arrived = batch.arrived[start : start + min(length, SIZE)]
            found.append((arrived, socket.inet_ntop(self.family, packed)))
        return found

    def answer(self, place: int, answer: bytes) -> None:
        self.batch.sizes[place] = len(answer)
        self.batch.leaving[place * SIZE : place * SIZE + len(answer)] = answer

    def test_readsAndAnswers(self) -> None:
        """
        Each answer goes to whoever sent what is in its place, zero bytes among it or not.
        """
        clients = [self.bound() for _ in range(3)]
        for number, client in enumerate(clients):
            client.sendto(b"ask\0%d" % number, self.ours.getsockname())
        host = LOOPBACK[self.family]
        self.assertEqual(self.receive(), [(b"ask\0%d" % n, host) for n in range(3)])
        for place in range(3):
            self.answer(place, b"answer\0" * place + b"%d" % place)
        self.assertEqual(self.batch.send(self.ours.fileno(), 0, 3), 0)
        answers = [client.recvfrom(SIZE) for client in clients]
        own = self.ours.getsockname()
        self.assertEqual(answers, [(b"answer\0" * n + b"%d" % n, own) for n in range(3)])

    def test_nothingThere(self) -> None:
        """
        A socket without datagrams gives none, and does not wait.
        """
        self.assertEqual(self.receive(), [])

    def test_noMoreThanABatch(self) -> None:
        """
        What does not fit into a batch is there for the next one.
        """
        client = self.bound()
        for _ in range(PLACES + 3):
            client.sendto(b"ask", self.ours.getsockname())
        self.assertEqual([len(self.receive()), len(self.receive())], [PLACES, 3])

    def test_tooLong(self) -> None:
        """
        Of a datagram that is too long the length is told, and none of it lies in the next place.
        """
        client = self.bound()
        client.sendto(b"x" * (SIZE + 1), self.ours.getsockname())
        client.sendto(b"y" * SIZE, self.ours.getsockname())
        client.sendto(b"", self.ours.getsockname())
        lengths = self.batch.receive(self.ours.fileno())
        self.assertEqual(lengths, [SIZE + 1, SIZE, 0])
        self.assertEqual(self.batch.arrived[SIZE : 2 * SIZE], b"y" * SIZE)

    def test_lostAnswers(self) -> None:
        """
        An answer that the kernel refuses is counted; those before and after it are sent.
        """
        client = self.bound()
        for number in range(4):
            client.sendto(b"%d" % number, self.ours.getsockname())
        self.receive()
        for place in range(4):
            self.answer(place, b"%d" % place)
        # nobody can be reached at port 0
        names = memoryview(self.batch.names).cast("B")
        for place in (1, 2):
            port = place * self.batch.name_size + 2
            names[port : port + 2] = b"\0\0"
        self.assertEqual(self.batch.send(self.ours.fileno(), 0, 4), 2)
        self.assertEqual([client.recv(9) for _ in range(2)], [b"0", b"3"])

    def test_fullBuffer(self) -> None:
        """
        When the kernel has no room, the rest of the batch is lost at once.
        """
        ours, client = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(ours.close)
        self.addCleanup(client.close)
        ours.setblocking(False)
        with self.assertRaises(BlockingIOError):
            while True:
                ours.send(b"x")
        batch = self.batch
        for message in batch._departures:
            # a connected peer
            message.header.name = None
            message.header.name_size = 0
        self.assertEqual(batch.send(ours.fileno(), 0, 5), 5)


class BatchTests6(BatchTests):
    """The same over IPv6."""

    family = socket.AF_INET6

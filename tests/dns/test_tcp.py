"""
Tests for `hostedge.dns.tcp`.
"""

from __future__ import annotations

import socket

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.dns.tcp import READ, DnsStreams
from hostedge.http.wheel import GRAIN, Wheel
from hostedge.net.reactor import EdgeReactor
from hostedge.observe.counters import make_counters

IDLE = 10.0
LIMIT = 3
LARGE = b"x" * 60_000


def respond(packet: bytes, client: bytes) -> bytes | None:
    """Say who asked what; nothing to `silence`, much to `large`; `bug` finds one."""
    if packet == b"silence":
        return None
    if packet == b"bug":
        raise ZeroDivisionError
    if packet == b"large":
        return LARGE
    if packet.startswith(b"echo"):
        return packet
    return packet + b" from " + socket.inet_ntop(socket.AF_INET, client).encode()


def framed(*messages: bytes) -> bytes:
    return b"".join(len(each).to_bytes(2, "big") + each for each in messages)


def unframed(data: bytes) -> list[bytes]:
    messages = []
    while data:
        end = 2 + int.from_bytes(data[:2], "big")
        messages.append(data[2:end])
        data = data[end:]
    return messages


class DnsStreamTests(SynchronousTestCase):
    """Real connections, one turn of a reactor at a time, and a clock of the test's."""

    def setUp(self) -> None:
        self.reactor = EdgeReactor()
        self.addCleanup(self.reactor._poller.close)
        self.clock = Clock()
        self.counters = make_counters()
        self.open = 0
        self.streams = DnsStreams(
            self.reactor,
            respond,
            Wheel(self.clock, self.clock.seconds),
            self.counters,
            IDLE,
            LIMIT,
            self.closed,
        )
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.listening.close)
        self.addCleanup(self.end)

    def closed(self) -> None:
        self.open -= 1

    def end(self) -> None:
        self.streams.end()
        self.turn(3)
        self.assertEqual(self.open, 0)

    def connect(self) -> socket.socket:
        client = socket.create_connection(self.listening.getsockname())
        self.addCleanup(client.close)
        client.setblocking(False)
        connected, address = self.listening.accept()
        connected.setblocking(False)
        self.open += 1
        self.streams.accept(connected, address)
        return client

    def turn(self, times: int = 1) -> None:
        for _ in range(times):
            self.reactor.runUntilCurrent()
            self.reactor.doIteration(0)

    def wait(self, seconds: float) -> None:
        """Let time pass, for the wheel and then for the reactor."""
        for _ in range(int(seconds / GRAIN)):
            self.clock.advance(GRAIN)
        self.turn(2)

    def read(self, client: socket.socket) -> bytes | None:
        """What is there; None: the connection has ended, and not with a reset."""
        data = b""
        while True:
            try:
                piece = client.recv(1 << 20)
            except BlockingIOError:
                return data
            if not piece:
                return data or None
            data += piece

    def read_all(self, client: socket.socket, size: int) -> bytes:
        data = b""
        for _ in range(10_000):
            data += self.read(client) or b""
            if len(data) >= size:
                return data
            self.turn()
        self.fail(f"only {len(data)} of {size} bytes came")

    def is_reset(self, client: socket.socket) -> bool:
        try:
            self.read(client)
        except ConnectionResetError:
            return True
        return False

    # messages

    def test_everySplit(self) -> None:
        """
        However a client's bytes are cut, each message is answered once, and in order.
        """
        asked = framed(b"one", b"", b"silence", b"two")
        wanted = [b"one from 127.0.0.1", b" from 127.0.0.1", b"two from 127.0.0.1"]
        for cut in range(len(asked) + 1):
            client = self.connect()
            for piece in (asked[:cut], asked[cut:]):
                if piece:
                    client.send(piece)
                    self.turn()
            self.assertEqual(unframed(self.read(client) or b""), wanted, cut)
            client.close()
            self.turn()

    def test_pipelined(self) -> None:
        """
        Far more questions than are read in one turn are all answered in order.
        """
        client = self.connect()
        asked = [b"%d" % number for number in range(3000)]
        data = framed(*asked)
        self.assertGreater(len(data), 3 * READ)
        wanted = [each + b" from 127.0.0.1" for each in asked]
        client.sendall(data)
        answers = self.read_all(client, len(framed(*wanted)))
        self.assertEqual(unframed(answers), wanted)

    def test_longest(self) -> None:
        """
        A message of the greatest length is one, and so is its answer.
        """
        client = self.connect()
        message = b"echo" + b"y" * 65_531
        client.setblocking(True)
        client.sendall(framed(message, b"a"))
        client.setblocking(False)
        answers = self.read_all(client, len(framed(message, b"a from 127.0.0.1")))
        self.assertEqual(unframed(answers), [message, b"a from 127.0.0.1"])

    def test_bugCostsOneAnswer(self) -> None:
        """
        A question that finds a bug gets no answer; the next one does.
        """
        client = self.connect()
        client.send(framed(b"bug", b"a"))
        self.turn()
        self.assertEqual(unframed(self.read(client) or b""), [b"a from 127.0.0.1"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.counters["dns_failed"], 1)

    # clients that do not read

    def test_unreadAnswers(self) -> None:
        """
        A client that leaves its answers unread is not read from, and loses no answer.
        """
        client = self.connect()
        count = 200
        client.send(framed(*[b"large"] * count))
        self.turn(20)
        stream = next(iter(self.streams._connections))
        held = stream.transport.unsent
        self.assertGreater(held, 0)
        self.assertLess(held, 3 * len(LARGE))
        client.setblocking(True)
        client.settimeout(0.2)
        with self.assertRaises(TimeoutError):
            while True:
                client.sendall(framed(b"silence") * 100)
                self.turn()
        client.setblocking(False)
        answers = unframed(self.read_all(client, count * (2 + len(LARGE))))
        self.assertEqual(set(answers), {LARGE})
        self.assertEqual(len(answers), count)

    def test_stalled(self) -> None:
        """
        A client that reads none of its answers for too long is reset.
        """
        client = self.connect()
        client.send(framed(*[b"large"] * 200))
        self.turn(20)
        self.wait(IDLE - 2 * GRAIN)
        self.assertEqual(self.open, 1)
        self.wait(5 * GRAIN)
        self.assertEqual(self.open, 0)
        self.assertTrue(self.is_reset(client))
        self.assertEqual(self.counters["dns_tcp_stalled"], 1)

    # time

    def test_idle(self) -> None:
        """
        A client that asks nothing is ended; each answer begins the time anew, mere bytes do not.
        """
        silent, asks, dribbles = self.connect(), self.connect(), self.connect()
        for _ in range(2):
            self.wait(IDLE - 2)
            asks.send(framed(b"a"))
            dribbles.send(b"\0")
            self.turn()
        self.assertEqual(self.open, 1)
        self.assertEqual(unframed(self.read(asks) or b""), [b"a from 127.0.0.1"] * 2)
        self.assertIsNone(self.read(silent))
        self.wait(IDLE + 2)
        self.assertIsNone(self.read(asks))
        self.assertEqual((self.open, self.counters["dns_tcp_stalled"]), (0, 0))

    def test_halfClosed(self) -> None:
        """
        A client that has ended its side is still sent all that it asked for.
        """
        client = self.connect()
        count = 100
        client.send(framed(*[b"large"] * count))
        client.shutdown(socket.SHUT_WR)
        answers = unframed(self.read_all(client, count * (2 + len(LARGE))))
        self.assertEqual(len(answers), count)
        self.turn(3)
        self.assertIsNone(self.read(client))
        self.assertEqual(self.open, 0)

    # places

    def test_makesRoom(self) -> None:
        """
        Beyond the limit the one that has asked nothing for longest makes room.
        """
        first, second, third = (self.connect() for _ in range(LIMIT))
        first.send(framed(b"a"))
        self.turn()
        self.connect()
        self.turn(2)
        self.assertEqual(self.open, LIMIT)
        self.assertIsNone(self.read(second))
        self.assertEqual(self.read(third), b"")
        self.assertEqual(unframed(self.read(first) or b""), [b"a from 127.0.0.1"])
        self.assertEqual(self.counters["dns_tcp_displaced"], 1)
        self.assertEqual(self.counters["dns_tcp_connections"], LIMIT + 1)

    def test_makesRoomAtOnce(self) -> None:
        """
        Many that come in one turn leave no more than the limit, unread answers or not.
        """
        for client in [self.connect() for _ in range(LIMIT)]:
            client.send(framed(*[b"large"] * 200))
        self.turn(20)
        for _ in range(2 * LIMIT):
            self.connect()
        self.turn(2)
        self.assertEqual(self.open, LIMIT)

    # the end

    def test_drain(self) -> None:
        """
        Whoever drains hears it when every client has its answers, and those on their way.
        """
        idle, reads = self.connect(), self.connect()
        reads.send(framed(*[b"large"] * 100))
        self.turn(20)
        drained: list[object] = []
        done: Deferred[None] = self.streams.drain()
        done.addCallback(drained.append)
        idle.send(framed(b"late"))
        self.turn()
        self.assertEqual(unframed(self.read(idle) or b""), [b"late from 127.0.0.1"])
        self.wait(2 * GRAIN)
        self.assertIsNone(self.read(idle))
        self.assertEqual(drained, [])
        answers = self.read_all(reads, 100 * (2 + len(LARGE)))
        self.assertEqual(len(unframed(answers)), 100)
        self.wait(2 * GRAIN)
        self.assertIsNone(self.read(reads))
        self.assertEqual(drained, [None])

    def test_drainReadsOn(self) -> None:
        """
        Questions that wait in the kernel when a drain begins are answered, whatever their number
        and their answers' size.
        """
        client = self.connect()
        self.streams.drain()
        client.send(framed(*[b"large"] * 400, *[b"a"] * 2000))
        self.turn(20)
        self.wait(2 * GRAIN)
        wanted = 400 * (2 + len(LARGE)) + len(framed(*[b"a from 127.0.0.1"] * 2000))
        self.assertEqual(len(unframed(self.read_all(client, wanted))), 2400)
        self.wait(2 * GRAIN)
        self.assertIsNone(self.read(client))

    def test_drainOfNothing(self) -> None:
        """
        Without connections the drain is over at once.
        """
        self.assertTrue(self.streams.drain().called)

    def test_drainsNoOneWhoDoesNotRead(self) -> None:
        """
        A client that does not read its answers keeps a drain waiting no longer than others.
        """
        client = self.connect()
        client.send(framed(*[b"large"] * 200))
        self.turn(20)
        done = self.streams.drain()
        self.wait(2 * IDLE + 4)
        self.assertTrue(done.called)
        self.assertTrue(self.is_reset(client))

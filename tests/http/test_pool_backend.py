"""Servers in turns."""

from __future__ import annotations

import resource
import socket

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from hostedge.balance.retry import MAX_ATTEMPTS
from hostedge.http.pool_backend import REST, PoolBackend
from hostedge.http.relay import Relay
from hostedge.model.site import Pool, Server
from tests.http.network import Network, PlayedApp, make_means
from tests.http.parts import ClientEnd, Scene, split_answers

GET = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class PoolTests(SynchronousTestCase):
    """A pool of played servers."""

    def build(
        self, servers: int, maxconn: int = 1, queue: int = 2, proxy_protocol: str = "off"
    ) -> None:
        self.network = Network()
        self.means = make_means(self.network)
        self.servers = [PlayedApp() for _ in range(servers)]
        for server in self.servers:
            self.addCleanup(server.close)
        pool = Pool("p", tuple(Server(s.address) for s in self.servers), maxconn, queue)
        pool = evolve(pool, proxy_protocol=proxy_protocol)
        self.backend = PoolBackend("demo/p", pool, self.means)
        self.relay = Relay(
            self.backend, "stream", self.means.limits, self.means.counters, self.means.disk
        )
        self.scene = Scene(lambda exchange: self.relay)
        self.scene.entrance.wheel = self.means.wheel
        self.addCleanup(self.backend.cut, "suspended")

    def ask(self) -> ClientEnd:
        protocol, client = self.scene.connect()
        protocol.dataReceived(GET)
        return client

    def reason(self, client: ClientEnd) -> tuple[int, bytes]:
        status, fields, _ = split_answers(client.value())[0]
        return status, fields.get(b"x-hostedge-reason", b"")

    def test_inTurns(self) -> None:
        """Each server gets its share, none more than it may; the others wait."""
        self.build(2)
        clients = [self.ask() for _ in range(4)]
        for server in self.servers:
            server.accept().sendall(OK)
            self.assertTrue(server.nobody_waits)
        self.network.turn()
        for server in self.servers:
            server.accepted[0].sendall(OK)
        self.network.turn()
        self.assertEqual([self.reason(c)[0] for c in clients], [200] * 4)
        self.assertGreater(self.backend.tell()["queue_seconds"], 0)

    def test_full(self) -> None:
        """The line has an end, and patience too."""
        self.build(1)
        clients = [self.ask() for _ in range(4)]
        self.assertEqual(self.reason(clients[3]), (503, b"queue_full"))
        self.network.pass_time(self.means.limits.queue_timeout + 1)
        self.assertEqual(self.reason(clients[1]), (503, b"queue_timeout"))
        self.assertEqual(clients[0].value(), b"")

    def test_mappingsPatience(self) -> None:
        """Who comes later by an impatient mapping may have to go first."""
        self.build(1)
        self.ask()
        patient = self.ask()
        self.relay.limits = evolve(self.relay.limits, queue_timeout=5.0)
        self.network.pass_time(1)
        impatient = self.ask()
        self.network.pass_time(6)
        self.assertEqual(self.reason(impatient), (503, b"queue_timeout"))
        self.assertEqual(patient.value(), b"")
        self.network.pass_time(10)
        self.assertEqual(self.reason(patient), (503, b"queue_timeout"))

    def test_nextAfterRefusal(self) -> None:
        """A body that waited for a place, which was refused, does not hold up the next request."""
        self.build(1)
        for _ in range(3):
            self.ask()
        protocol, client = self.scene.connect()
        chunks = b"POST / HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
        protocol.dataReceived(chunks + GET)
        self.assertEqual([status for status, *_ in split_answers(client.value())], [503, 503])

    def test_fullBacklog(self) -> None:
        """Where no server has room in its backlog they are tried again, as long as for a place."""
        self.build(2, maxconn=9)
        for server in self.servers:
            for _ in range(50):
                one = socket.socket(socket.AF_UNIX)
                self.addCleanup(one.close)
                one.setblocking(False)
                one.connect_ex(server.path)
        client = self.ask()
        self.network.pass_time(3)
        self.assertEqual(client.value(), b"")
        self.assertLess(self.means.counters["upstream_connect_failed"], 80)
        while not self.servers[0].nobody_waits:
            self.servers[0].accept()
        self.network.pass_time(0.5)
        self.servers[0].accept().sendall(OK)
        self.network.turn()
        self.assertEqual(self.reason(client)[0], 200)
        while not self.servers[1].nobody_waits:
            self.servers[1].accept()
        self.assertEqual((self.backend.places.taken, self.backend.places.capacity), (0, 18))

    def test_noServerHasRoom(self) -> None:
        """In the end it is said that there is no room, and not that nobody is there."""
        self.build(1)
        for _ in range(50):
            one = socket.socket(socket.AF_UNIX)
            self.addCleanup(one.close)
            one.setblocking(False)
            one.connect_ex(self.servers[0].path)
        client = self.ask()
        self.network.pass_time(16)
        self.assertEqual(self.reason(client), (503, b"queue_full"))
        self.assertEqual(self.backend.places.taken, 0)

    def test_nextServer(self) -> None:
        """A server that refuses is passed over, and left alone for a while."""
        self.build(2, maxconn=9)
        self.servers[0].close()
        clients = [self.ask() for _ in range(3)]
        for _ in range(3):
            self.servers[1].accept().sendall(OK)
        self.network.turn()
        self.assertEqual([self.reason(c)[0] for c in clients], [200] * 3)
        self.assertEqual(self.means.counters["upstream_connect_failed"], 1)
        self.network.pass_time(REST + 1)
        self.ask()
        self.ask()
        self.assertEqual(self.means.counters["upstream_connect_failed"], 2)
        self.assertIn("resting", "".join(self.backend.explain()))

    def test_proxyProtocol(self) -> None:
        """Each request has a connection of its own, which begins with who the client is."""
        for version, header in (
            ("v1", b"PROXY TCP4 192.168.1.1 10.0.0.1 54321 12345\r\n"),
            ("v2", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\xa8\1\1\x0a\0\0\1\xd4\x31\x30\x39"),
        ):
            self.build(1, maxconn=9, proxy_protocol=version)
            for _ in range(2):
                client = self.ask()
                accepted = self.servers[0].accept()
                came = accepted.recv(65536)
                self.assertEqual(came[: came.index(b"GET")], header)
                accepted.sendall(OK)
                self.network.turn()
                self.assertEqual(self.reason(client)[0], 200)
                self.assertEqual(accepted.recv(1), b"")
            self.assertEqual(self.means.counters["upstream_reused"], 0)
            self.assertIn(version, "".join(self.backend.explain()))

    def test_noSocket(self) -> None:
        """Where we have no descriptor left, no server is to blame."""
        self.build(2)
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        protocol, client = self.scene.connect()
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        try:
            protocol.dataReceived(GET)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        self.assertEqual(self.reason(client), (503, b"descriptors"))
        self.assertNotIn("resting", "".join(self.backend.explain()))
        self.assertEqual(self.backend.places.taken, 0)
        again = self.ask()
        self.servers[1].accept().sendall(OK)
        self.network.turn()
        self.assertEqual(self.reason(again)[0], 200)

    def test_noServer(self) -> None:
        """None left, however many they were, or none at all: it is said when to come again."""
        for count in (1, 2, 3):
            self.build(count)
            for server in self.servers:
                server.close()
            for _ in range(2):
                client = self.ask()
                self.assertEqual(self.reason(client), (503, b"no_server"), count)
                self.assertIn(b"\r\nRetry-After: 5\r\n", client.value())
            self.assertEqual(self.backend.places.taken, 0)
        self.build(0)
        self.assertEqual(self.reason(self.ask()), (503, b"no_server"))

    def test_notAllTried(self) -> None:
        """Who has tried as often as one may, with servers left, is told what it was."""
        self.build(MAX_ATTEMPTS + 1)
        for server in self.servers:
            server.close()
        self.assertEqual(self.reason(self.ask()), (502, b"upstream_refused"))
        # the last one is tried, the others are known to rest
        self.assertEqual(self.reason(self.ask()), (503, b"no_server"))

    def test_knownRefusal(self) -> None:
        """Before a body is asked for it is known that the line is full, or that nobody is there."""
        self.build(1)
        for _ in range(3):
            self.assertIsNone(self.backend.refusal(30.0))
            self.ask()
        cause, retry = self.backend.refusal(30.0) or ("", None)
        self.assertEqual(cause, "queue_full")
        self.assertIn(retry, range(1, 6))
        self.build(0)
        self.assertEqual(self.backend.refusal(30.0), ("no_server", 5.0))

    def test_told(self) -> None:
        """What has gone there, what came of it, and how its servers are."""
        self.build(2)
        self.ask()
        self.servers[0].accept().sendall(OK)
        self.network.turn()
        told = self.backend.tell()
        self.assertEqual((told["requests"], told["connects"], told["connections"]), (1, 1, 1))
        self.assertEqual((told["errors"], told["states"]), (0, {"up": 2, "resting": 0}))
        for server in self.servers:
            server.close()
        self.servers[0].accepted[0].close()
        self.network.turn()
        client = self.ask()
        self.assertEqual(self.reason(client)[0], 503)
        told = self.backend.tell()
        self.assertEqual((told["connect_errors"], told["ejections"], told["retries"]), (2, 2, 2))
        self.assertEqual((told["requests"], told["connections"]), (1, 0))
        self.assertEqual(told["states"], {"up": 0, "resting": 2})

    def test_errors(self) -> None:
        """An answer that is none is an error of whoever gave it, also one that breaks off."""
        self.build(1)
        for number, answer in enumerate((b"nonsense", OK[:-1]), 1):
            self.ask()
            server = self.servers[0].accept()
            server.sendall(answer)
            self.network.turn()
            server.close()
            self.network.turn()
            told = self.backend.tell()
            self.assertEqual((told["requests"], told["errors"]), (number, number))

"""One source among many: what it may hold of a node with two edges."""

from __future__ import annotations

import os
import select
import signal
import socket
import ssl

from twisted.trial.unittest import SynchronousTestCase

from tests.http.h2_parts import HELLO, frame
from tests.live.node import Node, wait_for

LIMIT = 6
SETTINGS = f"[limits]\nsource_connections = {LIMIT}\n"
BUSY = "[limits]\nsource_connections = 100\nsource_requests = 10\nsource_handshakes = 3\n"
PATIENCE = 10


class NodeTests(SynchronousTestCase):
    """A node with these settings, and clients at addresses of the loopback."""

    settings = ""

    def setUp(self) -> None:
        self.node = Node(settings=self.settings)
        self.addCleanup(self.node.stop)
        self.node.start()

    def connect(self, source: str, to: str = "http") -> socket.socket:
        connected = socket.create_connection(self.node.address(to), PATIENCE, (source, 0))
        self.addCleanup(connected.close)
        return connected

    def counted(self, name: str) -> int:
        edges = self.node.status()["edges"]
        return sum(edge.get("counters", {}).get(name, 0) for edge in edges)


class SourceTests(NodeTests):
    """Addresses of the loopback are sources like others."""

    settings = SETTINGS

    def is_served(self, connected: socket.socket) -> bool:
        """Whether it is taken in: a request is answered."""
        try:
            connected.sendall(b"GET / HTTP/1.1\r\nHost: nowhere.test\r\n\r\n")
            return connected.recv(65536).startswith(b"HTTP/1.1 404")
        except OSError:
            return False

    def test_limit(self) -> None:
        """What is too much for one source is closed and counted; others are served."""
        held = [
            each for each in (self.connect("127.0.0.1") for _ in range(20)) if self.is_served(each)
        ]
        self.assertEqual(len(held), LIMIT)
        self.assertEqual(self.counted("source_full"), 20 - LIMIT)
        for to in ("http", "https"):
            self.assertEqual(self.connect("127.0.0.1", to).recv(1), b"")
        self.assertTrue(self.is_served(self.connect("127.0.0.2")))
        held.pop().close()
        wait_for("there is room", lambda: self.is_served(self.connect("127.0.0.1")))

    def test_handshakes(self) -> None:
        """Connections count from their first byte on: also those that never speak TLS."""
        silent = [self.connect("127.0.0.3", "https") for _ in range(LIMIT)]
        wait_for(
            "they are taken in",
            lambda: sum(edge["connections"] for edge in self.node.status()["edges"]) == LIMIT,
        )
        self.assertEqual(self.connect("127.0.0.3", "https").recv(1), b"")
        self.assertFalse(self.is_served(self.connect("127.0.0.3")))
        for each in silent:
            each.close()
        wait_for("there is room", lambda: self.is_served(self.connect("127.0.0.3")))

    def test_edgeKilled(self) -> None:
        """What a dead edge held counts no more."""
        held = [self.connect("127.0.0.1") for _ in range(LIMIT)]
        self.assertTrue(all(map(self.is_served, held)))
        for pid in self.node.pids("edge"):
            os.kill(pid, signal.SIGKILL)
        wait_for("there is room", lambda: self.is_served(self.connect("127.0.0.1")))


class BusySourceTests(NodeTests):
    """One source asks for much at once; others do not notice."""

    settings = BUSY

    def test_requestsAtOnce(self) -> None:
        """What is too much is answered 429; when the others are over there is room again."""
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            pool = {"name": "slow", "servers": [{"address": f"127.0.0.1:{port}"}]}
            domain = {"name": "slow.test", "mappings": [{"path": "/", "pool": "slow"}]}
            self.node.apply({"account": "one", "pools": [pool], "domains": [domain]})
            asking = [self.connect("127.0.0.5") for _ in range(60)]
            for each in asking:
                each.sendall(b"GET / HTTP/1.1\r\nHost: slow.test\r\n\r\n")
            wait_for("some are refused", lambda: self.counted("refused_source_busy") >= 60 - 26)
            refused = [each for each in asking if is_readable(each)]
            self.assertIn(len(refused), range(60 - 26, 60 - 10 + 1))
            answer = refused[0].recv(65536)
            self.assertTrue(answer.startswith(b"HTTP/1.1 429 Too Many Requests"), answer)
            self.assertIn(b"Retry-After: 1", answer)
            other = self.connect("127.0.0.6")
            other.sendall(b"GET / HTTP/1.1\r\nHost: nowhere.test\r\n\r\n")
            self.assertTrue(other.recv(65536).startswith(b"HTTP/1.1 404"))
        for each in asking:
            each.close()

        def is_served() -> bool:
            with self.connect("127.0.0.5") as again:
                again.sendall(b"GET / HTTP/1.1\r\nHost: nowhere.test\r\n\r\n")
                return again.recv(65536).startswith(b"HTTP/1.1 404")

        wait_for("there is room", is_served)

    def test_handshakes(self) -> None:
        """What is too much ends before a ServerHello; others shake hands."""
        context = ssl.create_default_context(cafile=str(self.node.state / "control/ca.pem"))

        def shakes_hands(source: str) -> bool:
            with self.connect(source, "https") as plain:
                try:
                    with context.wrap_socket(plain, server_hostname="localhost"):
                        return True
                except OSError:
                    return False

        made = sum(shakes_hands("127.0.0.7") for _ in range(30))
        self.assertIn(made, range(10, 29))
        self.assertEqual(self.counted("tls_source_full"), 30 - made)
        self.assertTrue(shakes_hands("127.0.0.8"))
        wait_for("it has rested", lambda: shakes_hands("127.0.0.7"))

    def test_struck(self) -> None:
        """Whose connections were ended for floods begins few, on either edge; others as ever."""
        context = ssl.create_default_context(cafile=str(self.node.state / "control/ca.pem"))
        context.set_alpn_protocols(["h2"])

        def floods(source: str) -> bool:
            with self.connect(source, "https") as plain:
                try:
                    with context.wrap_socket(plain, server_hostname="localhost") as client:
                        client.sendall(HELLO + frame("PING", 0, 0, bytes(8)) * 100)
                        while client.recv(65536):
                            pass
                except OSError:
                    return False
            return True

        self.assertIn(sum(floods("127.0.0.9") for _ in range(20)), range(2, 12))
        self.assertGreater(self.counted("tls_struck"), 0)
        self.assertTrue(floods("127.0.0.10"))
        wait_for("it may again", lambda: floods("127.0.0.9"))


def is_readable(connected: socket.socket) -> bool:
    return bool(select.select([connected], [], [], 0)[0])

"""One source among many: what it may hold of a node with two edges."""

from __future__ import annotations

import os
import signal
import socket

from twisted.trial.unittest import SynchronousTestCase

from tests.live.node import Node, wait_for

LIMIT = 6
SETTINGS = f"[limits]\nsource_connections = {LIMIT}\n"
PATIENCE = 10


class SourceTests(SynchronousTestCase):
    """Addresses of the loopback are sources like others."""

    def setUp(self) -> None:
        self.node = Node(settings=SETTINGS)
        self.addCleanup(self.node.stop)
        self.node.start()

    def connect(self, source: str, to: str = "http") -> socket.socket:
        connected = socket.create_connection(self.node.address(to), PATIENCE, (source, 0))
        self.addCleanup(connected.close)
        return connected

    def is_served(self, connected: socket.socket) -> bool:
        """Whether it is taken in: a request is answered."""
        try:
            connected.sendall(b"GET / HTTP/1.1\r\nHost: nowhere.test\r\n\r\n")
            return connected.recv(65536).startswith(b"HTTP/1.1 404")
        except OSError:
            return False

    def counted(self, name: str) -> int:
        edges = self.node.status()["edges"]
        return sum(edge.get("counters", {}).get(name, 0) for edge in edges)

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

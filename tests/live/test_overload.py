"""An edge at its end: it lets go of what is idle, pauses, and refuses nobody."""

from __future__ import annotations

import select
import socket
import time

from twisted.trial.unittest import SynchronousTestCase

from tests.live.node import Node, wait_for

ROOM = 20
ASKED = b"GET / HTTP/1.1\r\nHost: nowhere.test\r\n\r\n"


class OverloadTests(SynchronousTestCase):
    """One edge with room for few connections."""

    def setUp(self) -> None:
        self.node = Node(edges=1, settings=f"[limits]\nconnections = {ROOM}\n")
        self.addCleanup(self.node.stop)
        self.node.start()

    def connect(self) -> socket.socket:
        connected = socket.create_connection(self.node.address("http"), 10)
        self.addCleanup(connected.close)
        return connected

    def step(self) -> str:
        return str(self.node.status()["edges"][0].get("step"))

    def test_idleMakesRoom(self) -> None:
        """Twice as many clients as there is room for: all are answered, nobody is reset."""
        first = [self.connect() for _ in range(ROOM)]
        for each in first:
            each.sendall(ASKED)
            self.assertTrue(each.recv(65536).startswith(b"HTTP/1.1 404"))
        wait_for("it accepts no more", lambda: self.step() == "pause")
        told = self.node.command("status").stdout
        self.assertIn("Edge 0 is hard pressed, connections at 100 % of what it can bear", told)
        began = time.monotonic()
        others = [self.connect() for _ in range(ROOM)]
        for each in others:
            each.sendall(ASKED)
        for each in others:
            # in their turn, as those that are idle end: long before their usual minute is over
            each.settimeout(20)
            self.assertTrue(each.recv(65536).startswith(b"HTTP/1.1 404"))
        self.assertLess(time.monotonic() - began, 30)
        ended = [each for each in first if select.select([each], [], [], 0)[0]]
        self.assertTrue(all(each.recv(1) == b"" for each in ended))
        for each in (*first, *others):
            each.close()
        wait_for("it is calm again", lambda: self.step() == "calm")
        counters = self.node.status()["edges"][0]["counters"]
        self.assertGreaterEqual(counters["accept_paused"], 1)
        self.assertGreaterEqual(counters["idle_shortened"], 1)

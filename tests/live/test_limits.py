"""Limits of a mapping's own, on a node of two edges."""

from __future__ import annotations

import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.node import Node, wait_for


class Server(BaseHTTPRequestHandler):
    """Says how much came, after the seconds in the path."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        size = len(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(float(self.path.rpartition("/")[2]))
        self.send_response(200)
        self.send_header("Content-Length", "8")
        self.end_headers()
        self.wfile.write(b"%08d" % size)

    def log_message(self, format: str, *args: object) -> None:
        pass


class LimitsTests(SynchronousTestCase):
    """One pool behind two mappings."""

    def setUp(self) -> None:
        server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
        Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.server = f"127.0.0.1:{server.server_port}"
        self.node = Node(settings="[limits]\nbody_size = 1000\n")
        self.addCleanup(self.node.stop)
        self.node.start()

    def apply(self, **limits: Any) -> None:
        mappings = [
            {"path": "/", "pool": "behind"},
            {"path": "/own", "pool": "behind", "limits": limits},
        ]
        self.node.apply(
            {
                "account": "demo",
                "pools": [{"name": "behind", "servers": [{"address": self.server}]}],
                "domains": [{"name": "a.localhost", "mappings": mappings}],
            }
        )

    def post(self, path: str, size: int) -> tuple[int, bytes]:
        connection = self.node.connection("a.localhost")
        self.addCleanup(connection.close)
        connection.request("POST", path, b"x" * size)
        answer = connection.getresponse()
        return answer.status, answer.read()

    def test_liveWhenApplyReturns(self) -> None:
        """Every edge goes by it at once, and for that mapping only."""
        for limits, most in (({}, 1000), ({"body_size": "4k"}, 4096), ({"body_size": 10}, 10)):
            self.apply(**limits)
            for _ in range(4):
                self.assertEqual(self.post("/own/0", most), (200, b"%08d" % most))
                self.assertEqual(self.post("/own/0", most + 1)[0], 413)
                self.assertEqual(self.post("/0", 1000)[0], 200)
                self.assertEqual(self.post("/0", 1001)[0], 413)

    def test_times(self) -> None:
        """A mapping is less patient with the same servers; the other one is not."""
        self.apply(response_timeout="0.5s")
        self.assertEqual(self.post("/own/3", 1)[0], 504)
        self.assertEqual(self.post("/3", 1), (200, b"00000001"))
        self.apply(request_timeout="0.5s")
        self.assertEqual(self.post("/own/3", 1)[0], 504)
        logged = wait_for(
            "three lines of the log",
            lambda: lines if len(lines := self.node.access_log()) == 3 else None,
        )
        self.assertEqual(
            [line.get("cause") for line in logged], ["response_timeout", None, "request_timeout"]
        )

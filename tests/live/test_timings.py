"""Where a request's time has gone, as the access log of a node tells it."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.node import Node, wait_for
from tests.live.test_node import hello_site

# one request at a time; what it takes is known
SLOW = """
import time

def app(environ, start_response):
    body = environ["wsgi.input"].read()
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.3)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % len(body)]
"""


class TimingsTests(SynchronousTestCase):
    """A node with an app that does one thing at a time."""

    def setUp(self) -> None:
        self.node = Node(edges=1)
        self.addCleanup(self.node.stop)
        self.node.start()
        self.node.write("one/hello.py", SLOW)
        self.node.apply(hello_site(processes=1, threads=1))

    def line(self, path: str, tls: bool = False) -> dict[str, Any]:
        self.assertEqual(self.node.get("one.localhost", path, tls=tls).status, 200)
        return self.logged(path)

    def logged(self, path: str) -> dict[str, Any]:
        lines = wait_for(
            "the line", lambda: [x for x in self.node.access_log() if x["path"] == path]
        )
        found: dict[str, Any] = lines[0]
        return found

    def test_start(self) -> None:
        """The first request waits for its app, and for nothing else; the next one does not."""
        first = self.line("/first", tls=True)
        times = first["seconds"]
        self.assertGreater(times["tls"], 0)
        self.assertGreater(times["start"], 0.05)
        self.assertLess(times.get("queue", 0.0), times["start"])
        self.assertGreater(times["first_byte"], 0)
        self.assertLessEqual(times["start"] + times["first_byte"], times["total"])
        self.assertEqual((first["attempts"], first["upstream"]), (1, "one/hello#1"))
        second = self.line("/second")["seconds"]
        self.assertFalse({"tls", "start"} & set(second), second)

    def test_slowApp(self) -> None:
        """What an app takes is in one value; who waits behind it is told so."""
        self.line("/")
        connections = [self.node.connection("one.localhost") for _ in range(2)]
        for number, connection in enumerate(connections):
            self.addCleanup(connection.close)
            connection.request("GET", "/slow" if not number else "/behind")
        for connection in connections:
            self.assertEqual(connection.getresponse().status, 200)
        slow, behind = self.logged("/slow")["seconds"], self.logged("/behind")["seconds"]
        self.assertGreaterEqual(slow["first_byte"], 0.3)
        self.assertGreater(behind["queue"], 0.1)
        self.assertNotIn("start", behind)

    def test_slowClient(self) -> None:
        """A head and a body that come in pieces, and how much came."""
        self.line("/")
        with self.node.connect() as client:
            client.sendall(b"POST /sent HTTP/1.1\r\nHost: one.loc")
            for _ in range(5):
                # each is a turn of the edge, or more: it has read what there is
                self.node.status()
            client.sendall(b"alhost\r\nConnection: close\r\nContent-Length: 10\r\n\r\n12345")
            wait_for("its head", lambda: self.node.status()["edges"][0]["in_flight"])
            client.sendall(b"67890")
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        self.assertRegex(answer, rb"\r\n10(\r\n0\r\n\r\n)?$")
        line = self.logged("/sent")
        self.assertEqual((line["received"], line["bytes"]), (10, 2))
        for part in ("header", "body"):
            self.assertGreater(line["seconds"][part], 0, part)

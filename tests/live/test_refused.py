"""A node that has refused requests, and what it says of them."""

from __future__ import annotations

import json
import socket
import subprocess
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.node import Node, wait_for

MALFORMED = (
    b"GET /secret HTTP/1.1\r\nHost: a.test\r\nCookie: session=QZJKVX\r\n"
    b"Authorization: Basic QZJKVX\r\nBad Field: x\r\n\r\n"
)


class RefusedTests(SynchronousTestCase):
    """One node with two edges."""

    def setUp(self) -> None:
        self.node = Node()
        self.addCleanup(self.node.stop)
        self.node.start()

    def send(self, request: bytes, name: str = "", tls: bool = False) -> bytes:
        with self.node.connect(name, tls) as client:
            client.sendall(request)
            return b"".join(iter(lambda: client.recv(65536), b""))

    def found(self, *words: str) -> list[dict[str, Any]]:
        answer = json.loads(self.node.command("refused", "--json", *words).stdout)
        refused: list[dict[str, Any]] = answer["refused"]
        return refused

    def test_malformed(self) -> None:
        """What was never parsed can be looked at, but for its secrets, by the page's error id."""
        answer = self.send(MALFORMED).decode()
        error_id = next(
            line for line in answer.splitlines() if line.startswith("X-Request-ID: ")
        ).removeprefix("X-Request-ID: ")
        (one,) = self.found("--cause", "bad_request")
        self.assertEqual((one["id"], one["client"], one["scheme"]), (error_id, "127.0.0.1", "http"))
        self.assertEqual(one["port"], self.node.address("http")[1])
        self.assertEqual(one["offset"], MALFORMED.index(b"Bad Field") + 3)
        self.assertNotIn("QZJKVX", json.dumps(one))
        shown = self.node.command("refused", error_id[-8:]).stdout
        self.assertIn(f"error id  {error_id}\n", shown)
        self.assertIn("Cookie: **************\\r\\n\n", shown)
        self.assertIn(f"^ byte {one['offset']}\n", shown)
        self.assertNotIn("QZJKVX", shown)
        self.assertIn("GET a.test/secret", self.node.command("refused").stdout)

    def test_ofAllEdges(self) -> None:
        """Whatever an edge has refused is in the list, by host and by cause."""
        for _ in range(6):
            self.assertEqual(self.node.get("nowhere.test").status, 404)
        found = wait_for("all of them", lambda: len(self.found("--site", "nowhere.test")) == 6)
        self.assertTrue(found)
        self.assertEqual(len(self.found("--site", "test", "--cause", "unknown_host")), 6)
        self.assertEqual(self.found("--site", "other.test"), [])
        times = [each["time"] for each in self.found()]
        self.assertEqual(times, sorted(times, reverse=True))

    def test_http2(self) -> None:
        """A head of HTTP/2 that breaks the rules is there as its fields."""
        self.node.apply({"account": "one", "domains": [{"name": "one.localhost"}]})
        self.ask_by_http2("one.localhost", "-X", "TRACE")
        (one,) = self.found("--cause", "method")
        self.assertEqual((one["protocol"], one["scheme"]), ("HTTP/2", "https"))
        self.assertIn(":method: TRACE\r\n", one["request"])

    def ask_by_http2(self, name: str, *words: str) -> None:
        host, port = self.node.address("https")
        resolve = f"{name}:{port}:{host}"
        command = [
            "curl",
            "-sk",
            "--http2",
            "--resolve",
            resolve,
            *words,
            f"https://{name}:{port}/",
        ]
        subprocess.run(command, capture_output=True, timeout=20, check=True)

    def test_plainHttp(self) -> None:
        """Who speaks plain HTTP to a port for HTTPS is kept as well."""
        host, port = self.node.address("https")
        with socket.create_connection((host, port), 10) as client:
            client.sendall(b"GET /plain HTTP/1.1\r\nHost: a.test\r\nCookie: x\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        self.assertIn(b" 400 ", answer)
        self.assertIn(b"use https://", answer)
        wait_for("the line", lambda: [x["path"] for x in self.node.access_log()] == ["/plain"])
        (one,) = self.found("--cause", "tls_plain")
        self.assertEqual((one["port"], one["protocol"], one["offset"]), (port, "HTTP/1.1", None))
        self.assertIn("Cookie: *\r\n", one["request"])
        shown = self.node.command("refused", one["id"]).stdout
        self.assertIn(
            "why       This port speaks HTTPS only: use https:// instead of http://.\n", shown
        )

    def test_slips(self) -> None:
        """A cause that there is not, and an id that nothing has, are told."""
        slip = self.node.command("refused", "--cause", "no_such")
        self.assertEqual((slip.returncode, slip.stdout), (1, ""))
        self.assertIn("cause: is not known here; known: bad_request", slip.stderr)
        none = self.node.command("refused", "no-such-id")
        self.assertEqual(none.returncode, 1)
        self.assertIn("no-such-id: is no error id of a request that is still kept", none.stderr)
        self.assertIn("Nothing of this kind", self.node.command("refused").stdout)

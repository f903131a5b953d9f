"""What a flood costs a whole node: lines of logs, descriptors, memory, disk; never an answer."""

from __future__ import annotations

import json
import os
import resource
import socket
import ssl
import time
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.h2_frame import GOAWAY, RST_STREAM, WINDOW_UPDATE
from tests.http.h2_parts import HELLO, asked, block, frame
from tests.live.node import PATIENCE, Node, wait_for

SITE = {
    "account": "one",
    "domains": [
        {
            "name": "one.test",
            "mappings": [{"path": "/", "static": "site"}, {"path": "/app", "app": "reader"}],
        }
    ],
    "apps": [{"name": "reader", "runtime": "wsgi", "module": "reader:app"}],
}
READER = """
def app(environ, start_response):
    size = len(environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d" % size]
"""
# what answers for the site fails from now on
BREAK = "object.__setattr__(hosts.lookup('one.test').leaf(b'/'), 'folder', None)"


def exactly(client: socket.socket, size: int) -> bytes:
    """So many bytes."""
    data = b""
    while len(data) < size:
        piece = client.recv(size - len(data))
        assert piece, "it has ended"
        data += piece
    return data


class FloodCase(SynchronousTestCase):
    """A node of one edge, with one small file."""

    settings = ""

    def setUp(self) -> None:
        self.node = Node(edges=1, settings=self.settings)
        self.addCleanup(self.node.stop)
        self.node.start()
        self.node.write("one/site/small.txt", "small")
        self.node.write("one/reader.py", READER)
        self.node.apply(SITE)

    def counted(self, name: str) -> int:
        return int(self.node.status()["edges"][0]["counters"].get(name, 0))

    def ask(self, count: int, path: str = "/small.txt") -> list[tuple[int, str]]:
        """So many requests on one connection: statuses, and why they were refused."""
        connection = self.node.connection("one.test")
        self.addCleanup(connection.close)
        told = []
        for _ in range(count):
            connection.request("GET", path)
            answer: HTTPResponse = connection.getresponse()
            answer.read()
            told.append((answer.status, answer.headers.get("X-Hostedge-Reason", "")))
        return told


class BodyTests(FloodCase):
    """Bodies that are sent, but for their end, and answers that are not read."""

    settings = "[limits]\nspool_total = 150000000\n"
    STREAMS, SIZE = 100, 1_000_000

    def dial(self, *frames: bytes) -> ssl.SSLSocket:
        context = self.node.tls_context()
        context.set_alpn_protocols(["h2"])
        raw = socket.create_connection(self.node.address("https"), PATIENCE)
        client = context.wrap_socket(raw, server_hostname="one.test")
        self.addCleanup(client.close)
        client.sendall(HELLO + b"".join(frames))
        return client

    def head(self, stream: int, method: str, path: str, flags: int) -> bytes:
        fields = dict(asked(method, path))
        fields[b":scheme"], fields[b":authority"] = b"https", b"one.test"
        return frame("HEADERS", flags, stream, block(list(fields.items())))

    def upload(self, client: ssl.SSLSocket, stream: int, windows: dict[int, int]) -> None:
        """All of a body but its end, as fast as windows open."""
        client.sendall(self.head(stream, "POST", "/app", 0x4))
        left = self.SIZE
        while left:
            while client.pending() or not min(windows[0], windows[stream]):
                head = exactly(client, 9)
                payload = exactly(client, int.from_bytes(head[:3]))
                self.assertNotIn(head[3], (RST_STREAM, GOAWAY), payload)
                if head[3] == WINDOW_UPDATE:
                    windows[int.from_bytes(head[5:])] += int.from_bytes(payload)
            size = min(windows[0], windows[stream], left, 16_384)
            client.sendall(frame("DATA", 0, stream, bytes(size)))
            windows[0] -= size
            windows[stream] -= size
            left -= size

    def memory(self) -> int:
        (edge,) = self.node.pids("edge")
        pages = int(Path(f"/proc/{edge}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def test_bodies(self) -> None:
        """
        A hundred bodies of a megabyte, held on one connection, are on the disk and not in memory;
        their files count among the edge's descriptors, and are gone with the connection.
        """
        self.assertEqual(self.node.get("one.test", "/app", tls=True).text, "0")
        client = self.dial()
        before, had = self.memory(), self.open_files()
        windows = dict.fromkeys(range(2 * self.STREAMS), 65_535)
        for number in range(self.STREAMS):
            self.upload(client, 2 * number + 1, windows)
        self.assertLess(self.memory() - before, 20_000_000)
        self.assertEqual(self.open_files(), had + self.STREAMS)
        client.close()
        wait_for("they are closed", lambda: self.open_files() == had)

    def open_files(self) -> int:
        """Spools and files that the edge counts."""
        told = self.node.command("manhole", "-c", "edge(0)('backends.means.disk.files.count')")
        return int(told.stdout)

    def test_answers(self) -> None:
        """A hundred answers that nobody reads cost little more than a few of them."""
        (self.node.home("one") / "site" / "page").write_bytes(bytes(60_000))
        shut = frame("SETTINGS", 0, 0, b"\0\4" + bytes(4))
        client = self.dial(shut, self.head(1, "GET", "/page", 0x5))
        wait_for("it is asked", lambda: self.counted("http_requests") >= 1)
        before = self.memory()
        asked = [self.head(2 * n + 1, "GET", "/page", 0x5) for n in range(1, self.STREAMS)]
        client.sendall(b"".join(asked))
        wait_for("all are asked", lambda: self.counted("http_requests") >= self.STREAMS)
        self.assertLess(self.memory() - before, 3_000_000)


class QuotaTests(FloodCase):
    """A disk of which bodies may have little."""

    settings = "[limits]\nspool_memory = 1000\nspool_total = 100000\n"

    def post(self, size: int) -> tuple[int, str]:
        connection = self.node.connection("one.test")
        try:
            connection.request("POST", "/app", body=bytes(size))
            answer = connection.getresponse()
            reason = answer.headers.get("X-Hostedge-Reason", "")
            return answer.status, reason or answer.read().decode()
        finally:
            connection.close()

    def test_quota(self) -> None:
        """What is more than all may have is refused; it is free again when that has ended."""
        self.assertEqual(self.post(90_000), (200, "90000"))
        for _ in range(3):
            self.assertEqual(self.post(110_000), (503, "spool_full"))
        self.assertEqual(self.post(90_000), (200, "90000"))
        self.assertEqual(self.counted("refused_spool_full"), 3)


class UnknownTests(FloodCase):
    """Names that nobody has."""

    def test_names(self) -> None:
        """A thousand are answered and counted; the log has a line a second, and the site's own."""
        connection = self.node.connection("one.test")
        self.addCleanup(connection.close)
        began = time.monotonic()
        for number in range(1000):
            connection.request("GET", "/", headers={"Host": f"x{number}.test"})
            answer = connection.getresponse()
            answer.read()
            self.assertEqual(answer.status, 404)
        seconds = time.monotonic() - began
        self.assertEqual(self.ask(5), [(200, "")] * 5)
        wait_for("all is written", lambda: len(self.node.access_log()) >= 6)
        lines = self.node.access_log()
        written = [line for line in lines if line.get("cause") == "unknown_host"]
        self.assertLessEqual(len(written), seconds + 2)
        self.assertEqual(len(lines) - len(written), 5)
        self.assertEqual(self.counted("access_log_omitted"), 1000 - len(written))
        self.assertEqual(self.counted("refused_unknown_host"), 1000)


class FailureTests(FloodCase):
    """Requests that fail for a reason of ours."""

    def test_failures(self) -> None:
        """Two hundred that raise: each is answered and counted, one traceback a second written."""
        self.assertEqual(self.ask(1), [(200, "")])
        done = self.node.command("manhole", "-c", f"edge(0)({BREAK!r})")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(self.ask(200), [(500, "internal")] * 200)
        self.assertEqual(self.counted("failures"), 200)
        log = (self.node.state / "log" / "edge.log").read_text()
        self.assertIn("AttributeError", log)
        self.assertLess(log.count("Traceback"), 10)

    def test_descriptors(self) -> None:
        """An edge that can open nothing more says so, for as long as that is so, without a line."""
        connection = self.node.connection("one.test")
        self.addCleanup(connection.close)
        (edge,) = self.node.pids("edge")
        before = resource.prlimit(edge, resource.RLIMIT_NOFILE)

        def get() -> tuple[int, str, str]:
            connection.request("GET", "/small.txt")
            answer = connection.getresponse()
            answer.read()
            told = answer.headers
            return answer.status, told.get("X-Hostedge-Reason", ""), told.get("Retry-After", "")

        self.assertEqual(get(), (200, "", ""))
        # of what is open already nothing ends, but no number is left below the limit
        numbers = {int(name) for name in os.listdir(f"/proc/{edge}/fd")}
        first_free = next(n for n in range(len(numbers) + 1) if n not in numbers)
        resource.prlimit(edge, resource.RLIMIT_NOFILE, (first_free, before[1]))
        for _ in range(50):
            self.assertEqual(get(), (503, "descriptors", "5"))
        resource.prlimit(edge, resource.RLIMIT_NOFILE, before)
        self.assertEqual(get(), (200, "", ""))
        self.assertEqual(self.counted("failures"), 0)
        self.assertNotIn("Traceback", (self.node.state / "log" / "edge.log").read_text())


class RateTests(SynchronousTestCase):
    """A site that wants to be asked so often, on two edges."""

    def setUp(self) -> None:
        self.node = Node(settings='[trust]\nproxies = ["127.0.0.9"]\n')
        self.addCleanup(self.node.stop)
        self.node.start()
        self.node.write("one/site/small.txt", "small")

    def site(self, **rate: object) -> None:
        mapping = {"path": "/", "static": "site"}
        domains = [
            {"name": "one.test", "aliases": ["www.one.test"], "mappings": [mapping], "rate": rate},
            {"name": "two.test", "mappings": [mapping]},
        ]
        self.node.apply({"account": "one", "domains": domains})

    def ask(self, count: int, name: str = "one.test", **fields: str) -> list[Any]:
        """So many requests, each on a connection of its own: both edges have some."""
        return [self.node.get(name, "/small.txt", headers=fields) for _ in range(count)]

    def test_rate(self) -> None:
        """What is more at once gets 429 and is told when to come; other sites are as ever."""
        self.site(requests=2, per="1m", burst=10)
        answers = self.ask(40)
        statuses = [each.status for each in answers]
        self.assertTrue(10 <= statuses.count(200) <= 15, statuses)
        self.assertEqual(statuses.count(429), 40 - statuses.count(200))
        told = answers[-1].headers
        self.assertEqual(told["X-Hostedge-Reason"], "rate_limited")
        # an edge that knows of the others' half more makes it wait until that has faded as well
        self.assertTrue(1 <= int(told["Retry-After"]) <= 140, told["Retry-After"])
        self.assertEqual(told["RateLimit-Policy"], '"site";q=10;w=300')
        self.assertEqual(told["RateLimit"], f'"site";r=0;t={told["Retry-After"]}')
        self.assertEqual(self.ask(1, "www.one.test")[0].status, 429)
        self.assertEqual([each.status for each in self.ask(20, "two.test")], [200] * 20)
        explained = self.node.command("explain", "http://one.test/small.txt").stdout
        self.assertIn("2 times in 1m, 10 times at once", explained)
        self.assertNotIn("times in", self.node.command("explain", "http://two.test/").stdout)
        refused = self.node.command("refused", "--cause", "rate_limited").stdout
        self.assertIn("rate_limited", refused)

    def test_dryRun(self) -> None:
        """In a dry run all are answered, and it shows who would not be."""
        self.site(requests=2, per="1m", dry_run=True)
        self.assertEqual([each.status for each in self.ask(20)], [200] * 20)
        edges = self.node.status()["edges"]
        counted = sum(edge["counters"].get("rate_dry_run", 0) for edge in edges)
        self.assertGreaterEqual(counted, 16)
        refused = json.loads(self.node.command("refused", "--json").stdout)["refused"]
        self.assertIn("dry run", refused[0]["detail"])

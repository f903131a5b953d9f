"""What a flood costs a whole node: lines of logs, descriptors, memory, disk; never an answer."""

from __future__ import annotations

import os
import resource
from http.client import HTTPResponse

from twisted.trial.unittest import SynchronousTestCase

from tests.live.node import Node

SITE = {
    "account": "one",
    "domains": [{"name": "one.test", "mappings": [{"path": "/", "static": "site"}]}],
}
# what answers for the site fails from now on
BREAK = "object.__setattr__(hosts.lookup('one.test').only, 'folder', None)"


class FloodCase(SynchronousTestCase):
    """A node of one edge, with one small file."""

    settings = ""

    def setUp(self) -> None:
        self.node = Node(edges=1, settings=self.settings)
        self.addCleanup(self.node.stop)
        self.node.start()
        self.node.write("one/site/small.txt", "small")
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

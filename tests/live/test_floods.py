"""What a flood costs a whole node: lines of logs, descriptors, memory, disk; never an answer."""

from __future__ import annotations

import os
import resource
import time
from http.client import HTTPResponse

from twisted.trial.unittest import SynchronousTestCase

from tests.live.node import Node, wait_for

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

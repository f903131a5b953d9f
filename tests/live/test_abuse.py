"""
A whole node that is treated badly: by its clients, its apps, and whoever kills its processes.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import struct
import subprocess
import sys
import threading
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import CAUSES
from hostedge.net.identity import process_started
from tests.live.node import ROOT, Node, wait_for
from tests.live.test_node import COUNTED, hello_site

# kills its worker in the middle of an answer whose length is known, or not
BROKEN = """
import os

def app(environ, start_response):
    fields = [("Content-Length", "100000")] if environ["PATH_INFO"] == "/length" else []
    start_response("200 OK", fields)
    yield b"x" * 1000
    os.kill(os.getpid(), 9)
"""

HOST = b"Host: one.localhost\r\n"
MALFORMED = (
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    b"GET / HTTP/1.1\nHost: a\n\n",
    b"GET /\xff HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /%00 HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET / HTTP/2.0\r\n" + HOST + b"\r\n",
    b"GET / HTTP/1.1\r\n" + HOST + b"X: 1\r\n" * 501 + b"\r\n",
    b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"\x16\x03\x01" + b"\0" * 100,
)


class AbuseTests(SynchronousTestCase):
    """Nobody but whoever does the wrong thing notices, and the logs stay readable."""

    settings = "[limits]\nhello_timeout = 1.0\n"

    def setUp(self) -> None:
        self.node = Node(edges=2, settings=self.settings)
        self.addCleanup(self.node.stop)
        self.node.start()

    def hello(self, source: str = COUNTED, **options: Any) -> None:
        self.node.write("one/hello.py", source)
        self.node.apply(hello_site(**options))

    def starts(self) -> int:
        return len((self.node.home("one") / "starts").read_text())

    def logged(self, name: str) -> list[str]:
        return (self.node.state / "log" / name).read_text().splitlines()

    def assertNoTracebacks(self) -> None:
        files = [self.node.folder / "keeper.log"]
        files += [self.node.state / "log" / f"{role}.log" for role in ("edge", "control")]
        for file in files:
            self.assertNotIn("Traceback", file.read_text(), file.name)

    def counted(self, name: str) -> int:
        return sum(edge["counters"].get(name, 0) for edge in self.node.status()["edges"])

    # clients

    def test_malformedRequests(self) -> None:
        """
        Malformed requests are answered 4xx or 505 and counted; each has its line of the access
        log or is counted there, but for what has no request line, and no other log has a word.
        """
        before = self.logged("edge.log")
        for request in MALFORMED:
            with self.node.connect() as client:
                client.sendall(request)
                answer = b"".join(iter(lambda c=client: c.recv(65536), b""))
            self.assertRegex(answer, rb"^HTTP/1\.1 (4\d\d|505) ", request[:80])
        refused = sum(
            count
            for edge in self.node.status()["edges"]
            for name, count in edge["counters"].items()
            if name.startswith("refused_")
        )
        self.assertEqual(refused, len(MALFORMED))
        self.assertEqual(self.logged("edge.log"), before)

        def lines() -> int:
            return len(self.node.access_log()) + self.counted("access_log_omitted")

        wait_for("all is written", lambda: lines() == len(MALFORMED) - 1)
        for line in self.node.access_log():
            self.assertIn(line["cause"], CAUSES)
            self.assertEqual(line["status"], CAUSES[line["cause"]].status)
            self.assertEqual((line["state"], line["attempts"]), ("PR", 0))

    def test_pageOfTheSite(self) -> None:
        """What is refused for its head has the site's page, and wakes no app."""
        site = hello_site()
        site["domains"][0]["errors"] = [{"status": "4xx", "page": "<p>ours {{status}}"}]
        self.node.write("one/hello.py", COUNTED)
        self.node.apply(site)
        for asked in (
            b"TRACE / HTTP/1.1\r\n%b",
            b"GET /.. HTTP/1.1\r\n%b",
            b"GET / HTTP/1.1\r\n%bbad\r\n",
        ):
            with self.node.connect() as client:
                client.sendall(asked % (HOST + b"Accept: text/html\r\n") + b"\r\n")
                answer = b"".join(iter(lambda c=client: c.recv(65536), b""))
            self.assertRegex(answer, rb"\r\n\r\n<p>ours 40[05]$")
        self.assertFalse((self.node.home("one") / "starts").exists())
        wait_for("the lines", lambda: len(self.node.access_log()) == 3)
        self.assertEqual({line["host"] for line in self.node.access_log()}, {"one.localhost"})

    def test_halfAHello(self) -> None:
        """
        Clients that hold half a ClientHello wake nobody until their time is over.
        """
        self.node.status()
        before = [wakes(pid) for pid in self.node.pids("edge")]
        clients = []
        for size in range(10):
            client = socket.create_connection(self.node.address("https"))
            self.addCleanup(client.close)
            client.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * size)
            clients.append(client)
        for client in clients:
            self.assertEqual(client.recv(1), b"")
        after = [wakes(pid) for pid in self.node.pids("edge")]
        # a second of a coarse clock, ten connections that come and go, and the report of activity
        self.assertLess(sum(after) - sum(before), 200)
        self.assertEqual(self.counted("tls_timeout"), 10)

    def test_clientsThatReset(self) -> None:
        """
        Clients that reset their connections at any point leave nothing open behind them.
        """
        self.hello()
        self.assertEqual(self.node.get("one.localhost", tls=True).status, 200)
        edges = self.node.pids("edge")
        before = {pid: open_files(pid) for pid in edges}
        requests = (
            b"GET /big HTTP/1.1\r\n" + HOST + b"\r\n",
            b"GET /slow HTTP/1.1\r\n" + HOST + b"\r\n",
            b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\n" + b"x" * 5000,
            b"GET / HT",
        )
        for tls in (False, True):
            for request in requests * 5:
                client = self.node.connect("one.localhost", tls)
                client.sendall(request)
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                os.close(client.detach())
        wait_for(
            "everything is closed",
            lambda: not any(edge["connections"] for edge in self.node.status()["edges"]),
        )
        # idle connections to the app end by themselves
        wait_for(
            "no descriptor is left",
            lambda: all(open_files(pid) <= before[pid] for pid in edges),
        )
        self.assertEqual(self.node.get("one.localhost").status, 200)
        self.assertNoTracebacks()

    # apps

    def test_appDiesInItsAnswer(self) -> None:
        """
        An answer that the app breaks off is seen as broken off, over TLS as well.
        """
        self.hello(BROKEN)
        for path in (b"/length", b"/chunks"):
            for version in (b"1.0", b"1.1"):
                for tls in (False, True):
                    request = b"GET %b HTTP/%b\r\n%b\r\n" % (path, version, HOST)
                    with self.subTest(path=path, version=version, tls=tls):
                        self.assertTrue(self.is_cut(request, tls))

    def is_cut(self, request: bytes, tls: bool) -> bool:
        client = socket.create_connection(self.node.address("https" if tls else "http"))
        if tls:
            client = self.node.tls_context().wrap_socket(
                client, server_hostname="one.localhost", suppress_ragged_eofs=False
            )
        with client:
            client.sendall(request)
            try:
                while client.recv(65536):
                    pass
            except (ConnectionResetError, ssl.SSLEOFError):
                return True
        return False

    def test_portOfAnAppThatIsGone(self) -> None:
        """
        Nobody connects to the port of an app that has ended before it ever answered.
        """
        self.node.home("one")
        write_port = "import os, time; open('port', 'w').write(os.environ['PORT']); time.sleep(999)"
        command = [sys.executable, "-c", write_port]
        silent = {"name": "hello", "runtime": "command", "command": command}
        domain = {"name": "one.localhost", "mappings": [{"path": "/", "app": "hello"}]}
        self.node.apply({"account": "one", "apps": [silent], "domains": [domain]})
        with self.node.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
            port = self.node.home("one") / "port"
            wait_for("it runs", lambda: port.exists() and port.read_text())
            self.node.apply({"account": "one"})
            self.assertTrue(client.recv(65536).startswith(b"HTTP/1.1 503 "))
        wait_for("it is gone", lambda: "one/hello" not in self.node.apps())
        with socket.create_server(("127.0.0.1", int(port.read_text()))) as taken:
            taken.settimeout(0.5)
            self.assertRaises(TimeoutError, taken.accept)
        self.assertNoTracebacks()

    # whoever kills

    def test_keeperKilledDuringAStart(self) -> None:
        """
        The next keeper ends a start that was under way and makes exactly one of its own, also
        when the edge that waits for the app is the first to link; who waited is answered.
        """
        source = "import os, time\nwhile os.path.exists('hold'): time.sleep(0.01)\n" + COUNTED
        self.hello(source, stop_timeout=0.5)
        hold = self.node.home("one") / "hold"
        hold.touch()
        answers: list[int] = []
        visitor = threading.Thread(
            target=lambda: answers.append(self.node.get("one.localhost").status)
        )
        visitor.start()
        wait_for("it starts", lambda: self.node.apps().get("one/hello", {}).get("pid"))
        first = self.node.apps()["one/hello"]["generation"]
        edges = self.node.status()["edges"]
        others = [edge["pid"] for edge in edges if not edge["in_flight"]]
        others += self.node.pids("template")
        assert self.node.keeper is not None
        self.node.keeper.kill()
        self.node.keeper.wait()
        for pid in others:
            os.kill(pid, signal.SIGSTOP)
        self.node.launch()
        wait_for("it took over", lambda: "took over" in self.node.log())
        for pid in others:
            os.kill(pid, signal.SIGCONT)
        wait_for("the node is whole", self.node.is_up)
        wait_for(
            "it starts again",
            lambda: self.node.apps().get("one/hello", {}).get("generation", 0) > first,
        )
        journal = self.node.state / "journal"
        wait_for("the first is gone", lambda: len(list(journal.glob("*.json"))) == 1)
        hold.unlink()
        visitor.join()
        self.assertEqual(answers, [200])
        self.assertEqual(self.starts(), 1)
        self.assertNoTracebacks()

    def test_templateWithoutListeners(self) -> None:
        """
        All that is left of a node is a template that was never told the listeners: the next
        keeper binds them.
        """
        assert self.node.keeper is not None
        address = self.node.address("http")
        os.kill(self.node.keeper.pid, signal.SIGKILL)
        self.node.keeper.wait()
        for role in ("edge", "template", "control"):
            for pid in self.node.pids(role):
                os.kill(pid, signal.SIGKILL)
        wait_for("nobody is left", lambda: not self.node.processes())
        with open(self.node.state / "log" / "edge.log", "ab") as log:
            template = subprocess.Popen(
                [sys.executable, "-m", "hostedge.links.template", str(self.node.settings)],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.addCleanup(template.wait)
        self.addCleanup(template.kill)
        relative: dict[str, Any] = {"role": "template", "index": 0, "pid": template.pid}
        relative["started"] = process_started(template.pid)
        (self.node.state / "run" / "family.json").write_text(json.dumps([relative]))
        self.node.launch()
        wait_for("the node is whole", self.node.is_up)
        # port 0 in the settings of this test: a new one
        self.assertNotEqual(self.node.address("http"), address)
        self.assertEqual(self.node.get("nobody.localhost").status, 404)

    def test_everythingKilled(self) -> None:
        """
        After a kill of every process a keeper starts over what they left, and cleans it up.
        """
        self.hello()
        self.assertEqual(self.node.get("one.localhost").status, 200)
        assert self.node.keeper is not None
        for _ in range(2):
            for pid in self.node.processes():
                os.kill(pid, signal.SIGKILL)
            self.node.keeper.wait()
            wait_for("nobody is left", lambda: not self.node.processes())
            self.node.launch()
            wait_for("the node is whole", self.node.is_up)
            self.assertEqual(self.node.get("one.localhost").status, 200)
        self.assertEqual(len(list((self.node.state / "run" / "d").iterdir())), 1)
        self.assertNoTracebacks()


def wakes(pid: int) -> int:
    """How often a process has gone to sleep."""
    with open(f"/proc/{pid}/status") as status:
        return sum(
            int(line.split()[1]) for line in status if line.startswith("voluntary_ctxt_switches")
        )


def open_files(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))

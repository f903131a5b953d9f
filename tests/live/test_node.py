"""
A whole node: started by visitors, changed live, killed in every part.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.parse
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.node import Answer, Node, load, open_files, wait_for

HELLO = """
import os, time

def app(environ, start_response):
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length) if length else b""
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.3)
    if environ["PATH_INFO"] == "/big":
        answer = b"x" * 8_000_000
    else:
        answer = f"{os.getppid()} {len(body)}".encode()
    start_response("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]
"""

# notes each start, so that a test can count them
COUNTED = (
    """
with open("starts", "a") as starts:
    starts.write("x")
"""
    + HELLO
)


ON_A_PORT = """
import http.server, os, subprocess

children = [subprocess.Popen(["sleep", "600"]) for _ in range(30)]

class Pid(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = str(os.getpid()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

address = os.environ["HOST"], int(os.environ["PORT"])
http.server.ThreadingHTTPServer(address, Pid).serve_forever()
"""


def hello_site(account: str = "one", **options: Any) -> dict[str, Any]:
    app = {"name": "hello", "runtime": "wsgi", "module": "hello:app", **options}
    domain = {"name": f"{account}.localhost", "mappings": [{"path": "/", "app": "hello"}]}
    return {"account": account, "apps": [app], "domains": [domain]}


class NodeTests(SynchronousTestCase):
    """One node a test; every process that a test starts ends with it."""

    edges = 2
    settings = ""

    def setUp(self) -> None:
        self.node = Node(edges=self.edges, settings=self.settings)
        self.addCleanup(self.node.stop)
        self.node.start()

    def hello(self, account: str = "one", source: str = COUNTED, **options: Any) -> None:
        self.node.write(f"{account}/hello.py", source)
        self.node.apply(hello_site(account, **options))

    def starts(self, account: str = "one") -> int:
        path = self.node.home(account) / "starts"
        return len(path.read_text()) if path.exists() else 0

    def state(self, app: str = "one/hello") -> str:
        found = self.node.apps().get(app)
        return str(found["state"]) if found else "COLD"

    # started by its first visitor

    def test_unmodifiedDjango(self) -> None:
        """
        A project as `django-admin startproject` makes it answers over HTTPS, and its admin's
        login form can be posted: scheme, host and cookies arrive as Django wants them.
        """
        home = self.node.home("shop")
        environment = {
            **os.environ,
            "DJANGO_SUPERUSER_PASSWORD": "secret",
            "PYTHONPATH": "",
        }
        manage = [sys.executable, "manage.py"]
        for words in (
            [sys.executable, "-m", "django", "startproject", "shop", "."],
            [*manage, "migrate", "-v0"],
            [
                *manage,
                "createsuperuser",
                "--noinput",
                "--username=a",
                "--email=a@example.org",
                "-v0",
            ],
        ):
            subprocess.run(words, cwd=home, env=environment, check=True, capture_output=True)
        app = {"name": "web", "runtime": "wsgi", "module": "shop.wsgi:application", "threads": 2}
        mappings = [{"path": "/", "app": "web"}]
        domain = {"name": "shop.localhost", "mappings": mappings}
        self.node.apply({"account": "shop", "apps": [app], "domains": [domain]})

        form = self.node.get("shop.localhost", "/admin/login/", tls=True)
        self.assertEqual(form.status, 200, form.text)
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form.text)
        assert token is not None
        cookie = form.headers["Set-Cookie"].split(";")[0]
        body = urllib.parse.urlencode(
            {
                "csrfmiddlewaretoken": token[1],
                "username": "a",
                "password": "secret",
                "next": "/admin/",
            }
        )
        connection = self.node.connection("shop.localhost", tls=True)
        self.addCleanup(connection.close)
        connection.request(
            "POST",
            "/admin/login/",
            body,
            {
                "Cookie": cookie,
                "Content-Type": "application/x-www-form-urlencoded",
                "Referer": "https://shop.localhost/admin/login/",
                "Origin": "https://shop.localhost",
            },
        )
        answer = Answer(connection.getresponse())
        self.assertEqual((answer.status, answer.headers["Location"]), (302, "/admin/"), answer.text)
        session = [v.split(";")[0] for v in answer.headers.get_all("Set-Cookie") or ()]
        admin = self.node.get(
            "shop.localhost", "/admin/", tls=True, headers={"Cookie": "; ".join(session)}
        )
        self.assertIn("Site administration", admin.text)

    def test_manyFirstVisitors(self) -> None:
        """
        200 first requests at once start the app exactly once, and all are answered.
        """
        self.hello(queue=1024, threads=4)
        with concurrent.futures.ThreadPoolExecutor(200) as visitors:
            answers = list(visitors.map(lambda _: self.node.get("one.localhost"), range(200)))
        self.assertEqual([a.status for a in answers], [200] * 200)
        self.assertEqual(len({a.text for a in answers}), 1)
        self.assertEqual(self.starts(), 1)

    def test_killedDaemon(self) -> None:
        """
        After its daemon was killed the next request is answered, by a new one.
        """
        self.hello()
        first = int(self.node.get("one.localhost").text.split()[0])
        os.kill(first, signal.SIGKILL)

        def answered_by_another() -> bool:
            answer = self.node.get("one.localhost")
            # a worker may still answer while its group is being ended; nobody is refused
            self.assertEqual(answer.status, 200, answer.text)
            return self.starts() == 2

        wait_for("a new daemon", answered_by_another)
        self.assertNotEqual(self.node.apps()["one/hello"]["pid"], first)

    def test_killedDaemonOnAPort(self) -> None:
        """
        A daemon with a port of its own and many children is killed: the next request waits for
        the next one, and is not sent to what is still being buried.
        """
        self.node.write("one/serve.py", ON_A_PORT)
        app = {"name": "port", "runtime": "command", "command": [sys.executable, "serve.py"]}
        domain = {"name": "one.localhost", "mappings": [{"path": "/", "app": "port"}]}
        self.node.apply({"account": "one", "apps": [app], "domains": [domain]})
        for _ in range(2):
            # both edges have idle connections to it
            for _ in range(6):
                first = self.node.get("one.localhost").text
            os.kill(int(first), signal.SIGKILL)
            answer = self.node.get("one.localhost")
            self.assertEqual(answer.status, 200, answer.text)
            self.assertNotEqual(answer.text, first)

    def test_idleStopLosesNothing(self) -> None:
        """
        While an app is stopped for idleness again and again, no request is lost.
        """
        self.hello(idle=1)
        pause = threading.Event()
        turn = iter(range(10_000))

        def ask() -> Answer:
            # now within, now beyond the idle time, and often right at it
            pause.wait((0.05, 0.95, 1.0, 1.05, 1.3)[next(turn) % 5])
            return self.node.get("one.localhost")

        with load(ask, clients=1) as wrong:
            wait_for("three starts", lambda: self.starts() >= 3)
        self.assertEqual(wrong, [])

    def test_slowClientsHoldNoPlace(self) -> None:
        """
        8 slow senders and 8 slow readers leave all 8 places of an app to the others.
        """
        self.hello(threads=8)
        self.assertEqual(self.node.get("one.localhost").status, 200)
        with contextlib.ExitStack() as open_sockets:
            for _ in range(8):
                sender = open_sockets.enter_context(self.node.connect())
                sender.sendall(
                    b"POST / HTTP/1.1\r\nHost: one.localhost\r\nContent-Length: 100000\r\n\r\n12345"
                )
            for _ in range(8):
                reader = open_sockets.enter_context(self.node.connect())
                reader.sendall(b"GET /big HTTP/1.1\r\nHost: one.localhost\r\n\r\n")
                self.assertTrue(reader.recv(10).startswith(b"HTTP/1.1 2"))
            with concurrent.futures.ThreadPoolExecutor(8) as others:
                answers = list(others.map(lambda _: self.node.get("one.localhost"), range(40)))
            self.assertEqual([a.status for a in answers], [200] * 40)

    def test_largeBodiesWaitInTheStateFolder(self) -> None:
        """
        What is too large for memory is spooled below the state folder, not into /tmp.
        """
        self.hello()
        self.assertEqual(self.node.get("one.localhost").status, 200)
        with self.node.connect() as client:
            client.sendall(
                b"POST / HTTP/1.1\r\nHost: one.localhost\r\nContent-Length: 4000000\r\n\r\n"
            )
            client.sendall(b"x" * 3_000_000)
            wait_for("it is spooled", lambda: self.spooled())
            client.sendall(b"x" * 1_000_000)
            self.assertTrue(client.recv(100).startswith(b"HTTP/1.1 200"))

    def spooled(self) -> bool:
        spool = str(self.node.state / "spool")
        files = [file for pid in self.node.pids("edge") for file in open_files(pid)]
        return any(file.startswith(spool) for file in files)

    # changed live

    def test_routeChangeRestartsNothing(self) -> None:
        """
        A change of the domain alone is live at once and leaves the daemon as it is.
        """
        self.hello()
        before = self.node.get("one.localhost").text
        site = hello_site()
        site["domains"][0]["mappings"].append({"path": "/old", "redirect": "/new"})
        self.node.apply(site)
        moved = self.node.get("one.localhost", "/old")
        self.assertEqual((moved.status, moved.headers["Location"]), (308, "/new"))
        self.assertEqual(self.node.get("one.localhost").text, before)
        self.assertEqual(self.starts(), 1)

    def test_appChangeSwaps(self) -> None:
        """
        A change of the app itself swaps its daemon while requests go on.
        """
        self.hello()
        self.node.get("one.localhost")
        with load(lambda: self.node.get("one.localhost", "/slow")) as wrong:
            self.node.apply(hello_site(environment={"GREETING": "new"}))
            wait_for("the second generation", lambda: self.starts() == 2)
            wait_for("it is ready", lambda: self.state() == "READY")
        self.assertEqual(wrong, [])

    def test_suspensionCutsWhatRuns(self) -> None:
        """
        When an account is suspended, what a server of its pool is still sending breaks off.
        """
        server = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(server.close)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        pools = [{"name": "p", "servers": [{"address": address}]}]
        domain = {"name": "one.localhost", "mappings": [{"path": "/", "pool": "p"}]}
        site = {"account": "one", "pools": pools, "domains": [domain]}
        self.node.apply(site)
        with self.node.connect() as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: one.localhost\r\n\r\n")
            upstream, _ = server.accept()
            self.addCleanup(upstream.close)
            upstream.recv(65536)
            upstream.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            self.assertTrue(client.recv(65536).startswith(b"HTTP/1.1 200"))
            self.node.apply({**site, "account": {"name": "one", "suspended": True}})
            # neither waits for the other: the edge has ended both
            with contextlib.suppress(ConnectionResetError):
                self.assertEqual(b"".join(iter(lambda: client.recv(65536), b"")), b"")
        self.assertEqual(self.node.get("one.localhost").status, 503)

    def test_changeWithAHungEdge(self) -> None:
        """
        When `apply` returns, no edge serves what was, also not one that had stopped.
        """
        site = hello_site()
        site["domains"][0]["mappings"] = [{"path": "/", "redirect": "/a"}]
        self.node.apply(site)
        for _ in range(20):
            self.assertEqual(self.node.get("one.localhost").headers["Location"], "/a/")
        hung = self.node.pids("edge")[0]
        os.kill(hung, signal.SIGSTOP)
        site["domains"][0]["mappings"] = [{"path": "/", "redirect": "/b"}]
        self.node.apply(site)
        self.assertFalse(hung in self.node.pids("edge") and is_alive(hung))
        wait_for("both edges", self.node.is_up)
        for _ in range(20):
            self.assertEqual(self.node.get("one.localhost").headers["Location"], "/b/")

    # killed in every part

    def test_keeperKilled(self) -> None:
        """
        A killed keeper takes nothing with it; the next one knows all daemons and starts others.
        """
        self.hello()
        self.hello("two")
        first = self.node.get("one.localhost").text
        edges, control = self.node.pids("edge"), self.node.pids("control")
        addresses = self.node.address("http"), self.node.address("https")
        assert self.node.keeper is not None
        with load(lambda: self.node.get("one.localhost")) as wrong:
            self.node.keeper.kill()
            self.node.keeper.wait()
            for _ in range(10):
                self.assertEqual(self.node.get("one.localhost").text, first)
            self.node.launch()
            # cold, and asked for while there may be no keeper yet
            self.assertEqual(self.node.get("two.localhost").status, 200)
            wait_for("the family is together", self.node.is_up)
        self.assertEqual(wrong, [])
        self.assertEqual((self.node.pids("edge"), self.node.pids("control")), (edges, control))
        self.assertEqual((self.node.address("http"), self.node.address("https")), addresses)
        self.assertEqual((self.starts("one"), self.starts("two")), (1, 1))
        self.assertEqual(self.state("one/hello"), "READY")
        os.kill(int(first.split()[0]), signal.SIGKILL)
        self.assertEqual(self.node.get("one.localhost").status, 200)

    def test_edgeKilled(self) -> None:
        """
        A killed edge is replaced; the daemons notice nothing.
        """
        self.hello()
        first = self.node.get("one.localhost").text
        for pid in self.node.pids("edge"):
            os.kill(pid, signal.SIGKILL)
            wait_for("another edge", lambda pid=pid: pid not in self.node.pids("edge"))
            self.assertEqual(self.node.get("one.localhost").text, first)
        wait_for("both edges", self.node.is_up)
        self.assertEqual(self.node.get("one.localhost").text, first)

    def test_templateKilled(self) -> None:
        """
        A killed template is replaced, and the new one's edges serve like the old one's.
        """
        self.hello()
        first = self.node.get("one.localhost").text
        (template,) = self.node.pids("template")
        with load(lambda: self.node.get("one.localhost")) as wrong:
            os.kill(template, signal.SIGKILL)
            wait_for("another template", lambda: self.node.pids("template") not in ([], [template]))
        self.assertEqual(wrong, [])
        edges = set(self.node.pids("edge"))
        for pid in edges:
            os.kill(pid, signal.SIGKILL)
        wait_for("edges are gone", lambda: not edges & set(self.node.pids("edge")))
        wait_for("new edges", self.node.is_up)
        self.assertEqual(self.node.get("one.localhost", tls=True).text, first)

    def test_controlKilled(self) -> None:
        """
        A killed control comes back; meanwhile requests are answered.
        """
        self.hello()
        self.node.get("one.localhost")
        (control,) = self.node.pids("control")
        with load(lambda: self.node.get("one.localhost")) as wrong:
            os.kill(control, signal.SIGKILL)
            wait_for("another control", lambda: self.node.pids("control") not in ([], [control]))
            wait_for("the node is whole", self.node.is_up)
        self.assertEqual(wrong, [])
        self.hello("two")
        self.assertEqual(self.node.get("two.localhost").status, 200)

    def test_edgeStartsWithoutControl(self) -> None:
        """
        While control is hung an edge can start, serve what is known, and wake apps; only a
        name that has no certificate yet is refused.
        """
        self.hello()
        self.node.get("one.localhost", tls=True)
        self.hello("two")
        (control,) = self.node.pids("control")
        edges = self.node.pids("edge")
        os.kill(control, signal.SIGSTOP)
        try:
            for pid in edges:
                os.kill(pid, signal.SIGKILL)
            wait_for(
                "new edges",
                lambda: len(set(self.node.pids("edge")) - set(edges)) == len(edges),
            )
            self.assertEqual(self.node.get("one.localhost", tls=True).status, 200)
            self.assertEqual(self.node.get("two.localhost").status, 200)
        finally:
            os.kill(control, signal.SIGCONT)
        wait_for("the node is whole", self.node.is_up)
        self.assertEqual(self.node.get("two.localhost", tls=True).status, 200)

    # the end

    def test_interruptEndsEverything(self) -> None:
        """
        SIGINT ends the node and its daemons within seconds; not one process stays.
        """
        self.hello()
        self.node.get("one.localhost")
        assert self.node.keeper is not None
        self.node.keeper.send_signal(signal.SIGINT)
        self.assertEqual(self.node.keeper.wait(10), 0)
        self.assertEqual(self.node.processes(), [])

    def test_secondInterruptIsImmediate(self) -> None:
        """
        A second SIGINT does not wait for a daemon that ignores being asked.
        """
        self.hello(source="import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + HELLO)
        with self.node.connect() as client:
            client.sendall(b"GET /slow HTTP/1.1\r\nHost: one.localhost\r\n\r\n")
            client.recv(1)
        assert self.node.keeper is not None
        self.node.keeper.send_signal(signal.SIGINT)
        self.node.keeper.send_signal(signal.SIGINT)
        self.node.keeper.wait(5)
        wait_for("no process is left", lambda: not self.node.processes(), 3)

    def test_terminateDrains(self) -> None:
        """
        SIGTERM lets what runs be answered, and takes nothing new.
        """
        self.hello()
        self.node.get("one.localhost")
        assert self.node.keeper is not None
        with self.node.connect() as client:
            client.sendall(b"GET /slow HTTP/1.1\r\nHost: one.localhost\r\n\r\n")
            wait_for("it is in flight", lambda: in_flight(self.node))
            self.node.keeper.send_signal(signal.SIGTERM)
            received = b"".join(iter(lambda: client.recv(65536), b""))
        self.assertTrue(received.startswith(b"HTTP/1.1 200"), received)
        self.assertTrue(received.endswith(b" 0"), received)
        self.assertEqual(self.node.keeper.wait(20), 0)
        self.assertEqual(self.node.processes(), [])


def in_flight(node: Node) -> bool:
    return any(edge.get("in_flight") for edge in node.status()["edges"])


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False

"""
What wakes an app, what keeps it awake, and what clients see meanwhile: a whole node, real daemons.
"""

from __future__ import annotations

import contextlib
import http.client
import resource
import socket
import sys
from collections.abc import Iterator
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.live.browser import opened
from tests.live.node import PATIENCE, Node, wait_for

NAME = "one.localhost"

# answers at once, or in pieces with pauses; DELAY is how long it takes to come up
PAGES = """
import http.server, os, time
time.sleep(float(os.environ.get("DELAY", "0")))

class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        if self.path.startswith("/slowly"):
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for _ in range(12):
                self.wfile.write(b"1\\r\\nx\\r\\n")
                time.sleep(0.5)
            self.wfile.write(b"0\\r\\n\\r\\n")
            return
        body = b"<!doctype html><title>here</title><script>fetch('/seen')</script>"
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_HEAD = do_OPTIONS = do_POST = do_GET

address = os.environ["HOST"], int(os.environ["PORT"])
http.server.ThreadingHTTPServer(address, Answer).serve_forever()
"""

TALK = """
import os
from websockets.sync.server import serve

def echo(socket):
    for message in socket:
        socket.send(message)

serve(echo, os.environ["HOST"], int(os.environ["PORT"])).serve_forever()
"""

# answers the probe, and then takes nobody any more
FULL = """
import socket, time
listener = socket.socket(fileno=3)
served, _ = listener.accept()
served.recv(65536)
served.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n")
served.close()
time.sleep(600)
"""


def app(name: str, **options: Any) -> dict[str, Any]:
    command = [sys.executable, f"{name}.py"]
    return {"name": name, "runtime": "command", "command": command, **options}


@contextlib.contextmanager
def many_files() -> Iterator[None]:
    """This process may have more files open than it usually does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 8192 if hard == resource.RLIM_INFINITY else min(8192, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class WakingCase(SynchronousTestCase):
    """A node with one edge."""

    def setUp(self) -> None:
        self.node = Node(edges=1)
        self.addCleanup(self.node.stop)
        for name, text in (("pages", PAGES), ("talk", TALK), ("full", FULL)):
            self.node.write(f"one/{name}.py", text)
        self.node.start()

    def apply(self, daemon: dict[str, Any], errors: Any = (), **mapping: Any) -> None:
        to = {"path": "/", "app": daemon["name"], **mapping}
        domain = {"name": NAME, "mappings": [to], "errors": list(errors)}
        self.node.apply({"account": "one", "apps": [daemon], "domains": [domain]})

    def state(self, name: str) -> str:
        return str(self.node.apps().get(f"one/{name}", {}).get("state", "COLD"))

    def ask(self, agent: str = "", method: str = "GET") -> tuple[int, str]:
        """Status and reason."""
        connection = self.node.connection(NAME)
        self.addCleanup(connection.close)
        headers = {"Connection": "close", **({"User-Agent": agent} if agent else {})}
        connection.request(method, "/", headers=headers)
        answer = connection.getresponse()
        # or the next request comes while this one is still under way
        answer.read()
        return answer.status, answer.headers.get("X-Hostedge-Reason", "")


class WakingTests(WakingCase):
    """Requests."""

    def test_programs(self) -> None:
        """A monitor wakes nobody, is served while somebody else has, and keeps nothing awake."""
        self.apply(app("pages", idle="2s"))
        monitor = "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)"
        for method in ("GET", "HEAD"):
            self.assertEqual(self.ask(monitor, method), (503, "not_woken"))
        self.assertEqual(self.state("pages"), "COLD")
        self.assertEqual(self.ask("curl/8.5.0", "HEAD"), (200, ""))
        self.assertEqual(self.ask(monitor), (200, ""))

        def is_asleep() -> bool:
            # it goes on asking all the time
            return self.ask(monitor) == (503, "not_woken")

        wait_for("the app sleeps", is_asleep)
        self.assertEqual(self.ask(), (200, ""))

    def test_download(self) -> None:
        """What takes longer than an app may be idle comes whole."""
        self.apply(app("pages", idle="1s"), buffer="stream")
        connection = self.node.connection(NAME)
        self.addCleanup(connection.close)
        connection.request("GET", "/slowly")
        self.assertEqual(connection.getresponse().read(), b"x" * 12)
        wait_for("the app sleeps", lambda: self.state("pages") == "COLD")

    def test_disabled(self) -> None:
        """An app that is switched off is answered for with the site's own page."""
        page = {"status": "503", "page": "<p>on holiday {{reason}}"}
        self.apply(app("pages"))
        self.assertEqual(self.ask(), (200, ""))
        self.apply(app("pages", enabled=False), [page])
        answer = self.node.get(NAME, headers={"Accept": "text/html"})
        self.assertEqual((answer.status, answer.headers["X-Hostedge-Reason"]), (503, "disabled"))
        self.assertTrue(answer.text.startswith("<p>on holiday "))
        self.apply(app("pages"))
        self.assertEqual(self.ask(), (200, ""))

    def test_waitingPage(self) -> None:
        """A browser shows that the app starts, and then the app's page, without being touched."""
        self.apply(app("pages", environment={"DELAY": "5"}, waiting_page=True))
        port = self.node.address("https")[1]

        def lines(path: str) -> list[dict[str, Any]]:
            return [line for line in self.node.access_log() if line["path"] == path]

        with opened(self.node, f"https://{NAME}:{port}/"):
            wait_for("the app's page ran", lambda: lines("/seen"))
        pages = [(line["status"], line.get("cause", "")) for line in lines("/")]
        self.assertEqual(pages[0], (503, "starting"))
        self.assertEqual(pages[-1], (200, ""))

    def test_fullBacklog(self) -> None:
        """Where no more fits into a listener's backlog it is 503 in time, and not 502 or a wait."""
        self.apply(app("full", listen="socket"), limits={"queue_timeout": 2, "response_timeout": 5})
        # wakes it, and is left without an answer
        self.assertEqual(self.ask(), (504, "response_timeout"))
        (path,) = (self.node.state / "run" / "d").glob("**/*.sock")
        with many_files(), contextlib.ExitStack() as filling:
            while True:
                one = filling.enter_context(socket.socket(socket.AF_UNIX))
                one.setblocking(False)
                if one.connect_ex(str(path)):
                    break
            connection = self.node.connection(NAME)
            filling.callback(connection.close)
            connection.request("GET", "/")
            answer = connection.getresponse()
            self.assertEqual((answer.status, self.reason(answer)), (503, "queue_full"))
            self.assertIn(int(answer.headers["Retry-After"]), range(1, 6))

    def reason(self, answer: http.client.HTTPResponse) -> str:
        return answer.headers.get("X-Hostedge-Reason", "")


class WebSocketTests(WakingCase):
    """WebSockets, and an app that would rather sleep."""

    def open(self) -> ClientConnection:
        host, port = self.node.address("http")
        socket_ = connect(
            f"ws://{NAME}:{port}/",
            sock=socket.create_connection((host, port), PATIENCE),
            ping_interval=0.5,
            ping_timeout=None,
        )
        self.addCleanup(socket_.socket.close)
        return socket_

    def talk(self, chatty: bool) -> None:
        silent = self.open()
        others = [self.open()] if chatty else []
        for each in (silent, *others):
            each.send("hello")
            self.assertEqual(each.recv(PATIENCE), "hello")

        def has_ended() -> bool:
            for each in others:
                each.send("and")
                self.assertEqual(each.recv(PATIENCE), "and")
            try:
                silent.recv(0.2)
            except TimeoutError:
                return False
            except ConnectionClosed:
                return True
            return False

        if not chatty:
            wait_for("the silent one is closed", has_ended)
            self.assertEqual(silent.close_code, 1012)
            wait_for("the app sleeps", lambda: self.state("talk") == "COLD")
            return
        for _ in range(30):
            self.assertFalse(has_ended())
        self.assertEqual(self.state("talk"), "READY")
        for each in (silent, *others):
            each.close()

    def test_silent(self) -> None:
        """However often it is pinged: without a message the app is stopped, and it hears 1012."""
        self.apply(app("talk", idle="1s"), websocket=True, limits={"websocket_idle": 3})
        self.talk(False)

    def test_chatty(self) -> None:
        """One that talks keeps the app, and with it one that does not."""
        self.apply(app("talk", idle="1s"), websocket=True, limits={"websocket_idle": 3})
        self.talk(True)

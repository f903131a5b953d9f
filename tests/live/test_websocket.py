"""
WebSockets through a whole node: servers and clients of two makes, and a browser.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.parse
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.live.browser import opened
from tests.live.node import PATIENCE, Node, wait_for

WEBSOCKETS = """
import asyncio, os
from websockets.asyncio.server import serve

async def echo(socket):
    async for message in socket:
        if message == "pid":
            message = str(os.getpid())
        await socket.send(message)

async def main():
    async with serve(echo, os.environ["HOST"], int(os.environ["PORT"])) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await server.serve_forever()

asyncio.run(main())
"""

AUTOBAHN = """
import os
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet import reactor

class Echo(WebSocketServerProtocol):
    def onMessage(self, payload, isBinary):
        if payload == b"pid":
            payload = str(os.getpid()).encode()
        self.sendMessage(payload, isBinary)

factory = WebSocketServerFactory()
factory.protocol = Echo
port = reactor.listenTCP(int(os.environ["PORT"]), factory, interface=os.environ["HOST"])
print(port.getHost().port, flush=True)
reactor.run()
"""

# takes host, port, certificate and path; prints what it got
AUTOBAHN_CLIENT = """
import json, sys
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet import reactor
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates

name, port, ca, path = sys.argv[1:]
got = []

class Client(WebSocketClientProtocol):
    def onOpen(self):
        self.sendMessage("grüße".encode(), False)
        self.sendMessage(b"\\xff" * 100000, True)

    def onMessage(self, payload, isBinary):
        got.append([isBinary, len(payload)])
        if len(got) == 2:
            self.sendClose(4321, "enough")

    def onClose(self, clean, code, reason):
        print(json.dumps({"got": got, "clean": clean, "code": code, "reason": reason}))
        reactor.callLater(0, reactor.stop)

factory = WebSocketClientFactory(f"wss://{name}:{port}{path}")
factory.protocol = Client
root = trustRootFromCertificates([Certificate.loadPEM(open(ca).read())])
plain = HostnameEndpoint(reactor, "127.0.0.1", int(port))
wrapClientTLS(optionsForClientTLS(name, root), plain).connect(factory)
reactor.run()
"""

PAGE = """<!doctype html>
<meta charset="utf-8"><title>echo</title><p id="said">nothing yet</p>
<script>
const socket = new WebSocket("wss://" + location.host + "/websockets");
socket.onopen = () => socket.send("Grüße");
socket.onmessage = (event) => {
  document.getElementById("said").textContent = event.data;
  socket.close(3001, "seen");
};
socket.onclose = (event) => fetch(
  "/seen?" + encodeURIComponent(document.getElementById("said").textContent + " " + event.code)
);
</script>
"""

NAME = "ws.localhost"


class LiveTests(SynchronousTestCase):
    """A node with an echo of each make as an app."""

    edges = 1
    settings = ""

    def setUp(self) -> None:
        self.node = Node(self.edges, self.settings)
        self.addCleanup(self.node.stop)
        self.node.write("one/websockets/echo.py", WEBSOCKETS)
        self.node.write("one/autobahn/echo.py", AUTOBAHN)
        self.node.write("one/page/index.html", PAGE)
        self.node.start()
        self.node.apply(self.site())

    def site(self, **pools: str) -> dict[str, Any]:
        kinds = ("websockets", "autobahn")
        mappings: list[dict[str, Any]] = [{"path": "/", "static": "page"}]
        mappings += [{"path": f"/{kind}", "app": kind, "websocket": True} for kind in kinds]
        mappings += [{"path": "/plain", "app": "websockets"}]
        mappings += [{"path": f"/pool-{name}", "pool": name, "websocket": True} for name in pools]
        return {
            "account": "one",
            "apps": [
                {
                    "name": kind,
                    "runtime": "command",
                    "directory": kind,
                    "command": [sys.executable, "echo.py"],
                }
                for kind in kinds
            ],
            "pools": [
                {"name": name, "servers": [{"address": address}]} for name, address in pools.items()
            ],
            "domains": [{"name": NAME, "mappings": mappings}],
        }

    def open(self, path: str, tls: bool = True, **options: Any) -> ClientConnection:
        """A client of the `websockets` make."""
        host, port = self.node.address("https" if tls else "http")
        plain = socket.create_connection((host, port), PATIENCE)
        context = self.node.tls_context()
        # This client reads and writes in two threads, which OpenSSL does not allow. With TLS 1.3
        # the server's tickets come in when the request goes out: one in 300 openings then hangs.
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        opened = connect(
            f"{'wss' if tls else 'ws'}://{NAME}:{port}{path}",
            sock=plain,
            ssl=context if tls else None,
            open_timeout=PATIENCE,
            **options,
        )
        self.addCleanup(opened.close)
        return opened

    def ended(self, opened: ClientConnection) -> tuple[int, str]:
        """How the other side ends a connection that is open."""
        error = self.assertRaises(ConnectionClosed, opened.recv, PATIENCE)
        assert error.rcvd is not None, error
        return error.rcvd.code, error.rcvd.reason

    def line(self, path: str = "/websockets") -> dict[str, Any]:
        """The line of the access log that is written when it has ended."""
        found: dict[str, Any] = wait_for(
            f"a line for {path}",
            lambda: next((x for x in self.node.access_log() if x["path"] == path), None),
        )
        return found


class EchoTests(LiveTests):
    """Everybody with everybody."""

    edges = 2

    def test_appsStartedByTheUpgrade(self) -> None:
        """Cold apps of both makes echo text, bytes, fragments and pings over TLS."""
        for kind in ("websockets", "autobahn"):
            opened = self.open(f"/{kind}", compression=None)
            for message in ("grüße", b"\0\xff" * 100_000, "", b""):
                opened.send(message)
                self.assertEqual(opened.recv(PATIENCE), message)
            opened.send(["in ", "three ", "parts"])
            self.assertEqual(opened.recv(PATIENCE), "in three parts")
            self.assertTrue(opened.ping().wait(PATIENCE))
            opened.close(4000, "done")
            # the answer is the server's own
            self.assertEqual(opened.close_code, {"websockets": 4000, "autobahn": 1000}[kind])
        line = self.line()
        self.assertEqual((line["status"], line["upstream"]), (101, "one/websockets#1"))
        self.assertGreater(min(line["bytes"], line["received"]), 200_000)

    def test_autobahnAsClient(self) -> None:
        """A client of the other make, against both servers."""
        script = self.node.folder / "client.py"
        script.write_text(AUTOBAHN_CLIENT)
        port = str(self.node.address("https")[1])
        for kind in ("websockets", "autobahn"):
            done = subprocess.run(
                [
                    *(sys.executable, str(script), NAME, port),
                    *(str(self.node.state / "control/ca.pem"), f"/{kind}"),
                ],
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
            # one of the servers echoes the code, the other one answers 1000
            code, reason = (4321, "enough") if kind == "websockets" else (1000, None)
            self.assertEqual(
                json.loads(done.stdout or "null"),
                {
                    "got": [[False, 7], [True, 100_000]],
                    "clean": True,
                    "code": code,
                    "reason": reason,
                },
                done.stderr,
            )

    def test_pools(self) -> None:
        """Servers that are not ours, in front of which compression is agreed by itself."""
        addresses = {}
        for name, source in (("w", WEBSOCKETS), ("a", AUTOBAHN)):
            server = subprocess.Popen(
                [sys.executable, "-c", source],
                stdout=subprocess.PIPE,
                env={**os.environ, "HOST": "127.0.0.1", "PORT": "0"},
            )
            self.addCleanup(server.wait)
            self.addCleanup(server.kill)
            assert server.stdout is not None
            self.addCleanup(server.stdout.close)
            addresses[name] = f"127.0.0.1:{int(server.stdout.readline())}"
        self.node.apply(self.site(**addresses))
        for name in addresses:
            for compression in ("deflate", None):
                opened = self.open(f"/pool-{name}", tls=False, compression=compression)
                self.assertEqual(len(opened.protocol.extensions), int(compression is not None))
                for _ in range(3):
                    opened.send("text " * 20_000)
                    self.assertEqual(opened.recv(PATIENCE), "text " * 20_000)
                opened.close()

    def test_browser(self) -> None:
        """Chromium runs a page of the node that opens a socket and writes what comes."""
        port = self.node.address("https")[1]
        with opened(self.node, f"https://{NAME}:{port}/"):
            query = self.line("/seen")["query"]
        self.assertEqual(urllib.parse.unquote(query), "Grüße 3001")
        # on the connection that the page came by, there since it offers that
        sockets = [line for line in self.node.access_log() if line["status"] == 101]
        self.assertEqual({line["protocol"] for line in sockets}, {"HTTP/2"})


class AskingTests(LiveTests):
    """What does not become a WebSocket."""

    def test_plainMapping(self) -> None:
        """Without the option the app sees a request that asks for nothing."""
        error = self.assertRaises(InvalidStatus, self.open, "/plain")
        self.assertNotEqual(error.response.status_code, 101)
        self.assertEqual(self.line("/plain")["status"], error.response.status_code)

    def test_smuggling(self) -> None:
        """What follows a handshake that is refused is never a tunnel."""
        for path, version in (("/websockets", b"777"), ("/plain", b"13"), ("/", b"13")):
            opened = self.node.connect()
            self.addCleanup(opened.close)
            opened.sendall(
                b"GET %b HTTP/1.1\r\nHost: %b\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: %b\r\n\r\n"
                b"GET /next HTTP/1.1\r\nHost: nobody.localhost\r\nConnection: close\r\n\r\n"
                % (path.encode(), NAME.encode(), version)
            )
            opened.settimeout(PATIENCE)
            answer = b""
            while data := opened.recv(65536):
                answer += data
            self.assertNotIn(b" 101 ", answer)
            # the second request was read as one, and is not for this name
            self.assertTrue(answer.count(b"HTTP/1.1 ") == 2, answer)
            self.assertIn(b"X-Hostedge-Reason: unknown_host", answer)

    def test_explained(self) -> None:
        """`explain` says where upgrades are forwarded."""
        port = self.node.address("https")[1]
        said = self.node.command("explain", f"https://{NAME}:{port}/websockets").stdout
        self.assertIn("upgrades to WebSocket are forwarded", said)
        said = self.node.command("explain", f"https://{NAME}:{port}/plain").stdout
        self.assertNotIn("WebSocket", said)


class EndTests(LiveTests):
    """How it ends when neither side wants it to."""

    settings = "[limits]\nwebsockets = 2\ndrain = 3\ndrain_websockets = 8\n"

    def test_killedApp(self) -> None:
        """The client of an app that dies hears 1012, and may come again."""
        opened = self.open("/websockets")
        opened.send("pid")
        os.kill(int(opened.recv(PATIENCE)), signal.SIGKILL)
        self.assertEqual(self.ended(opened)[0], 1012)
        self.assertEqual(self.line()["cause"], "upstream_died")
        self.open("/websockets").send("again")

    def test_suspended(self) -> None:
        """1008; and nothing new while it lasts."""
        opened = self.open("/websockets")
        site = self.site()
        site["account"] = {"name": "one", "suspended": True}
        self.node.apply(site)
        self.assertEqual(self.ended(opened), (1008, "suspended"))
        error = self.assertRaises(InvalidStatus, self.open, "/websockets")
        self.assertEqual(error.response.status_code, 503)

    def test_drained(self) -> None:
        """A node that ends says 1001 and goes in good time."""
        opened = self.open("/websockets")
        assert self.node.keeper is not None
        self.node.keeper.send_signal(signal.SIGTERM)
        self.assertEqual(self.ended(opened)[0], 1001)
        self.node.keeper.wait(15)

    def test_swapped(self) -> None:
        """A new version of the app serves who comes; who is there may stay, until 1012."""
        opened = self.open("/websockets")
        opened.send("pid")
        first = opened.recv(PATIENCE)
        site = self.site()
        site["apps"][0]["environment"] = {"VERSION": "2"}
        self.node.apply(site)

        def moved() -> bool:
            other = self.open("/websockets")
            other.send("pid")
            second = other.recv(PATIENCE)
            other.close()
            return second != first

        since = time.monotonic()
        wait_for("the new version answers", moved)
        for wait in (0, 4):
            # also when requests of the old one are not waited for any more
            time.sleep(wait)
            opened.send("still there")
            self.assertEqual(opened.recv(PATIENCE), "still there")
        self.assertEqual(self.ended(opened)[0], 1012)
        self.assertGreater(time.monotonic() - since, 6)

    def test_idleApp(self) -> None:
        """An app is not stopped under an open WebSocket, and is stopped after it."""
        site = self.site()
        site["apps"][0]["idle"] = "1s"
        self.node.apply(site)
        opened = self.open("/websockets")
        opened.send("pid")
        first = opened.recv(PATIENCE)
        # others come and go, for longer than an idle app is kept
        for _ in range(30):
            self.open("/websockets").close()
            self.node.get(NAME, "/plain")
        opened.send("pid")
        self.assertEqual(opened.recv(PATIENCE), first)
        opened.close()
        wait_for("it is stopped", lambda: "one/websockets" not in self.node.apps())

    def test_limit(self) -> None:
        """So many on an edge; a 503 then."""
        kept = [self.open("/websockets") for _ in range(2)]
        error = self.assertRaises(InvalidStatus, self.open, "/websockets")
        self.assertEqual(error.response.status_code, 503)
        self.assertEqual(error.response.headers["X-Hostedge-Reason"], "websockets_full")
        kept[0].close()
        wait_for("there is room", lambda: self.line() is not None)
        self.open("/websockets")

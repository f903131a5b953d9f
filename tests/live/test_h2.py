"""HTTP/2 through a node, as curl, nghttp, h2load, Chromium and stalled clients see it."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import ssl
import subprocess
import textwrap
import threading
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SkipTest, TestCase

from tests.http.h2_parts import HELLO, Heard, asked, block, frame
from tests.live.browser import opened
from tests.live.node import PATIENCE, Node, wait_for

NAME = "two.localhost"
SIZE = 3_000_000
APP = """
import hashlib

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path.endswith("/upload"):
        digest, size = hashlib.sha256(), 0
        while piece := environ["wsgi.input"].read(65536):
            digest.update(piece)
            size += len(piece)
        body = ("%s %d" % (digest.hexdigest(), size)).encode()
    elif path.endswith("/large"):
        body = b"0123456789" * 300000
    else:
        body = repr(sorted((k, v) for k, v in environ.items() if k.startswith("HTTP_"))).encode()
        body += environ["REQUEST_METHOD"].encode() + environ.get("QUERY_STRING", "").encode()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]
"""
PAGE = """<!doctype html><title>two</title><p id="p">not yet</p><script>
const all = [...Array(60).keys()].map(n => fetch("/files/" + n + ".txt").then(r => r.text()));
Promise.all(all).then(texts => {
  const right = texts.every((text, n) => text == "file " + n);
  const how = performance.getEntriesByType("resource").map(e => e.nextHopProtocol);
  return fetch("/seen?" + right + "-" + texts.length + "-" + [...new Set(how)].join("+"));
});
</script>"""


class H2Tests(TestCase):
    """One node, one app and a folder of files."""

    def setUp(self) -> None:
        self.node = Node(edges=1, settings="[limits]\nsource_requests = 1000\n")
        self.addCleanup(self.node.stop)
        self.node.write("demo/app/main.py", textwrap.dedent(APP))
        self.node.write("demo/www/page.html", PAGE)
        for number in range(60):
            self.node.write(f"demo/www/files/{number}.txt", f"file {number}")
        (self.node.home("demo") / "www" / "big").write_bytes(os.urandom(1 << 16) * 320)
        self.node.start()
        self.node.apply(
            {
                "account": "demo",
                "domains": [
                    {
                        "name": NAME,
                        "mappings": [
                            {"path": "/", "app": "a"},
                            {"path": "/stream", "app": "s"},
                            {"path": "/files", "static": "www/files"},
                            {"path": "/www", "static": "www"},
                        ],
                    }
                ],
                "apps": [
                    {
                        "name": name,
                        "runtime": "wsgi",
                        "directory": "app",
                        "module": "main:application",
                    }
                    | ({"buffer": "stream"} if name == "s" else {})
                    for name in ("a", "s")
                ],
            }
        )

    # clients

    @property
    def port(self) -> int:
        return self.node.address("https")[1]

    def url(self, path: str) -> str:
        return f"https://{NAME}:{self.port}{path}"

    def curl(self, path: str, *options: str, check: bool = True) -> str:
        done = subprocess.run(
            [
                *("curl", "-sS", "--http2", "--max-time", str(PATIENCE)),
                *("--cacert", str(self.node.state / "control/ca.pem")),
                *("--resolve", f"{NAME}:{self.port}:127.0.0.1", *options, self.url(path)),
            ],
            capture_output=True,
            text=True,
            check=check,
        )
        return done.stdout

    def dial(self, *frames: bytes) -> ssl.SSLSocket:
        context = self.node.tls_context()
        context.set_alpn_protocols(["h2"])
        raw = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        client = context.wrap_socket(raw, server_hostname=NAME)
        self.addCleanup(client.close)
        self.assertEqual(client.selected_alpn_protocol(), "h2")
        client.sendall(HELLO + b"".join(frames))
        return client

    def head(self, number: int, path: str) -> bytes:
        fields = dict(asked("GET", path))
        fields[b":scheme"], fields[b":authority"] = b"https", NAME.encode()
        return frame("HEADERS", 0x5, number, block(list(fields.items())))

    def counters(self) -> dict[str, int]:
        counters: dict[str, int] = self.node.status()["edges"][0]["counters"]
        return counters

    # what they see

    def test_curl(self) -> None:
        """Requests, uploads of any size, HEAD, ranges; HTTP/1.1 for whoever wants that."""
        version = ("-o", "/dev/null", "-w", "%{http_version} %{http_code}")
        self.assertEqual(self.curl("/", *version), "2 200")
        self.assertEqual(self.curl("/", *version, "--http1.1"), "1.1 200")
        told = self.curl("/a?q=1", "-b", "a=1; b=2", "-H", "X-Mine: yes")
        for part in ("('HTTP_COOKIE', 'a=1; b=2')", "('HTTP_X_MINE', 'yes')", "GETq=1"):
            self.assertIn(part, told)
        self.assertIn("('HTTP_X_FORWARDED_PROTO', 'https')", told)
        body = self.node.folder / "body"
        body.write_bytes(os.urandom(SIZE))
        sent = subprocess.run(["sha256sum", body], capture_output=True, text=True).stdout[:64]
        for path in ("", "/stream"):
            for options in ((), ("-H", "Expect: 100-continue")):
                told = self.curl(f"{path}/upload", "--data-binary", f"@{body}", *options)
                self.assertEqual(told, f"{sent} {SIZE}")
            self.assertEqual(len(self.curl(f"{path}/large")), SIZE)
        head = self.curl("/files/1.txt", "-I")
        self.assertIn("content-length: 6", head)
        self.assertNotIn("connection:", head.lower())
        self.assertEqual(self.curl("/files/1.txt", "-r", "2-3"), "le")
        self.assertEqual(self.curl("/www/../../x", "--path-as-is", *version), "2 400")

    def test_nghttp(self) -> None:
        """Many requests at once, whole and by small windows."""
        if shutil.which("nghttp") is None:
            raise SkipTest("nghttp2-client is not installed")
        target = f"https://127.0.0.1:{self.port}/www/big"
        for window in ("16", "20"):
            done = subprocess.run(
                [
                    *("nghttp", "-n", "-s", "-w", window, "-W", window, "-m", "5"),
                    *("-H", f":authority: {NAME}:{self.port}", target),
                ],
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
            self.assertEqual(len(re.findall(r" 200 +20M /www/big", done.stdout)), 5, done.stdout)

    def test_h2load(self) -> None:
        """A few thousand requests, none of which fails."""
        if shutil.which("h2load") is None:
            raise SkipTest("nghttp2-client is not installed")
        for path, count in (("/files/1.txt", "3000"), ("/", "500"), ("/www/big", "20")):
            done = subprocess.run(
                [
                    *("h2load", "-n", count, "-c", "5", "-m", "10"),
                    *(f"--connect-to=127.0.0.1:{self.port}", f"https://{NAME}:{self.port}{path}"),
                ],
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )
            self.assertIn(f"{count} succeeded, 0 failed, 0 errored", done.stdout)
            self.assertIn(f"status codes: {count} 2xx", done.stdout)
        self.assertEqual(self.counters().get("h2_broken", 0), 0)

    def test_browser(self) -> None:
        """Chromium loads a page of sixty files over one connection."""
        with opened(self.node, self.url("/www/page.html")):
            line = wait_for("the page has run", self.seen)
        self.assertEqual(line["query"], "true-60-h2")

    def seen(self) -> Any:
        return next((x for x in self.node.access_log() if x["path"] == "/seen"), None)

    def test_stalledClients(self) -> None:
        """A hundred clients that take nothing cost no time, and others are served meanwhile."""
        clients = [
            self.dial(self.head(1, "/www/big"), self.head(3, "/www/big")) for _ in range(100)
        ]
        wait_for("all have asked", lambda: self.counters().get("http_requests", 0) >= 200)
        (edge,) = self.node.pids("edge")
        before = cpu(edge)
        self.assertEqual(self.curl("/files/7.txt"), "file 7")
        threading.Event().wait(1.0)
        self.assertLess(cpu(edge) - before, 0.1)
        # one of them begins to read after all
        client, heard = clients[0], Heard()
        opened = frame("WINDOW_UPDATE", 0, 0, bytes.fromhex("7f000000"))
        client.sendall(opened + frame("WINDOW_UPDATE", 0, 1, bytes.fromhex("7f000000")))
        rest = b""
        while 1 not in heard.ended:
            rest += client.recv(1 << 20)
            while len(rest) >= 9 and len(rest) >= 9 + (size := int.from_bytes(rest[:3], "big")):
                heard.take(rest[: 9 + size])
                rest = rest[9 + size :]
        big = (self.node.home("demo") / "www" / "big").read_bytes()
        self.assertEqual(heard.bodies[1], big)

    def test_lastAnswerOfAConnection(self) -> None:
        """It arrives whole, also where it lies in the kernel when the node has done with it."""
        context = self.node.tls_context()
        context.set_alpn_protocols(["h2"])
        raw = socket.socket()
        self.addCleanup(raw.close)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        raw.connect(("127.0.0.1", self.port))
        with context.wrap_socket(raw, server_hostname=NAME) as client:
            wide = (1 << 24).to_bytes(4, "big")
            client.sendall(
                HELLO
                + frame("SETTINGS", 0, 0, b"\0\4" + wide)
                + frame("WINDOW_UPDATE", 0, 0, wide)
                + self.head(1, "/stream/large")
                + frame("GOAWAY", 0, 0, bytes(8))
            )
            wait_for("it is answered", self.node.access_log)
            size = 0
            while data := client.recv(65_536):
                size += len(data)
                with contextlib.suppress(OSError):
                    client.sendall(frame("WINDOW_UPDATE", 0, 0, len(data).to_bytes(4, "big")))
        self.assertGreater(size, SIZE)

    def test_rapidReset(self) -> None:
        """Requests that are cancelled as soon as they are made end the connection, and only it."""
        cancel = bytes.fromhex("00000008")
        pairs = [
            self.head(number, "/") + frame("RST_STREAM", 0, number, cancel)
            for number in range(1, 1001, 2)
        ]
        client = self.dial(*pairs)
        told = b""
        while data := client.recv(65536):
            told += data
        heard = Heard()
        heard.take(told)
        self.assertEqual([code for code, _ in heard.goodbyes], ["ENHANCE_YOUR_CALM"])
        self.assertEqual(self.counters()["h2_floods"], 1)
        self.assertEqual(self.curl("/files/7.txt"), "file 7")


def cpu(pid: int) -> float:
    """Seconds of processor time."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

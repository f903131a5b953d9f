"""Proxies before the node: HAProxy says who the client is, in every way it can."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.proxy_protocol import make_binary, make_line
from tests.live.node import Node, wait_for

PATIENCE = 10
SETTINGS = """
proxy_http = ["127.0.0.1:0"]
proxy_https = ["127.0.0.1:0"]
[trust]
proxies = ["127.0.0.0/8"]
"""
APP = """
import json
def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    wanted = {k: v for k, v in environ.items() if k.startswith("HTTP_")}
    return [json.dumps(wanted).encode()]
"""
FRONT = """
global
    nbthread 1
defaults
    mode {mode}
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend front
    bind 127.0.0.1:{port}
    {option}
    default_backend node
backend node
    server node {address} {send}
"""
BEHIND = """
global
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend behind
    bind 127.0.0.1:{port} accept-proxy
    http-request return status 200 content-type text/plain lf-string "%[src]:%[src_port]"
"""


class ProxyTests(SynchronousTestCase):
    """One node for each test, and proxies."""

    def setUp(self) -> None:
        self.node = node = Node(edges=1, settings=SETTINGS)
        self.addCleanup(node.stop)
        node.write("one/app/told.py", APP)
        node.start()
        app = {"name": "told", "runtime": "wsgi", "directory": "app", "module": "told:app"}
        node.apply(
            {
                "account": "one",
                "apps": [app],
                "domains": [{"name": "one.test", "mappings": [{"path": "/", "app": "told"}]}],
            }
        )

    def proxy(self, to: str, send: str, mode: str = "tcp", option: str = "") -> int:
        """An HAProxy before a listener of the node; its port."""
        host, its = self.node.address(to)
        return self.haproxy(FRONT, address=f"{host}:{its}", send=send, mode=mode, option=option)

    def haproxy(self, config: str, **values: str) -> int:
        """A running HAProxy; its port."""
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        text = config.format(port=port, **values)
        file = Path(folder.name) / "haproxy.cfg"
        file.write_text(text)
        program = shutil.which("haproxy")
        assert program
        proxy = subprocess.Popen([program, "-db", "-f", str(file)], stderr=subprocess.DEVNULL)
        self.addCleanup(proxy.wait)
        self.addCleanup(proxy.terminate)

        def listens() -> bool:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
            except OSError:
                return False
            return True

        wait_for("the proxy listens", listens)
        return port

    def told(self, connected: socket.socket, fields: str = "") -> dict[str, Any]:
        """What the app is told on this connection."""
        request = f"GET / HTTP/1.1\r\nHost: one.test\r\n{fields}Connection: close\r\n\r\n"
        connected.sendall(request.encode())
        answer = http.client.HTTPResponse(connected)
        answer.begin()
        self.assertEqual(answer.status, 200)
        return dict(json.loads(answer.read()))

    def secure(self, connected: socket.socket) -> socket.socket:
        return self.node.tls_context().wrap_socket(connected, server_hostname="one.test")

    def counters(self) -> dict[str, int]:
        return dict(self.node.status()["edges"][0]["counters"])

    def test_haproxy(self) -> None:
        """Both versions, over plain and TLS: the app sees the client of HAProxy, and its port."""
        for send in ("send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c"):
            for to in ("proxy-http", "proxy-https"):
                port = self.proxy(to, send)
                source = ("127.0.0.7", 0)
                plain = socket.create_connection(("127.0.0.1", port), PATIENCE, source)
                with self.secure(plain) if to == "proxy-https" else plain as connected:
                    told = self.told(connected)
                self.assertEqual(told["HTTP_X_FORWARDED_FOR"], "127.0.0.7", send)
                self.assertEqual(told["HTTP_X_FORWARDED_PORT"], str(port), send)
                scheme = to.removeprefix("proxy-")
                self.assertEqual(told["HTTP_X_FORWARDED_PROTO"], scheme)

    def test_anyCut(self) -> None:
        """A header in two pieces, the second together with the request or the hello."""
        for make in (make_line, make_binary):
            header = make(("192.0.2.7", 40000), ("198.51.100.1", 4430))
            for to in ("proxy-http", "proxy-https"):
                connected = socket.create_connection(self.node.address(to), PATIENCE)
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connected.sendall(header[:7])
                before = self.counters().get("http_requests", 0)
                connected.sendall(header[7:])
                with self.secure(connected) if to == "proxy-https" else connected as whole:
                    told = self.told(whole)
                self.assertEqual(told["HTTP_X_REAL_IP"], "192.0.2.7")
                self.assertEqual(told["HTTP_X_FORWARDED_PORT"], "4430")
                self.assertEqual(self.counters()["http_requests"], before + 1)
        wait_for(
            "the log has them",
            lambda: [each["client"] for each in self.node.access_log()].count("192.0.2.7") == 4,
        )

    def test_announcedClientIsNotBelieved(self) -> None:
        """The fields of a client whom a trusted proxy announces are a client's."""
        connected = socket.create_connection(self.node.address("proxy-http"), PATIENCE)
        with connected:
            connected.sendall(make_line(("192.0.2.7", 1), ("198.51.100.1", 80)))
            told = self.told(connected, "X-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\n")
        self.assertEqual(told["HTTP_X_FORWARDED_FOR"], "192.0.2.7")
        self.assertEqual(told["HTTP_X_REAL_IP"], "192.0.2.7")

    def test_fieldsOfATrustedProxy(self) -> None:
        """By the custom field and by the standard one, a chain of trusted proxies is followed."""
        for option, field in (
            ("option forwardfor", "X-Forwarded-For: 6.6.6.6, 1.2.3.4"),
            ("http-request add-header Forwarded for=%[src]", "Forwarded: for=6.6.6.6, for=1.2.3.4"),
        ):
            port = self.proxy("http", "", "http", option)
            source = ("127.0.0.7", 0)
            with socket.create_connection(("127.0.0.1", port), PATIENCE, source) as connected:
                told = self.told(connected, f"{field}\r\n")
            self.assertEqual(told["HTTP_X_REAL_IP"], "1.2.3.4", option)
            chain = "1.2.3.4, 127.0.0.7, 127.0.0.1"
            self.assertEqual(told["HTTP_X_FORWARDED_FOR"], chain, option)

    def test_withoutAHeader(self) -> None:
        """Whoever does not announce a client is shut out, counted, and reaches nothing."""
        before = self.counters()
        for to in ("proxy-http", "proxy-https"):
            with socket.create_connection(self.node.address(to), PATIENCE) as connected:
                connected.sendall(b"GET / HTTP/1.1\r\nHost: one.test\r\n\r\n")
                try:
                    self.assertEqual(connected.recv(100), b"")
                except ConnectionResetError:
                    pass
        after = self.counters()
        self.assertEqual(after["proxy_refused"], before.get("proxy_refused", 0) + 2)
        self.assertEqual(after.get("http_requests", 0), before.get("http_requests", 0))

    def test_loop(self) -> None:
        """A pool that leads back to the node is left after three rounds."""
        host, port = self.node.address("http")
        pool = {"name": "self", "servers": [{"address": f"{host}:{port}"}]}
        self.node.apply(
            {
                "account": "two",
                "pools": [pool],
                "domains": [{"name": "two.test", "mappings": [{"path": "/", "pool": "self"}]}],
            }
        )
        answer = self.node.get("two.test")
        self.assertEqual(answer.status, 508)
        self.assertEqual(self.counters()["refused_loop"], 1)

    def test_serversBehind(self) -> None:
        """An HAProxy behind the node learns each client from its own connection's header."""
        pools = [
            {
                "name": version,
                "servers": [{"address": f"127.0.0.1:{self.haproxy(BEHIND)}"}],
                "proxy_protocol": version,
            }
            for version in ("v1", "v2")
        ]
        mappings = [{"path": f"/{pool['name']}", "pool": pool["name"]} for pool in pools]
        domain = {"name": "two.test", "mappings": mappings}
        self.node.apply({"account": "two", "pools": pools, "domains": [domain]})
        for source in ("127.0.0.1", "127.0.0.9"):
            connected = socket.create_connection(self.node.address("http"), PATIENCE, (source, 0))
            self.addCleanup(connected.close)
            port = connected.getsockname()[1]
            for version in ("v1", "v2", "v1"):
                connected.sendall(f"GET /{version} HTTP/1.1\r\nHost: two.test\r\n\r\n".encode())
                answer = http.client.HTTPResponse(connected)
                answer.begin()
                # both addresses are trusted, and say nothing of anybody else
                self.assertEqual(answer.read().decode(), f"{source}:{port}")

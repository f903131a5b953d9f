"""What servers behind a node are told, and whom it takes requests for, as its files say."""

from __future__ import annotations

import socket

from twisted.trial.unittest import SynchronousTestCase

from tests.live.node import PATIENCE, Node
from tests.live.recorder import Arrived, Recorder

NAME = "options.localhost"


class OptionTests(SynchronousTestCase):
    """One node with a default site, and a recorder behind it."""

    def setUp(self) -> None:
        self.behind = Recorder()
        self.addCleanup(self.behind.close)
        self.node = Node(edges=1)
        self.addCleanup(self.node.stop)
        file = self.node.settings
        file.write_text(f'default_site = "{NAME}"\n{file.read_text()}')
        self.node.start()
        self.address = f"127.0.0.1:{self.behind.port}"
        pool = {"name": "p", "servers": [{"address": self.address}], "forwarded": True}
        mappings = [
            {"path": "/", "pool": "p", "host": "server"},
            {"path": "/named", "pool": "p", "host": "shop.internal", "keep": ["x_token"]},
            {"path": "/plain", "pool": "p", "forwarded": False},
        ]
        domain = {"name": NAME, "mappings": mappings}
        self.node.apply({"account": "demo", "pools": [pool], "domains": [domain]})

    def arrived(self, path: str, tls: bool = False) -> dict[str, str]:
        """Fields as they reached the server."""
        self.node.get(NAME, path, tls, {"X_Token": "1", "Forwarded": "for=6.6.6.6"})
        return fields_of(self.behind.take())

    def test_pools(self) -> None:
        """A pool's wishes hold for all its mappings, but where one of them says otherwise."""
        told = self.arrived("/", tls=True)
        self.assertEqual(told["host"], self.address)
        self.assertEqual(told["x-forwarded-host"], NAME)
        self.assertEqual(told["forwarded"], f"for=127.0.0.1;host={NAME};proto=https")
        self.assertNotIn("x_token", told)
        told = self.arrived("/named")
        self.assertEqual((told["host"], told["x_token"]), ("shop.internal", "1"))
        self.assertEqual(told["forwarded"], f"for=127.0.0.1;host={NAME};proto=http")
        told = self.arrived("/plain")
        self.assertEqual(told["host"], NAME)
        self.assertNotIn("forwarded", told)
        said = self.node.command("explain", f"http://{NAME}/named").stdout
        self.assertIn("`Host` says shop.internal", said)

    def test_defaultSite(self) -> None:
        """A request of HTTP/1.0 that names nobody is for the default site, over TLS as well."""
        for tls in (False, True):
            with self.node.connect(NAME, tls) as client:
                client.sendall(b"OPTIONS /plain HTTP/1.0\r\n\r\n")
                self.assertTrue(answer_of(client).startswith(b"HTTP/1.1 200 "))
            self.assertEqual(fields_of(self.behind.take())["host"], NAME)
        with self.node.connect() as client:
            client.sendall(b"OPTIONS /plain HTTP/1.1\r\n\r\n")
            self.assertTrue(answer_of(client).startswith(b"HTTP/1.1 400 "))


def answer_of(client: socket.socket) -> bytes:
    client.settimeout(PATIENCE)
    data = b""
    while more := client.recv(65536):
        data += more
    return data


def fields_of(arrived: list[Arrived]) -> dict[str, str]:
    (one,) = arrived
    return {name.decode().lower(): value.decode() for name, value in one.fields}

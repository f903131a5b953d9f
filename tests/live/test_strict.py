"""What browsers are told to keep in mind of a name, over TLS and without."""

from __future__ import annotations

import http.client
import socket

from twisted.trial.unittest import SynchronousTestCase

from tests.http.h2_parts import HELLO, Heard, asked, block, frame
from tests.live.node import PATIENCE, Node

NAME = "strict.localhost"
FIELD = "Strict-Transport-Security"
VALUE = "max-age=86400; includeSubDomains"


class StrictTests(SynchronousTestCase):
    """One node, and a site that asks for TLS."""

    def setUp(self) -> None:
        self.node = Node(edges=1)
        self.addCleanup(self.node.stop)
        self.node.write("demo/www/a.txt", "a")
        self.node.start()
        self.apply({"max_age": "1d", "include_subdomains": True})

    def apply(self, hsts: object) -> None:
        mappings = [{"path": "/old", "redirect": "/new"}, {"path": "/www", "static": "www"}]
        domain = {"name": NAME, "hsts": hsts, "mappings": mappings}
        self.node.apply({"account": "demo", "domains": [domain]})

    def answer(self, path: str, tls: bool) -> http.client.HTTPResponse:
        connection = self.node.connection(NAME, tls)
        self.addCleanup(connection.close)
        connection.request("GET", path)
        return connection.getresponse()

    def test_http1(self) -> None:
        """Files, redirects and all refusals say it, over TLS alone; no more once it is gone."""
        for path, status in (("/www/a.txt", 200), ("/old", 308), ("/no", 404), ("/%zz", 400)):
            for tls in (True, False):
                answer = self.answer(path, tls)
                self.assertEqual(answer.status, status)
                self.assertEqual(answer.headers.get_all(FIELD), [VALUE] if tls else None)
        self.apply(None)
        self.assertIsNone(self.answer("/old", True).headers.get(FIELD))

    def test_http2(self) -> None:
        """The same over HTTP/2."""
        context = self.node.tls_context()
        context.set_alpn_protocols(["h2"])
        plain = socket.create_connection(self.node.address("https"), PATIENCE)
        with context.wrap_socket(plain, server_hostname=NAME) as client:
            fields = dict(asked("GET", "/old")) | {
                b":authority": NAME.encode(),
                b":scheme": b"https",
            }
            goodbye = frame("GOAWAY", 0, 0, bytes(8))
            client.sendall(HELLO + frame("HEADERS", 0x5, 1, block([*fields.items()])) + goodbye)
            data = b""
            while piece := client.recv(65536):
                data += piece
        heard = Heard()
        heard.take(data)
        self.assertEqual(heard.statuses[1], [308])
        self.assertEqual(dict(heard.fields[1])[FIELD.lower().encode()], VALUE.encode())

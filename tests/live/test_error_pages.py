"""What visitors see of a refusal: a site's own page, and whose site a connection is for."""

from __future__ import annotations

import http.client
import socket
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.node import Node

PAGE = "<!doctype html><p>ours: {{status}} {{id}}"


def site(account: str, *names: str, **domain: Any) -> dict[str, Any]:
    mapping = {"path": "/old", "redirect": "/new"}
    domains = [{"name": name, "mappings": [mapping], **domain} for name in names]
    return {"account": account, "domains": domains}


class ErrorPageTests(SynchronousTestCase):
    """A node with two edges and the sites of two accounts."""

    def setUp(self) -> None:
        self.node = Node()
        self.addCleanup(self.node.stop)
        self.node.start()
        self.node.apply(site("one", "a.localhost", "b.localhost"), site("two", "c.localhost"))

    def page(self, accept: str) -> tuple[int, str]:
        connection = self.node.connection("a.localhost")
        self.addCleanup(connection.close)
        connection.request("GET", "/nothing", headers={"Accept": accept})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def test_ownPage(self) -> None:
        """It is live on every edge when the call returns, gone when it is taken away again."""
        for pages, ours in (([{"status": "4xx", "page": PAGE}], True), ([], False)):
            self.node.apply(site("one", "a.localhost", errors=pages))
            for _ in range(8):
                status, text = self.page("text/html")
                self.assertEqual(status, 404)
                self.assertEqual(text.startswith("<!doctype html><p>ours: 404 "), ours)

    def test_programs(self) -> None:
        """Who wants JSON gets it, whatever pages the site has."""
        self.node.apply(site("one", "a.localhost", errors=[{"status": 404, "page": PAGE}]))
        self.assertIn('"cause": "no_mapping"', self.page("application/json")[1])

    def test_misdirected(self) -> None:
        """A TLS connection made for one account's name serves that account's names only."""
        host, port = self.node.address("https")
        for asked, status in (
            *(("a.localhost", 308), ("b.localhost", 308), ("c.localhost", 421)),
            *(("nowhere.localhost", 421), ("a.localhost", 308)),
        ):
            connected = self.node.tls_context().wrap_socket(
                socket.create_connection((host, port), 10), server_hostname="a.localhost"
            )
            self.addCleanup(connected.close)
            connected.sendall(f"GET /old HTTP/1.1\r\nHost: {asked}\r\n\r\n".encode())
            answer = http.client.HTTPResponse(connected)
            answer.begin()
            self.assertEqual(answer.status, status, asked)

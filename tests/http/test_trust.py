"""Whose requests say who has sent them."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.onward_head import make_head
from hostedge.http.trust import believing
from hostedge.wire.networks import Networks, parse_networks
from tests.http.parts import Scene, Waiting

# what the client's end of a test's connection has for an address
PEER = "192.168.1.1"
ID = "0199aaaa-bbbb-7ccc-8ddd-eeeeeeeeee02"
PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class TrustTests(SynchronousTestCase):
    """What an exchange says once it is routed."""

    def ask(self, *lines: bytes, trusted: str = PEER, depth: int = 0) -> Any:
        leaf = Waiting()
        scene = Scene(believing(leaf, parse_networks([trusted]), lambda: ID, depth))
        protocol, _ = scene.connect()
        protocol.dataReceived(b"\r\n".join((b"GET / HTTP/1.1", b"Host: a.test", *lines, b"", b"")))
        return leaf.exchanges[0]

    def test_trusted(self) -> None:
        """A trusted peer's word replaces what is seen, for the log and for the app."""
        exchange = self.ask(
            b"X-Forwarded-For: 6.6.6.6, 1.2.3.4",
            b"X-Forwarded-Proto: https",
            b"X-Forwarded-Port: 443",
            b"X-Request-ID: theirs",
            b"traceparent: " + PARENT,
            b"tracestate: a=1",
        )
        self.assertEqual((exchange.client, exchange.client_port), ("1.2.3.4", 0))
        self.assertEqual((exchange.scheme, exchange.local_port), (b"https", 443))
        self.assertEqual(exchange.id, "theirs")
        head = make_head(exchange, 0).split(b"\r\n")
        for line in (
            b"X-Forwarded-For: 1.2.3.4, " + PEER.encode(),
            b"X-Real-IP: 1.2.3.4",
            b"X-Forwarded-Proto: https",
            b"X-Forwarded-Port: 443",
            b"X-Request-ID: theirs",
            b"traceparent: " + PARENT,
            b"tracestate: a=1",
        ):
            self.assertEqual(head.count(line), 1, line)

    def test_depth(self) -> None:
        """Where their number is known, only the peer's own address is asked for."""
        line = b"X-Forwarded-For: 6.6.6.6, 1.2.3.4, 5.6.7.8"
        for trusted, client in ((PEER, "1.2.3.4"), ("10.0.0.0/8", PEER)):
            self.assertEqual(self.ask(line, trusted=trusted, depth=2).client, client)

    def test_untrusted(self) -> None:
        """Of anybody else nothing is believed, and nothing of it travels on."""
        for trusted in ("10.0.0.0/8", "192.168.1.2"):
            exchange = self.ask(
                b"X-Forwarded-For: 1.2.3.4",
                b"X-Forwarded-Proto: https",
                b"X-Request-ID: theirs",
                b"traceparent: " + PARENT,
                b"tracestate: a=1",
                trusted=trusted,
            )
            head = make_head(exchange, 0)
            for claim in (b"1.2.3.4", b"https", b"theirs", PARENT, b"a=1"):
                self.assertNotIn(claim, head)
            self.assertEqual(exchange.client, PEER)

    def test_silence(self) -> None:
        """A trusted peer that says nothing is the client."""
        exchange = self.ask()
        self.assertEqual((exchange.client, exchange.hops, exchange.id), (PEER, (), "the-id"))

    def test_traceOfAKeptId(self) -> None:
        """An id that is kept names no trace: one begins, and a hundredth or so is sampled."""
        head = make_head(self.ask(b"X-Request-ID: theirs"), 0)
        self.assertIn(
            b"\r\ntraceparent: 00-0199aaaabbbb7ccc8dddeeeeeeeeee02-8dddeeeeeeeeee02-01\r\n", head
        )

    def test_nobody(self) -> None:
        """Where nobody is trusted, a request is not looked at."""
        route = Waiting()
        self.assertIs(believing(route, Networks(), lambda: ID), route)

"""`OPTIONS *` over both protocols."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.asterisk import ASTERISK
from hostedge.http.exchange import Exchange, Leaf
from hostedge.http.h2 import H2
from hostedge.http.refusal import ALLOW
from tests.http.h2_parts import HELLO, Heard, request
from tests.http.parts import ClientEnd, Scene, split_answers


def nobody(exchange: Exchange) -> Leaf | str:
    """A router that must not be asked."""
    raise AssertionError(exchange.path)


class AsteriskTests(SynchronousTestCase):
    """Who asks the node as a whole."""

    def test_http1(self) -> None:
        """It is answered before any host is looked up, also with a body; the connection lives."""
        scene = Scene(nobody)
        protocol, client = scene.connect()
        for text in (
            b"OPTIONS * HTTP/1.1\r\nHost: nobody.knows\r\n\r\n",
            b"OPTIONS http://nobody.knows HTTP/1.1\r\nHost: nobody.knows\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
        ):
            protocol.dataReceived(text)
            ((status, fields, body),) = split_answers(client.value())
            client.clear()
            self.assertEqual((status, fields[b"allow"], body), (204, ALLOW, b""), text)
            self.assertNotIn(b"content-length", fields)
        self.assertFalse(client.ended)
        self.assertEqual([ended.status for ended in scene.recorded], [204] * 3)

    def test_http2(self) -> None:
        """The same over HTTP/2."""
        scene = Scene(nobody)
        protocol, client = H2(scene.entrance), ClientEnd()
        client.protocol = protocol
        protocol.makeConnection(client)
        protocol.dataReceived(HELLO + request(1, "OPTIONS", "*"))
        heard = Heard()
        heard.take(client.value())
        self.assertEqual((heard.statuses, heard.ended), ({1: [204]}, {1}))
        self.assertIn((b"allow", ALLOW), heard.fields[1])

    def test_explain(self) -> None:
        """It says what it does."""
        self.assertEqual(len(ASTERISK.explain()), 1)

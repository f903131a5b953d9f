"""
What we rely on in Autobahn.

A release that handles its handshake, its streaming callbacks or its failures in another way fails
here first.
"""

from __future__ import annotations

from autobahn.websocket.protocol import WebSocketProtocol
from twisted.internet.interfaces import IConsumer, ITransport
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hostedge.settings import Limits
from hostedge.ws.ends import End
from hostedge.ws.shaken import OFFER, Listening, Shaken
from tests.ws.heard import Heard

HELLO = b"\x81\x85\x00\x00\x00\x00hello"


class ShakenTests(SynchronousTestCase):
    """Protocols that are open before a byte was sent."""

    def setUp(self) -> None:
        self.shaken = Shaken(Clock(), Limits())

    def couple(self, end: End) -> tuple[StringTransport, Heard]:
        transport, heard = StringTransport(), Heard()
        end.couple(transport, heard, heard)  # type: ignore[arg-type]
        return transport, heard

    def test_nothingOfTheHandshakeIsSent(self) -> None:
        """Both begin in the open state, with a transport on which nothing was written."""
        client, agreed = self.shaken.client(b"")
        app = self.shaken.app(b"")
        assert app is not None
        self.assertEqual(agreed, b"")
        for end in (client, app):
            self.assertEqual(end.state, WebSocketProtocol.STATE_OPEN)
            transport, _ = self.couple(end)
            self.assertEqual(transport.value(), b"")
            end.sendCloseFrame(1012, b"x")
            self.assertTrue(transport.value().startswith(b"\x88"), transport.value())

    def test_listening(self) -> None:
        """The transport of the handshake is one."""
        verifyObject(ITransport, Listening())
        verifyObject(IConsumer, Listening())

    def test_noTimers(self) -> None:
        """All waiting is ours: no reactor is asked for anything."""
        clock = Clock()
        shaken = Shaken(clock, Limits())
        end, _ = shaken.client(b"")
        self.couple(end)
        end.sendCloseFrame(1000)
        self.assertEqual(clock.getDelayedCalls(), [])
        for name in ("openHandshakeTimeoutCall", "closeHandshakeTimeoutCall"):
            self.assertIsNone(getattr(end, name))

    def test_streamed(self) -> None:
        """Callbacks come for each piece, and `current_frame` says which fragment is the last."""
        end, _ = self.shaken.client(b"")
        _, heard = self.couple(end)
        for piece in (b"\x01\x83\x00\x00\x00\x00ab", b"c\x80\x82\x00\x00\x00\x00d", b"e"):
            end.dataReceived(piece)
        self.assertEqual(
            heard.log,
            [("begin", False), (b"ab", False), (b"c", False), (b"d", False), (b"e", True)],
        )

    def test_plainAfterStreamed(self) -> None:
        """Between messages plain frames pass by Autobahn again."""
        end, _ = self.shaken.client(b"")
        _, heard = self.couple(end)
        end.dataReceived(b"\x01\x80\x00\x00\x00\x00\x80")
        end.dataReceived(b"\x80\x00\x00\x00\x00")
        self.assertEqual(heard.log, [("begin", False), (b"", True)])
        end.dataReceived(HELLO[:4])
        self.assertEqual(heard.transport.value(), b"")
        end.dataReceived(HELLO[4:])
        self.assertEqual(heard.transport.value(), HELLO)
        self.assertEqual(len(heard.log), 2)

    def test_failures(self) -> None:
        """A breach is answered with a close frame, is told, and nothing more is heard."""
        end, _ = self.shaken.client(b"")
        transport, heard = self.couple(end)
        end.dataReceived(b"\x81\x05hello" + HELLO)
        self.assertEqual(transport.value()[:4], b"\x88" + transport.value()[1:2] + b"\x03\xea")
        self.assertEqual(heard.log, ["broke"])
        end.dataReceived(HELLO)
        self.assertEqual((heard.log, heard.transport.value()), (["broke"], b""))

    def test_deflateForClients(self) -> None:
        """Agreed where it is offered; an offer that is not valid, or not ours, is declined."""
        self.assertEqual(
            self.shaken.client(b"permessage-deflate; client_max_window_bits")[1],
            b"permessage-deflate",
        )
        both = b"permessage-deflate; server_max_window_bits=9; server_no_context_takeover"
        agreed = self.shaken.client(both)[1]
        self.assertIn(b"server_max_window_bits=9", agreed)
        self.assertIn(b"server_no_context_takeover", agreed)
        for offers in (
            b"permessage-deflate; server_max_window_bits=99",
            b"permessage-deflate; nonsense",
            b"permessage-bzip2",
            b"x-webkit-deflate-frame",
            b";;=,,\xff",
        ):
            end, agreed = self.shaken.client(offers)
            self.assertEqual((agreed, end.websocket_extensions_in_use), (b"", []), offers)
            self.assertEqual(end.state, WebSocketProtocol.STATE_OPEN)

    def test_deflateForApps(self) -> None:
        """What an app agrees to must be an answer to the offer."""
        app = self.shaken.app(b"permessage-deflate; client_max_window_bits=10")
        assert app is not None
        self.assertEqual(len(app.websocket_extensions_in_use), 1)
        for agreed in (b"x-other", b"permessage-deflate; nonsense", b"permessage-bzip2", b"\xff"):
            self.assertIsNone(self.shaken.app(agreed), agreed)
        self.assertIn(b"permessage-deflate", OFFER)

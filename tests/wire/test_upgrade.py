"""Opening handshakes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.upgrade import Opening, accept_for, asks_for, key_of, opens, protocols_of

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ASKING = [
    (b"Upgrade", b"websocket"),
    (b"Connection", b"keep-alive, Upgrade"),
    (b"Sec-WebSocket-Key", KEY),
    (b"Sec-WebSocket-Version", b"13"),
]
GRANTING = [
    (b"Upgrade", b"WebSocket"),
    (b"Connection", b"Upgrade"),
    (b"Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
]


def changed(fields: list[tuple[bytes, bytes]], name: bytes, *values: bytes) -> object:
    """The same fields, this one with other values."""
    return [item for item in fields if item[0] != name] + [(name, value) for value in values]


class AskingTests(SynchronousTestCase):
    """RFC 6455 section 4.2.1."""

    def test_valid(self) -> None:
        """The handshake of a browser, names and tokens in any case."""
        self.assertEqual(asks_for(b"GET", "1.1", ASKING), "websocket")
        loud = [(name.upper(), value) for name, value in ASKING]
        self.assertEqual(asks_for(b"GET", "1.1", loud), "websocket")
        listed = changed(ASKING, b"Upgrade", b"h2c, WebSocket")
        self.assertEqual(asks_for(b"GET", "1.1", listed), "websocket")
        self.assertEqual(key_of(ASKING), KEY)

    def test_nothingAsked(self) -> None:
        """Other upgrades, and none, ask for nothing."""
        self.assertEqual(asks_for(b"GET", "1.1", changed(ASKING, b"Upgrade", b"h2c")), "")
        self.assertEqual(asks_for(b"GET", "1.1", changed(ASKING, b"Upgrade")), "")

    def test_version(self) -> None:
        """Another version, none, or two of them."""
        for values in ((b"777",), (b"8",), (), (b"13", b"13")):
            fields = changed(ASKING, b"Sec-WebSocket-Version", *values)
            self.assertEqual(asks_for(b"GET", "1.1", fields), "websocket_version")

    def test_invalid(self) -> None:
        """Whatever else is missing, doubled or malformed."""
        for method, version, fields in (
            (b"POST", "1.1", ASKING),
            (b"GET", "1.0", ASKING),
            (b"GET", "1.1", changed(ASKING, b"Connection", b"keep-alive")),
            (b"GET", "1.1", changed(ASKING, b"Sec-WebSocket-Key")),
            (b"GET", "1.1", changed(ASKING, b"Sec-WebSocket-Key", KEY, KEY)),
            (b"GET", "1.1", changed(ASKING, b"Sec-WebSocket-Key", b"c2hvcnQ=")),
            (b"GET", "1.1", changed(ASKING, b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ!!")),
            (b"GET", "1.1", [*ASKING, (b"Content-Length", b"3")]),
            (b"GET", "1.1", [*ASKING, (b"Transfer-Encoding", b"chunked")]),
        ):
            self.assertEqual(asks_for(method, version, fields), "websocket_handshake", fields)


class GrantingTests(SynchronousTestCase):
    """RFC 6455 section 4.1, the client's part."""

    def test_accept(self) -> None:
        """The example of RFC 6455 section 1.3."""
        self.assertEqual(accept_for(KEY), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")

    def test_valid(self) -> None:
        """With no subprotocol, or one of those that were offered."""
        opening = Opening(KEY, (b"chat", b"v2.chat"))
        self.assertTrue(opens(GRANTING, opening))
        chosen = [*GRANTING, (b"Sec-WebSocket-Protocol", b"v2.chat")]
        self.assertTrue(opens(chosen, opening))
        self.assertTrue(opens([*GRANTING, (b"Content-Length", b"0")], opening))

    def test_invalid(self) -> None:
        """No upgrade, another key's accept, a subprotocol that nobody wanted, a body."""
        for fields in (
            changed(GRANTING, b"Upgrade"),
            changed(GRANTING, b"Upgrade", b"h2c"),
            changed(GRANTING, b"Upgrade", b"websocket", b"websocket"),
            changed(GRANTING, b"Connection", b"close"),
            changed(GRANTING, b"Sec-WebSocket-Accept"),
            changed(GRANTING, b"Sec-WebSocket-Accept", accept_for(b"x" * 24)),
            [*GRANTING, (b"Sec-WebSocket-Protocol", b"other")],
            [*GRANTING, (b"Content-Length", b"5")],
            [*GRANTING, (b"Content-Length", b"0"), (b"content-length", b"5")],
            [*GRANTING, (b"Transfer-Encoding", b"chunked")],
            [*GRANTING, (b"Sec-WebSocket-Protocol", b"a"), (b"Sec-WebSocket-Protocol", b"a")],
        ):
            self.assertFalse(opens(fields, Opening(KEY, (b"a",))), fields)

    def test_protocols(self) -> None:
        """Offers may stand in one field or in several."""
        fields = [(b"Sec-WebSocket-Protocol", b"a, b"), (b"sec-websocket-protocol", b"c")]
        self.assertEqual(protocols_of(fields), (b"a", b"b", b"c"))
        self.assertEqual(protocols_of([]), ())

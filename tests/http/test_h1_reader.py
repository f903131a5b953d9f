"""The reader alone: the same events however the bytes are cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import BadRequest
from hostedge.http.h1_reader import END, FEED, RequestReader, check_head, read_target
from tests.http.parts import with_limits

TEXT = (
    b"POST /a?b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n"
    b"GET /2 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nX-Empty:\r\n\r\n"
    b"PUT /3 HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\nab"
    b"GET /4 HTTP/1.0\r\n\r\n"
)
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"


def joined(events: list[object]) -> list[object]:
    """The same events with neighbouring pieces of a body put together."""
    out: list[object] = []
    for event in events:
        if isinstance(event, bytes) and out and isinstance(out[-1], bytes):
            out[-1] += event
        else:
            out.append(event)
    return out


class ReaderTests(SynchronousTestCase):
    """From bytes to events."""

    def read(self, *pieces: bytes) -> list[object]:
        reader = RequestReader()
        for piece in pieces:
            reader.feed(piece)
        return joined(reader.events)

    def test_events(self) -> None:
        """Heads, bodies and ends come out in order, trailers do not, upgrades change nothing."""
        events = self.read(TEXT)
        heads = [event for event in events if isinstance(event, tuple)]
        self.assertEqual([head[1] for head in heads], [b"/a?b", b"/2", b"/3", b"/4"])
        self.assertEqual(
            [e for e in events if not isinstance(e, tuple)], [b"abc", END, END, b"ab", END, END]
        )
        self.assertEqual((heads[1][2][-1], heads[3][3]), ((b"X-Empty", b""), "1.0"))

    def test_everySplit(self) -> None:
        """Cut at any position, and byte by byte, the events are the same."""
        whole = self.read(TEXT)
        for cut in range(1, len(TEXT)):
            self.assertEqual(self.read(TEXT[:cut], TEXT[cut:]), whole)
        self.assertEqual(self.read(*(TEXT[i : i + 1] for i in range(len(TEXT)))), whole)

    def check_cuts(self, text: bytes, heads: int, fault: str) -> None:
        """So many heads and then the fault, or none, in one piece and cut anywhere."""
        whole = self.read(text)
        found = [event for event in whole if isinstance(event, tuple)]
        self.assertEqual(len(found), heads, text)
        last = whole[-1] if whole and isinstance(whole[-1], str) else ""
        self.assertEqual(last, fault, text)
        for cut in range(1, len(text), max(1, len(text) // 100)):
            self.assertEqual(self.read(text[:cut], text[cut:]), whole, (text, cut))
        if len(text) < 1000:
            self.assertEqual(self.read(*(text[i : i + 1] for i in range(len(text)))), whole, text)

    def test_emptyLines(self) -> None:
        """One may stand before a request, and it is a whole one (RFC 9112 section 2.2)."""
        for text, heads, fault in (
            (b"\r\n" + GET, 1, ""),
            (GET + b"\r\n" + GET, 2, ""),
            (POST + b"\r\n" + GET, 2, ""),
            (GET + b"\r\n", 1, ""),
            (b"\r\n\r\n" + GET, 0, "bad_request"),
            (b"\r\n" * 3000 + GET, 0, "bad_request"),
            (b"\n" + GET, 0, "bad_request"),
            (b"\n\n" + GET, 0, "bad_request"),
            (b"\r" + GET, 0, "bad_request"),
            (b"\r\r\n" + GET, 0, "bad_request"),
            (b" " + GET, 0, "bad_request"),
            (GET + b"\r\n\r\n" + GET, 1, "bad_request"),
            (GET + b"\r\r\n\r\n", 1, "bad_request"),
            (GET + b"\n" + GET, 1, "bad_request"),
            (GET + GET + b"\r\n\r\n" + GET, 2, "bad_request"),
        ):
            self.check_cuts(text, heads, fault)

    def test_firstLine(self) -> None:
        """Blanks are where they belong, one each, and it is HTTP that is spoken."""
        for line, fault in (
            (b"GET / HTTP/1.1", ""),
            (b"GET  / HTTP/1.1", "bad_request"),
            (b"GET /  HTTP/1.1", "bad_request"),
            (b"GET / HTTP/1.1 ", "bad_request"),
            (b"GET /\tHTTP/1.1", "bad_request"),
            (b"GET / RTSP/1.0", "bad_request"),
            (b"GET /", "bad_request"),
            (b"GET / ", "bad_request"),
            (b"GET / HTTP/1.2", "version"),
            (b"TRACK / HTTP/1.1", "method"),
            (b"TRAC / HTTP/1.1", "bad_request"),
        ):
            text = line + b"\r\nHost: a\r\n\r\n"
            for before, heads in ((b"", 0), (GET, 1), (GET + GET, 2), (POST, 1)):
                self.check_cuts(before + text, heads + (not fault), fault)

    def test_withoutVersion(self) -> None:
        """What HTTP/0.9 would be is no request, with any end of its line."""
        for text in (b"GET /\r\n\r\n", b"GET /\nHost: a\r\n\r\n", b"GET /\r\n\r\n" + GET):
            self.check_cuts(text, 0, "bad_request")

    def test_requestsInARow(self) -> None:
        """Bodies and upgrades among them change nothing."""
        upgrade = GET[:-2] + b"Connection: upgrade\r\nUpgrade: x\r\n\r\n"
        for text, heads in (
            (GET * 5, 5),
            (GET + POST + GET, 3),
            (POST + GET + GET, 3),
            (upgrade + GET, 2),
            (GET + upgrade, 2),
            (GET + CHUNKED + GET, 3),
            (GET + GET[:-2] + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + GET, 3),
        ):
            self.check_cuts(text, heads, "")
        self.check_cuts(GET + GET[:-2] + b"Connection: close\r\n\r\n" + GET, 2, "bad_request")
        self.check_cuts(GET + b"x y", 1, "bad_request")

    def test_chunks(self) -> None:
        """What the parser does not bound is bounded; data before a bad line is data."""
        head = CHUNKED.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
        good = b"3\r\nabc\r\n"
        for body in (
            b"0" * 17 + b"2\r\nab\r\n0\r\n\r\n",
            b"0" * 200 + b"\r\n\r\n",
            b"2;" + b"x" * 299 + b"\r\nab\r\n0\r\n\r\n",
            b"0\r\n" + b"A: b\r\n" * 17 + b"\r\n",
            b"0\r\nA: " + b"b" * 9000 + b"\r\n\r\n",
        ):
            self.check_cuts(head + good + body, 1, "bad_request")
            self.assertEqual(self.read(head + good + body)[1:], [b"abc", "bad_request"])
        for body in (
            b"0" * 15 + b"2\r\nab\r\n0\r\n\r\n",
            b"2;" + b"x" * 200 + b"\r\nab\r\n0\r\n\r\n",
            b"0\r\n" + b"A: b\r\n" * 16 + b"\r\n",
        ):
            self.check_cuts(head + good + body + GET, 2, "")

    def test_brokenBytes(self) -> None:
        """Of a request behind others it is kept what is wrong, and nothing that stood before."""
        for text, seen in (
            (GET + b"  bad", b"  bad"),
            (GET + b"GET  / HTTP/1.1\r\n\r\n", b"GET  / HTTP/1.1\r\n\r\n"),
            (GET + b"GET  / HTTP/1.1\r\n\r\n" + GET, b"GET  / HTTP/1.1\r\n\r\n" + GET),
            (CHUNKED[:-5] + b"zz\r\nabc", b"zz\r\n"),
        ):
            reader = RequestReader()
            reader.feed(text)
            self.assertEqual(reader.seen, seen)

    def test_cookies(self) -> None:
        """Cookies are one field to an app, however many fields they came in."""
        for count, allowed in ((15, True), (17, False)):
            crumbs = b"".join(b"Cookie: c%d=%b\r\n" % (n, b"x" * 1010) for n in range(count))
            text = b"GET / HTTP/1.1\r\nHost: a\r\n" + crumbs + b"\r\n"
            *_, event = self.read(text[:FEED], text[FEED:])
            self.assertEqual(event, END if allowed else "large_head")

    def test_nodesLimits(self) -> None:
        """A node may take less than usual, or more."""

        def asked(target: int = 1, size: int = 1, count: int = 1) -> bytes:
            fields = b"X: %b\r\n" % (b"x" * size) * count
            return b"GET /%b HTTP/1.1\r\nHost: a\r\n%b\r\n" % (b"t" * (target - 1), fields)

        for changes, text, cause in (
            ({"target_size": 100}, asked(target=100), ""),
            ({"target_size": 100}, asked(target=101), "long_target"),
            ({"target_size": 32_768}, asked(target=32_000), ""),
            ({"field_size": 500}, asked(size=495), ""),
            ({"field_size": 500}, asked(size=510), "large_head"),
            ({"field_size": 32_768, "head_size": 65_536}, asked(size=32_000), ""),
            ({"field_size": 32_768, "head_size": 65_536}, asked(size=32_800), "large_head"),
            ({"head_size": 500}, asked(size=400), ""),
            ({"head_size": 500}, asked(size=40, count=12), "large_head"),
            ({"head_size": 65_536}, asked(size=500, count=120), ""),
            ({"head_size": 65_536}, asked(size=700, count=120), "large_head"),
            ({"head_fields": 5}, asked(count=4), ""),
            ({"head_fields": 5}, asked(count=5), "large_head"),
            ({"head_fields": 256}, asked(count=255), ""),
            ({"head_fields": 256}, asked(count=256), "large_head"),
        ):
            limits = with_limits(**changes)
            reader = RequestReader(limits)
            for at in range(0, len(text), FEED):
                reader.feed(text[at : at + FEED])
            said = reader.events[0]
            if isinstance(said, tuple):
                try:
                    said = ""
                    check_head(reader.events[0], limits)  # type: ignore[arg-type]
                except BadRequest as bad:
                    said = bad.cause
            self.assertEqual(said, cause, changes)

    def test_handshakeInPieces(self) -> None:
        """Whether it came in pieces or not, nothing is left of it when it is an ordinary one."""
        asking = (
            b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        for cut in (0, 1, 50, len(asking) - 1):
            reader = RequestReader()
            for piece in (asking[:cut], asking[cut:] + GET[:9]):
                reader.feed(piece)
            self.assertIsNotNone(reader.held)
            self.assertEqual((reader.rest, reader.seen, reader.begun), (GET[:9], b"", False))
            reader.go_on()
            self.assertTrue(reader.begun)
            reader.feed(GET[9:])
            self.assertEqual([type(event) for event in reader.events], [tuple, object] * 2)

    @given(st.binary(max_size=300), st.integers(0, 300))
    def test_anyBytes(self, garbage: bytes, cut: int) -> None:
        """Nothing raises; after a fault nothing follows."""
        for start in (b"", b"GET / HTTP/1.1\r\nHost: a\r\n", TEXT[:120]):
            events = self.read(start + garbage[:cut], garbage[cut:])
            for event in events[:-1]:
                self.assertNotIsInstance(event, str)

    def test_begun(self) -> None:
        """A part of a request is known to be there."""
        reader = RequestReader()
        self.assertFalse(reader.begun)
        reader.feed(b"GET / HT")
        self.assertTrue(reader.begun)
        reader.feed(b"TP/1.1\r\n\r\n")
        self.assertFalse(reader.begun)

    def test_checkHead(self) -> None:
        """The framing comes out of the fields; what cannot be framed is refused."""
        fields = [(b"host", b"a "), (b"content-length", b"3 "), (b"Connection", b"close, X-a")]
        head = (b"POST", b"/", fields, "1.1", True)
        self.assertEqual(check_head(head), (b"a", 3, False, {b"x-a"}, ""))
        self.assertRaises(BadRequest, check_head, (b"POST", b"/", [], "1.1", True))

    def test_lengths(self) -> None:
        """A length has 1 to 18 digits, zeros included."""
        for digits, good in ((b"0" * 17 + b"3", True), (b"0" * 18 + b"3", False)):
            reader = RequestReader()
            reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + digits + b"\r\n\r\n")
            head = reader.events[0]
            assert isinstance(head, tuple)
            if good:
                self.assertEqual(check_head(head)[1], 3)
            else:
                refused = self.assertRaises(BadRequest, check_head, head)
                self.assertEqual(refused.cause, "bad_request")

    def test_refusedHeads(self) -> None:
        """Methods that are nobody's business out here, other versions, requests in circles."""
        host = (b"Host", b"a")
        for method, fields, version, cause in (
            (b"PURGE", [host], "1.1", "method"),
            (b"TRACE", [host], "1.1", "method"),
            (b"GET", [host], "2.0", "version"),
            (b"GET", [host], "0.9", "version"),
            (b"GET", [host, (b"CDN-Loop", b"hostedge, hostedge, hostedge")], "1.1", "loop"),
            (b"GET", [host, *[(b"cdn-loop", b"hostedge; x=1")] * 3], "1.1", "loop"),
        ):
            head = (method, b"/", fields, version, True)
            self.assertEqual(self.assertRaises(BadRequest, check_head, head).cause, cause)

    def test_oddNames(self) -> None:
        """Fields that an app could take for others stay here, as if `Connection` had said so."""
        fields = [(b"Host", b"a"), (b"X_Forwarded_For", b"1"), (b"x.y", b"2"), (b"X-Ok", b"3")]
        head = (b"GET", b"/", fields, "1.1", True)
        self.assertEqual(check_head(head)[3], {b"x_forwarded_for", b"x.y"})

    def test_readTarget(self) -> None:
        """Absolute-form becomes origin-form; `OPTIONS *` stays."""
        self.assertEqual(
            read_target(b"GET", b"http://a/x?y", b"http", b"a"), (b"/x?y", b"/x", b"y")
        )
        self.assertEqual(read_target(b"OPTIONS", b"*", b"http", b"a"), (b"*", b"*", None))

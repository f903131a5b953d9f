"""The reader alone: the same events however the bytes are cut."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import BadRequest
from hostedge.http.h1_reader import END, RequestReader, check_head, read_target

TEXT = (
    b"POST /a?b HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n0\r\nTrailer: x\r\n\r\n"
    b"GET /2 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\nX-Empty:\r\n\r\n"
    b"PUT /3 HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: x\r\nContent-Length: 2\r\n\r\nab"
    b"GET /4 HTTP/1.0\r\n\r\n"
)


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

    def test_readTarget(self) -> None:
        """Absolute-form becomes origin-form; `OPTIONS *` stays."""
        self.assertEqual(
            read_target(b"GET", b"http://a/x?y", b"http", b"a"), (b"/x?y", b"/x", b"y")
        )
        self.assertEqual(read_target(b"OPTIONS", b"*", b"http", b"a"), (b"*", b"*", None))

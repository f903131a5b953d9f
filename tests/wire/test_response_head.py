"""Heads of responses."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import BadRequest
from hostedge.wire.response_head import MAX_FIELDS, Fields, check_size, examine


class ExamineTests(SynchronousTestCase):
    """How a body is framed, and what is said to whom."""

    def test_framing(self) -> None:
        """By a length, by chunks, or by the end of the connection."""
        for fields, wanted in (
            ([], (None, False)),
            ([(b"content-length", b"12")], (12, True)),
            ([(b"Content-Length", b"0")], (0, True)),
            ([(b"Transfer-Encoding", b" Chunked ")], (None, True)),
        ):
            kept, length, framed, _ = examine(fields, "1.1")
            self.assertEqual(((length, framed), kept), (wanted, []))

    def test_size(self) -> None:
        """With the blanks and ends of its lines a head has its whole size."""
        fields = [(b"a", b"1"), (b"bc", b"")]
        check_size(fields, 12)
        self.assertRaises(BadRequest, check_size, fields, 11)

    def test_refused(self) -> None:
        """Codings that nobody asked for, chunks where they cannot be, fields without end."""
        chunked = (b"transfer-encoding", b"chunked")
        cases: tuple[tuple[Fields, str], ...] = (
            ([chunked], "1.0"),
            ([chunked, chunked], "1.1"),
            ([(b"transfer-encoding", b"gzip, chunked")], "1.1"),
            ([(b"transfer-encoding", b"")], "1.1"),
            ([(b"content-length", b"+1")], "1.1"),
            ([(b"content-length", b"")], "1.1"),
            ([(b"x", b"1")] * (MAX_FIELDS + 1), "1.1"),
            ([], "2.0"),
            ([], "0.9"),
        )
        for fields, version in cases:
            self.assertRaises(BadRequest, examine, fields, version)

    def test_whatTravelsBack(self) -> None:
        """Not what is this hop's, what `Connection` names, or what the node says itself."""
        evil = [(b"Connection", b"Set-Cookie"), (b"X-Hostedge-Reason", b"1"), (b"Set-Cookie", b"a")]
        self.assertEqual(examine(evil, "1.1")[0], evil[2:])
        mine = [(b"X-Mine", b"1"), (b"Set-Cookie", b"a=1"), (b"Set-Cookie", b"b=2")]
        hop = [
            (b"Connection", b"X-Hop, close"),
            (b"x-hop", b"1"),
            (b"Keep-Alive", b"timeout=5"),
            (b"Date", b"now"),
            (b"Upgrade", b"h2c"),
        ]
        self.assertEqual(examine([*hop, *mine], "1.1"), (mine, None, False, b"timeout=5"))
        self.assertEqual(examine([(b"Connection", b"close"), *mine], "1.1")[0], mine)

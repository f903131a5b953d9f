"""The parts of `hostedge.wire.ranges`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.ranges import Span, parse_range, part_heads


class RangeTests(SynchronousTestCase):
    """Parts of a file of 100 bytes."""

    def test_table(self) -> None:
        """
        Parts, the field that does not count (None), and 416 (()).
        """
        for value, parts in (
            (b"bytes=0-9", [(0, 10)]),
            (b"BYTES=0-9", [(0, 10)]),
            (b"bytes=90-", [(90, 100)]),
            (b"bytes=90-1000", [(90, 100)]),
            (b"bytes=-10", [(90, 100)]),
            (b"bytes=-1000", [(0, 100)]),
            (b"bytes=0-0, 99-99", [(0, 1), (99, 100)]),
            (b"bytes=50-59,0-9", [(0, 10), (50, 60)]),
            (b"bytes=0-9,10-19,15-29", [(0, 30)]),
            (b"bytes=0-9,200-", [(0, 10)]),
            (b"bytes=100-", []),
            (b"bytes=-0", []),
            (b"bytes=200-300,400-", []),
            (b"bytes=9-0", None),
            (b"bytes=", None),
            (b"bytes=-", None),
            (b"bytes=a-b", None),
            (b"bytes=0-9;x", None),
            (b"bytes=+1-2", None),
            (b"items=0-9", None),
            (b"0-9", None),
            (b"", None),
            (b"bytes=-9223372036854775807", None),
            (b"bytes=-922337203685477580", [(0, 100)]),
        ):
            wanted = None if parts is None else tuple(Span(*part) for part in parts)
            self.assertEqual(parse_range([value], 100, 8), wanted, value)

    def test_bomb(self) -> None:
        """
        1,300 parts of one file are one part or none at all, and cheap either way (A13).
        """
        bomb = b"bytes=0-," + b",".join(b"5-%d" % n for n in range(1300))
        self.assertIsNone(parse_range([bomb], 10_000, 8))
        nine = b"bytes=" + b",".join(b"%d-%d" % (n, n) for n in range(0, 18, 2))
        self.assertIsNone(parse_range([nine], 100, 8))
        self.assertEqual(len(parse_range([nine.rpartition(b",")[0]], 100, 8) or ()), 8)

    def test_most(self) -> None:
        """
        Whoever allows more parts reads as much as these take.
        """
        many = b"bytes=" + b",".join(b"%d-%d" % (n, n) for n in range(10**12, 10**12 + 64, 2))
        self.assertIsNone(parse_range([many], 2 * 10**12, 31))
        self.assertEqual(len(parse_range([many], 2 * 10**12, 32) or ()), 32)

    def test_twoFields(self) -> None:
        """
        Two `Range` fields are none.
        """
        self.assertIsNone(parse_range([b"bytes=0-1", b"bytes=0-1"], 100, 8))
        self.assertIsNone(parse_range([], 100, 8))

    def test_emptyFile(self) -> None:
        """
        An empty file has no parts.
        """
        self.assertEqual(parse_range([b"bytes=0-"], 0, 8), ())
        self.assertEqual(parse_range([b"bytes=-5"], 0, 8), ())

    @given(
        st.lists(st.tuples(st.integers(0, 120), st.integers(0, 120)), min_size=1, max_size=20),
        st.integers(0, 100),
    )
    def test_partsNeverOverlapNorLeaveTheFile(
        self, wanted: list[tuple[int, int]], size: int
    ) -> None:
        """
        The parts of an answer are apart, inside the file, and hold each byte asked for once.
        """
        pairs = [(min(pair), max(pair)) for pair in wanted]
        spans = parse_range([b"bytes=" + b",".join(b"%d-%d" % pair for pair in pairs)], size, 8)
        if spans is None:
            self.assertGreater(len(pairs), 8)
            return
        sent = [byte for span in spans for byte in range(span.start, span.end)]
        asked = {byte for first, last in pairs for byte in range(first, last + 1) if byte < size}
        self.assertEqual(sent, sorted(asked))

    def test_partHeads(self) -> None:
        """
        The parts of a multipart body say where they belong.
        """
        heads, end = part_heads([Span(0, 1), Span(5, 9)], 10, b"text/plain", b"sep")
        self.assertEqual(
            heads[1],
            b"\r\n--sep\r\nContent-Type: text/plain\r\nContent-Range: bytes 5-8/10\r\n\r\n",
        )
        self.assertEqual(end, b"\r\n--sep--\r\n")

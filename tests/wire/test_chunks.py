"""Where a body in chunks ends, and which lines in it are not taken."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.chunks import MAX_FIELDS, MAX_LINE, MAX_TRAILER, Chunks

BODY = b"3\r\nabc\r\n00A;x=y\r\n0123456789\r\n0;z\r\nA: b\r\nC: d\r\n\r\n"


def followed(*pieces: bytes) -> tuple[int, bool, bool]:
    """How many bytes belong to the body, whether it has ended, and whether it is broken."""
    chunks = Chunks()
    size = 0
    for piece in pieces:
        step = chunks.follow(piece)
        size += step
        if chunks.broken or chunks.ended:
            break
        assert step == len(piece)
    return size, chunks.ended, chunks.broken


class ChunksTests(SynchronousTestCase):
    """One body."""

    def test_end(self) -> None:
        """It ends after the empty line that follows its last chunk and the trailer."""
        for body in (BODY, b"0\r\n\r\n", b"000\r\n\r\n", b"1\r\n\r\r\n0\r\n\r\n"):
            self.assertEqual(followed(body + b"GET / HTTP/1.1\r\n"), (len(body), True, False))
            self.assertEqual(followed(body[:-1]), (len(body) - 1, False, False))

    def test_everySplit(self) -> None:
        """However it is cut, it is the same body."""
        for cut in range(1, len(BODY)):
            self.assertEqual(followed(BODY[:cut], BODY[cut:]), (len(BODY), True, False))
        bytewise = [BODY[i : i + 1] for i in range(len(BODY))]
        self.assertEqual(followed(*bytewise), (len(BODY), True, False))

    def test_brokenLine(self) -> None:
        """What stands before a line that is none may be read, the line not; it is shown."""
        chunks = Chunks()
        self.assertEqual(chunks.follow(b"2\r\nab\r\n" + b"0" * 17 + b"\r\nab\r\n"), 7)
        self.assertEqual((chunks.broken, chunks.line), (True, b"0" * 17 + b"\r\n"))

    def test_lines(self) -> None:
        """A line has 1 to 16 digits, and at most so many bytes, with extensions."""
        for line, wrong in (
            (b"0" * 15 + b"2", False),
            (b"0" * 17 + b"2", True),
            (b"0" * 200, True),
            (b"f" * 16, False),
            (b"1" * 17, True),
            (b"2;" + b"x" * (MAX_LINE - 2), False),
            (b"2;" + b"x" * (MAX_LINE - 1), True),
            (b";x", True),
            (b"", True),
            (b"0x2", True),
            (b"-2", True),
            (b"+2", True),
            (b"2 ", True),
            (b" 2", True),
            (b"1_0", True),
        ):
            self.assertIs(followed(line + b"\r\n")[2], wrong, line)
            bytewise = [bytes((byte,)) for byte in line + b"\r\n"]
            self.assertIs(followed(*bytewise)[2], wrong, line)

    def test_lineWithoutEnd(self) -> None:
        """Nobody waits for the end of a line that is too long."""
        self.assertFalse(followed(b"2;" + b"x" * (MAX_LINE - 1))[2])
        self.assertTrue(followed(b"2;" + b"x" * MAX_LINE)[2])
        self.assertTrue(followed(b"2;" + b"x" * 20_000)[2])

    def test_trailer(self) -> None:
        """It has so many fields, and so many bytes, its last empty line not counted."""
        last = b"0\r\n"
        for lines, wrong in (
            (b"A: b\r\n" * MAX_FIELDS, False),
            (b"A: b\r\n" * (MAX_FIELDS + 1), True),
            (b"A: " + b"b" * (MAX_TRAILER - 5) + b"\r\n", False),
            (b"A: " + b"b" * (MAX_TRAILER - 4) + b"\r\n", True),
            (b"A: " + b"b" * 4000 + b"\r\nC: " + b"d" * 4182 + b"\r\n", False),
            (b"A: " + b"b" * 4000 + b"\r\nC: " + b"d" * 4183 + b"\r\n", True),
        ):
            body = last + lines + b"\r\n"
            self.assertEqual(followed(body)[1:], (not wrong, wrong), (len(lines), wrong))
            for cut in (4, len(body) // 2, len(body) - 3):
                self.assertEqual(followed(body[:cut], body[cut:])[1:], (not wrong, wrong))
        self.assertTrue(followed(last + b"A" * 20_000)[2])

    @given(st.binary(max_size=200), st.lists(st.integers(0, 230), max_size=4))
    def test_anyBytes(self, garbage: bytes, cuts: list[int]) -> None:
        """Whatever comes, cut anywhere, the verdict is the same."""
        for data in (garbage, BODY[:20] + garbage, BODY[:-2] + garbage):
            borders = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
            pieces = [data[a:b] for a, b in zip(borders, borders[1:], strict=False)]
            whole, cut = followed(data), followed(*pieces)
            self.assertEqual(whole[1:], cut[1:])
            if not whole[2]:
                self.assertEqual(whole, cut)

"""
Tests for `hostedge.console.lines`.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hostedge.console.interpreter import Interpreter
from hostedge.console.lines import MOST, Lines

SCRIPT = "a = 'ü'\r\nfor i in (1, 2):\n  print(i)\n\na * 2\n(3,\n 4)\n"


class Noted:
    """A reader that keeps what it is told."""

    def __init__(self) -> None:
        self.text = ""
        self.errors = ""
        self.status: int | None = None

    def shown(self, text: str) -> None:
        assert self.status is None
        self.text += text

    def failed(self, text: str) -> None:
        assert self.status is None
        self.errors += text

    def ended(self, status: int) -> None:
        assert self.status is None
        self.status = status


class LinesTests(SynchronousTestCase):
    """A script that comes through a pipe."""

    def run_lines(self, *pieces: bytes, **names: Any) -> Noted:
        reader = Noted()
        lines = Lines(Interpreter(names, "tester", 80), reader)
        for piece in pieces:
            lines.feed(piece)
        lines.end()
        return reader

    @given(st.lists(st.integers(0, len(SCRIPT)), max_size=6))
    def test_pieces(self, cuts: list[int]) -> None:
        """
        However it comes in pieces, a script does the same.
        """
        data = SCRIPT.encode()
        ends = [0, *sorted(cuts), len(data)]
        reader = self.run_lines(*(data[a:b] for a, b in zip(ends, ends[1:], strict=False)))
        self.assertEqual(
            (reader.text, reader.errors, reader.status), ("1\n2\n'üü'\n(3, 4)\n", "", 0)
        )

    def test_lastLine(self) -> None:
        """
        Neither the last line nor the last block needs a line end.
        """
        self.assertEqual(self.run_lines(b"1\n2").text, "1\n2\n")
        self.assertEqual(self.run_lines(b"if 1:\n  print(5)").text, "5\n")
        self.assertEqual(self.run_lines().status, 0)

    def test_firstFailureEndsIt(self) -> None:
        """
        Nothing is run after a failure.
        """
        reader = self.run_lines(b"1\nmissing\n2\n")
        self.assertEqual((reader.text, reader.status), ("1\n", 1))
        self.assertIn("NameError", reader.errors)

    def test_unfinished(self) -> None:
        """
        A statement that is never whole is a failure.
        """
        reader = self.run_lines(b"(1,\n")
        self.assertEqual(reader.errors, "the last statement is not whole\n")
        self.assertEqual(reader.status, 1)

    def test_leaving(self) -> None:
        """
        SystemExit ends it well.
        """
        reader = self.run_lines(b"1\nraise SystemExit\n2\n")
        self.assertEqual((reader.text, reader.errors, reader.status), ("1\n", "", 0))

    def test_oneAfterTheOther(self) -> None:
        """
        A line waits for the one before.
        """
        waited: Deferred[int] = Deferred()
        reader = self.run_lines(b"waited\nprint('next')\n", waited=waited)
        self.assertEqual((reader.text, reader.status), ("", None))
        waited.callback(1)
        self.assertEqual((reader.text, reader.status), ("1\nnext\n", 0))

    def test_manyLines(self) -> None:
        """
        Lines that need not wait do not stack up.
        """
        reader = self.run_lines(b"x = 1\n" * 5000 + b"x\n")
        self.assertEqual((reader.text, reader.status), ("1\n", 0))

    def test_bounded(self) -> None:
        """
        What waits is bounded, also when it is nothing but line ends.
        """
        for piece in (b"x", b"\n"):
            waited: Deferred[int] = Deferred()
            reader = self.run_lines(b"waited\n", piece * (MOST + 1), waited=waited)
            self.assertEqual(reader.status, 1)
            waited.callback(1)
            self.assertEqual(reader.text, "")

    def test_left(self) -> None:
        """
        When nobody reads any more nothing more is run.
        """
        waited: Deferred[int] = Deferred()
        reader = Noted()
        lines = Lines(Interpreter({"waited": waited}, "tester", 80), reader)
        lines.feed(b"waited\n2\n")
        lines.leave()
        waited.callback(1)
        self.assertEqual((reader.text, reader.status), ("", None))

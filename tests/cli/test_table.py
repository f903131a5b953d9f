"""Tests of `hostedge.cli.table`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.table import WIDTH, cut, paragraph, printable, span, table


class TableTests(SynchronousTestCase):
    """Everything fits."""

    def test_laidOut(self) -> None:
        """
        Columns are as wide as their widest cell; numbers stand to the right.
        """
        rows = [("a", 5), ("bcd", None), ("e", 12345)]
        self.assertEqual(
            list(table(("NAME", "PID"), rows, right=("PID",))),
            ["NAME    PID", "a         5", "bcd", "e     12345"],
        )

    def test_cut(self) -> None:
        """
        The widest cell gives way, and shows that it is not whole.
        """
        line = list(table(("A", "B"), [("x" * 100, "short")]))[1]
        self.assertEqual(line, "x" * 72 + "…  short")
        self.assertEqual((cut("abc", 3), cut("abcd", 3)), ("abc", "ab…"))

    def test_width(self) -> None:
        """
        A wider terminal gets wider lines, a narrow one narrower ones.
        """
        self.assertEqual(list(table(("A",), [("x" * 100,)], width=120))[1], "x" * 100)
        self.assertEqual(list(table(("A",), [("x" * 100,)], width=20))[1], "x" * 19 + "…")
        self.assertEqual(list(paragraph("a", "b c", 3, 4)), ["a  b c"])

    @given(st.lists(st.lists(st.text(max_size=120), min_size=4, max_size=4), max_size=4))
    def test_neverWider(self, rows: list[list[str]]) -> None:
        """
        Whatever stands in the cells, a row is one line of at most 80 columns, and no control
        character reaches the terminal.
        """
        lines = list(table(("A", "B", "C", "D"), rows))
        self.assertEqual(len(lines), len(rows) + 1)
        for line in lines:
            self.assertLessEqual(len(line), WIDTH)
            self.assertTrue(line.isprintable())

    @given(st.text(max_size=400))
    def test_paragraph(self, text: str) -> None:
        """
        A long text is wrapped beside its label.
        """
        lines = list(paragraph("label", text, 10))
        self.assertTrue(lines[0].startswith("label"))
        for line in lines:
            self.assertLessEqual(len(line), WIDTH)
            self.assertTrue(line.isprintable())
        for line in lines[1:]:
            self.assertTrue(line.startswith(" " * 10))

    def test_span(self) -> None:
        """
        Durations are shown in two units.
        """
        for seconds, shown in (
            (-1.0, "0s"),
            (12.9, "12s"),
            (60.0, "1m 0s"),
            (3661.0, "1h 1m"),
            (90061.0, "1d 1h"),
        ):
            self.assertEqual(span(seconds), shown)

    def test_printable(self) -> None:
        """
        Colours go as a whole; what else could reach the terminal is marked.
        """
        self.assertEqual(printable("\x1b[1;31mred\x1b[0m\tx"), "red\tx")
        self.assertEqual(printable("\x1b]0;title\x07x\x1bcy\x08z"), "xy\ufffdz")

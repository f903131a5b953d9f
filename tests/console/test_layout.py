"""
Tests for `hostedge.console.layout`.
"""

from __future__ import annotations

import ast
from typing import Any

from attrs import field, frozen
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.console.layout import MOST, Answer, Printed, columns, cut, freeze, shown

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(max_size=9), inner, max_size=5)
        | st.lists(inner, max_size=3).map(tuple)
    ),
    max_leaves=20,
)


@frozen
class Pair:
    """A value of our own kind."""

    one: str
    others: tuple[str, ...] = ()
    secret: str = field(default="hidden", repr=False)


class ShownTests(SynchronousTestCase):
    """Values become text."""

    def test_short(self) -> None:
        """
        What fits on a line stands on one.
        """
        self.assertEqual(shown(Pair("a"), 40), "Pair(one='a', others=())")

    def test_laidOut(self) -> None:
        """
        What does not is taken apart; what a value does not show of itself stays hidden.
        """
        self.assertEqual(
            shown(Pair("a", ("b" * 9, "c" * 9)), 24),
            "Pair(\n    one='a',\n    others=(\n        'bbbbbbbbb',\n"
            "        'ccccccccc',\n    ),\n)",
        )
        self.assertEqual(shown({1: ["x" * 9]}, 9), "{\n    1: [\n        'xxxxxxxxx',\n    ],\n}")

    @given(VALUES, st.integers(1, 60))
    def test_staysPython(self, value: Any, width: int) -> None:
        """
        However narrow, the text of plain values is Python for the same value.
        """
        self.assertEqual(ast.literal_eval(shown(value, width)), value)

    def test_circle(self) -> None:
        """
        What contains itself has an end.
        """
        circle: list[object] = ["x" * 50]
        circle.append(circle)
        self.assertIn("[...]", shown(circle, 20))

    def test_printed(self) -> None:
        """
        A text that was printed is no literal, and steers no terminal.
        """
        self.assertEqual(shown(Printed("a\tb\n\x1b[2J"), 80), "a       b\n\ufffd[2J")
        self.assertEqual(shown("a\x1b", 80), "'a\\x1b'")

    @given(VALUES, st.integers(1, 60))
    def test_frozenLooksPlain(self, value: Any, width: int) -> None:
        """
        What was frozen is shown as what it was made of, lists as tuples.
        """
        frozen_value = freeze(value)
        self.assertEqual(freeze(ast.literal_eval(shown(frozen_value, width))), frozen_value)

    def test_answer(self) -> None:
        """
        An answer is laid out to the width, and gives out what it is made of.
        """
        answer = Answer(freeze({"a": [1, 2]}), lambda data, width: [f"{width}: {data['a']}"])
        self.assertEqual(shown(answer, 33), "33: (1, 2)")
        self.assertEqual((answer["a"], len(answer), list(answer)), ((1, 2), 1, ["a"]))
        self.assertEqual(repr(answer), "80: (1, 2)")

    def test_frozen(self) -> None:
        """
        Nothing in an answer can be changed.
        """
        value = freeze({"a": [{"b": 1}]})
        with self.assertRaises(TypeError):
            value["a"] = 1
        with self.assertRaises(TypeError):
            value["a"][0]["b"] = 2

    def test_cut(self) -> None:
        """
        More than `MOST` characters are never shown.
        """
        self.assertEqual(cut("abc", 3), "abc")
        self.assertEqual(cut("abcde", 3), "abc…\n(2 more characters)")
        self.assertLess(len(shown("x" * (3 * MOST), 80)), MOST + 50)

    def test_columns(self) -> None:
        """
        Words stand side by side, and below each other where there is no room.
        """
        self.assertEqual(list(columns(["a", "bb", "c"], 8)), ["a   bb", "c"])
        self.assertEqual(list(columns([], 8)), [])
        self.assertEqual(list(columns(["longer"], 3)), ["longer"])

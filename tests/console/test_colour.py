"""
Tests for `hostedge.console.colour`.
"""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.console.colour import coloured


class ColouredTests(SynchronousTestCase):
    """The line that is being typed."""

    def test_colours(self) -> None:
        """
        Keywords, texts, numbers and comments are told apart.
        """
        self.assertEqual(
            coloured("if x: 'a' + 1 # c"),
            "\x1b[32mif\x1b[0m x: \x1b[35m'a'\x1b[0m + \x1b[36m1\x1b[0m \x1b[90m# c\x1b[0m",
        )

    def test_lastLine(self) -> None:
        """
        Of several lines it is the last; a text that began before it is one there too.
        """
        self.assertEqual(coloured("if x:\n    1"), "    \x1b[36m1\x1b[0m")
        self.assertEqual(coloured("'''\nabc'''"), "\x1b[35mabc'''\x1b[0m")

    def test_unfinished(self) -> None:
        """
        What is not whole is coloured as far as it is known.
        """
        self.assertEqual(coloured("not (1, "), "\x1b[32mnot\x1b[0m (\x1b[36m1\x1b[0m, ")
        self.assertEqual(coloured(""), "")

    @given(st.text(st.sampled_from("if '\"#1\\(){} \nx\u00fc\t"), max_size=40))
    def test_sameText(self, source: str) -> None:
        """
        Colours never change the text.
        """
        self.assertEqual(re.sub(r"\x1b\[\d+m", "", coloured(source)), source.split("\n")[-1])

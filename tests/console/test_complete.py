"""
Tests for `hostedge.console.complete`.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.console.complete import common, complete


class Thing:
    """Something with attributes, one of which cannot be read."""

    alpha = 1
    _hidden = 2
    asked = 0

    def beta(self) -> None:
        raise AssertionError("nothing is called")

    @property
    def broken(self) -> int:
        Thing.asked += 1
        raise ValueError


def verb() -> None:
    """A verb that says what follows its call."""


verb.offers = ("counters", "hosts")  # type: ignore[attr-defined]


class CompleteTests(SynchronousTestCase):
    """What may follow."""

    def setUp(self) -> None:
        self.names: dict[str, Any] = {"thing": Thing(), "verb": verb, "_x": 1, "value": 3}
        Thing.self = self.names["thing"]  # type: ignore[attr-defined]

    def test_names(self) -> None:
        """
        Names of the namespace, Python's words and its functions; those that can be called with
        their bracket.
        """
        self.assertEqual(complete("v", self.names), ("v", ["value", "vars(", "verb("]))
        self.assertEqual(complete("1 + whi", self.names), ("whi", ["while"]))
        self.assertEqual(complete("print(thi", self.names), ("thi", ["thing"]))

    def test_attributes(self) -> None:
        """
        Attributes, also of attributes; those with an underscore when one is typed.
        """
        words = ["alpha", "asked", "beta(", "broken", "self"]
        self.assertEqual(complete("thing.", self.names)[1], words)
        self.assertEqual(Thing.asked, 0)
        self.assertEqual(complete("thing.broken.b", self.names)[1], [])
        self.assertEqual(complete("x(thing.self.al", self.names), ("al", ["alpha"]))
        self.assertEqual(complete("thing._h", self.names), ("_h", ["_hidden"]))
        self.assertEqual(complete("nothing.a", self.names)[1], [])

    def test_calls(self) -> None:
        """
        Nothing is called to find out; a verb may say what follows it.
        """
        self.assertEqual(complete("thing.beta().al", self.names)[1], [])
        self.assertEqual(complete("verb(0).", self.names), ("", ["counters", "hosts"]))
        self.assertEqual(complete("1 + verb().ho", self.names), ("ho", ["hosts"]))
        self.assertEqual(complete("value(0).ho", self.names), ("ho", []))

    @given(st.text(st.sampled_from("thing.verb(0)_ x'1"), max_size=20))
    def test_anyText(self, before: str) -> None:
        """
        Candidates begin with what is typed, and that is how the text ends.
        """
        begun, words = complete(before, {"thing": Thing(), "verb": verb})
        self.assertTrue(before.endswith(begun))
        for word in words:
            self.assertTrue(word.startswith(begun))

    def test_common(self) -> None:
        """
        As far as all candidates agree.
        """
        self.assertEqual((common(["abc", "abd"]), common([])), ("ab", ""))

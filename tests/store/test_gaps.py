"""
Tests for `hostedge.store.gaps`.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.store.gaps import Gaps

_letters = st.sampled_from("bcdefghijklmnopqrstuvwxy")


def neighbours(names: set[str], key: str) -> tuple[str, str]:
    below = [name for name in names if name <= key]
    above = [name for name in names if name >= key]
    return max(below, default=""), min(above, default="\x7f")


class GapsTests(SynchronousTestCase):
    """`Gaps`."""

    def test_between(self) -> None:
        """
        A gap covers what lies between its bounds, not the bounds.
        """
        gaps = Gaps(10)
        gaps.learn("b", "d")
        covered = [key for key in ("a", "b", "b0", "c", "d", "e") if gaps.covers(key)]
        self.assertEqual(covered, ["b0", "c"])

    def test_around(self) -> None:
        """
        What was learnt can be read back: between which names there is nothing.
        """
        gaps = Gaps(10)
        gaps.learn("b", "d")
        self.assertEqual(gaps.around("c"), ("b", "d"))
        self.assertEqual([gaps.around(key) for key in ("a", "b", "d", "e")], [None] * 4)

    def test_existing(self) -> None:
        """
        Neighbours that are the name itself leave nothing between them.
        """
        gaps = Gaps(10)
        gaps.learn("b", "b")
        self.assertEqual(len(gaps), 0)

    def test_bounded(self) -> None:
        """
        However many are learnt, no more than that many are kept, the newest among them or not.
        """
        gaps = Gaps(5)
        for number in range(1000):
            gaps.learn(f"{number:04}", f"{number + 1:04}")
            self.assertLessEqual(len(gaps), 5)

    @given(
        st.sets(_letters),
        st.lists(st.tuples(st.sampled_from(["ask", "add", "remove"]), _letters)),
        st.integers(1, 4),
    )
    def test_neverCoversAName(
        self, names: set[str], steps: list[tuple[str, str]], size: int
    ) -> None:
        """
        Whatever comes and goes, no name that exists is covered, and what was just learnt is
        covered unless room was made.
        """
        gaps = Gaps(size)
        for step, key in steps:
            if step == "ask":
                gaps.learn(*neighbours(names, key))
                if len(gaps) < size and key not in names:
                    self.assertTrue(gaps.covers(key))
            elif step == "add":
                names.add(key)
                gaps.forget(key)
            else:
                names.discard(key)
                gaps.forget(key)
            self.assertLessEqual(len(gaps), size)
            self.assertFalse([name for name in names if gaps.covers(name)])

    def test_forgetAll(self) -> None:
        """
        A name that may have come or gone is in no gap, nor at an end of one; others stay.
        """
        for key, left in (("a", "e"), ("b", "e"), ("c", "e"), ("d", "b"), ("f", "b"), ("g", "be")):
            gaps = Gaps(9)
            for start, end in (("a", "c"), ("c", "d"), ("d", "f")):
                gaps.learn(start, end)
            gaps.forget_all(key)
            self.assertEqual("".join(each for each in "be" if gaps.covers(each)), left, key)

    def test_clear(self) -> None:
        """
        Afterwards nothing is known.
        """
        gaps = Gaps(5)
        gaps.learn("", "\x7f")
        self.assertTrue(gaps.covers("x"))
        gaps.clear()
        self.assertFalse(gaps.covers("x"))

"""Answers that are kept."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.memo import Memo, Seen


class MemoTests(SynchronousTestCase):
    """Worked out once, within bounds."""

    def test_once(self) -> None:
        """A question is worked out once; one that fails is asked again."""
        asked: list[int] = []

        def half(number: int) -> int:
            asked.append(number)
            if number % 2:
                raise ValueError(number)
            return number // 2

        memo = Memo(half)
        self.assertEqual([memo[4], memo[4]], [2, 2])
        for _ in range(2):
            self.assertRaises(ValueError, memo.__getitem__, 3)
        self.assertEqual(asked, [4, 3, 3])

    def test_bounded(self) -> None:
        """However many questions come, it stays small."""
        memo = Memo(str, 10)
        for number in range(1000):
            self.assertEqual(memo[number], str(number))
        self.assertLessEqual(len(memo), 10)

    def test_longQuestions(self) -> None:
        """What is longer than most questions are is answered, and not kept."""
        memo = Memo(len, longest=3)
        self.assertEqual([memo["abc"], memo["abcd"], memo[b"abcd"]], [3, 4, 4])
        self.assertEqual([*memo], ["abc"])


class SeenTests(SynchronousTestCase):
    """What has come before."""

    def test_again(self) -> None:
        """Each is new once, and again when others have taken its place."""
        seen = Seen()
        # whole numbers are their own hashes: of these each has a place, or one with its like
        some, others = range(0x1000, 0x1800), range(0x2000, 0x2800)
        for news in (some, others, some):
            self.assertFalse(any([seen.again(each) for each in news]))
            self.assertTrue(all([seen.again(each) for each in news]))

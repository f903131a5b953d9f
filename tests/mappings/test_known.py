"""The list of `hostedge.mappings.known`."""

from twisted.trial.unittest import SynchronousTestCase

from hostedge.mappings.known import KINDS
from hostedge.model.parse import Words


class KnownTests(SynchronousTestCase):
    """One word, one class, one file."""

    def test_wordsAreDistinct(self) -> None:
        """
        No two kinds share a word or a class, and the model can read every one.
        """
        words = Words(mappings=KINDS, runtimes=())
        self.assertEqual(set(words.shapes), {kind.word for kind in KINDS})
        self.assertEqual(len(words.words), len(KINDS))

    def test_oneFileAWord(self) -> None:
        """
        A word's kind is in the file that is called so.
        """
        for kind in KINDS:
            self.assertEqual(type(kind).__module__, f"hostedge.mappings.{kind.word}")

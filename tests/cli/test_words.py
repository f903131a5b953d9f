"""Tests of `hostedge.cli.words`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.words import words


class WordsTests(SynchronousTestCase):
    """One language everywhere."""

    def test_sameAsTheNode(self) -> None:
        """
        The command line checks site files by the words that the node has.
        """
        from hostedge.compose import WORDS

        self.assertEqual(words(), WORDS)
        self.assertIs(words(), words())

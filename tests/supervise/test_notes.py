"""
Tests for `hostedge.supervise.notes`.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.notes import replace_file


class NotesTests(SynchronousTestCase):
    """What is beside a file, and what is not."""

    def test_replacedWhole(self) -> None:
        """
        A replaced file leaves nothing beside it.
        """
        folder = Path(self.mktemp())
        folder.mkdir()
        for text in ("one", "two"):
            replace_file(folder / "note", text)
        self.assertEqual([(p.name, p.read_text()) for p in folder.iterdir()], [("note", "two")])

    def test_nothingLeftOfAFailure(self) -> None:
        """
        What could not be put in its place is not left beside it.
        """
        folder = Path(self.mktemp())
        (folder / "note").mkdir(parents=True)
        self.assertRaises(OSError, replace_file, folder / "note", "text")
        self.assertEqual([p.name for p in folder.iterdir()], ["note"])

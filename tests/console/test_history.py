"""
Tests for `hostedge.console.history`.
"""

from __future__ import annotations

import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.console.history import History


class HistoryTests(SynchronousTestCase):
    """Lines that outlive their session."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())

    def test_persists(self) -> None:
        """
        Another session finds the lines; empty ones and repetitions are left out.
        """
        history = History(self.path)
        history.load()
        for line in ("a", "a", "", "  ", "ü", "a"):
            history.add(line)
        again = History(self.path)
        again.load()
        self.assertEqual(again.lines, ["a", "ü", "a"])

    def test_mode(self) -> None:
        """
        Nobody else reads what an operator types.
        """
        History(self.path).add("secret")
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_bounded(self) -> None:
        """
        The oldest lines go, in memory at once, in the file now and then.
        """
        history = History(self.path, 10)
        history.load()
        for number in range(95):
            history.add(str(number))
            self.assertLessEqual(len(history.lines), 10)
            self.assertLessEqual(len(self.path.read_text().split()), 20)
        self.assertEqual(history.lines, [str(number) for number in range(85, 95)])
        again = History(self.path, 10)
        again.load()
        self.assertEqual(again.lines, history.lines)
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_unwritable(self) -> None:
        """
        Without a place on the disk lines last until control ends.
        """
        history = History(self.path / "no" / "such" / "folder")
        history.load()
        history.add("a")
        self.assertEqual(history.lines, ["a"])

    def test_link(self) -> None:
        """
        A link that somebody has put there is not followed.
        """
        other = Path(self.mktemp())
        other.write_text("")
        self.path.symlink_to(other.resolve())
        History(self.path).add("a")
        self.assertEqual(other.read_text(), "")

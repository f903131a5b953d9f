"""Tests of `hostedge.api.daemon_logs`."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.api.daemon_logs import BLOCK, PIECE, has_more, last_lines, next_lines
from hostedge.supervise.log_bounds import cut


class DaemonLogsTests(SynchronousTestCase):
    """A log that is read while it is written, and cut."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "apps/demo/hello.log"
        self.path.parent.mkdir(parents=True)

    def write(self, text: bytes) -> None:
        with self.path.open("ab") as log:
            log.write(text)

    def test_manyLines(self) -> None:
        """
        The last lines are found however long they are, and from older files if need be.
        """
        lines = [str(number) * (BLOCK // 100) for number in range(300)]
        self.write("".join(f"{line}\n" for line in lines).encode())
        self.assertEqual(last_lines(self.path, 250).lines, lines[-250:])
        self.path.rename(self.path.with_name("hello.log.1"))
        self.write(b"new\n")
        self.assertEqual(last_lines(self.path, 3).lines, [*lines[-2:], "new"])
        self.assertEqual(last_lines(self.path, 1).lines, ["new"])

    def test_wholeLines(self) -> None:
        """
        A line that has not ended is left for later if only whole ones are wanted.
        """
        self.write(b"one\r\ntwo")
        said = last_lines(self.path, 5, whole=True)
        self.assertEqual(said.lines, ["one"])
        self.assertIsNone(next_lines(self.path, said.mark))
        self.write(b"!\n")
        self.assertEqual(next_lines(self.path, said.mark).lines, ["two!"])  # type: ignore[union-attr]

    def test_endlessLine(self) -> None:
        """
        A line that never ends comes in pieces.
        """
        mark = last_lines_of_nothing(self.path)
        self.write(b"x" * (PIECE + 10))
        said = next_lines(self.path, mark)
        assert said is not None
        self.assertEqual([len(line) for line in said.lines], [PIECE])
        self.assertIsNone(next_lines(self.path, said.mark))

    def test_cut(self) -> None:
        """
        After the log was cut it is read from its beginning, and that is said.
        """
        self.write(b"one\ntwo\n")
        mark = last_lines(self.path, 9).mark
        self.assertFalse(has_more(self.path, mark))
        cut(self.path, 4, 3)
        self.assertTrue(has_more(self.path, mark))
        self.write(b"new\n")
        said = next_lines(self.path, mark)
        assert said is not None
        self.assertEqual((said.lines, said.cut), (["new"], True))
        self.assertEqual(last_lines(self.path, 9).lines, ["two", "new"])

    def test_noMark(self) -> None:
        """
        What is no mark is refused; where there is no log nothing comes.
        """
        for mark in ("", "5", "5.", "a.b", "5.-1", "1" * 50 + ".1"):
            self.assertRaises(ValueError, has_more, self.path, mark)
        self.assertFalse(has_more(self.path, "0.0"))
        os.mkfifo(self.path)
        self.assertRaises(OSError, last_lines, self.path, 5)


def last_lines_of_nothing(path: Path) -> str:
    path.touch()
    return last_lines(path, 5).mark

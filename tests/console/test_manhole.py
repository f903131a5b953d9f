"""
Tests for `hostedge.console.manhole`: keys in, a terminal's screen out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hostedge.console.manhole import AHEAD, MOST
from tests.console.typist import DELETE, DOWN, END, HOME, LEFT, RIGHT, UP, Typist

# keys of which any order must leave the screen showing the line
KEYS = st.sampled_from(
    [b"a", b"(", b"7", b" ", b"'", LEFT, RIGHT, HOME, END, DELETE, b"\x7f", b"\x0b", b"\x15"]
)


class Thing:
    """Something to complete."""

    alpha = 1
    _hidden = 2

    def beta(self) -> None:
        """A method."""


class ManholeTests(SynchronousTestCase):
    """One session at a terminal."""

    def typist(self, width: int = 60, **names: Any) -> Typist:
        return Typist(names, Path(self.mktemp()), width)

    def test_begins(self) -> None:
        """
        The banner and a prompt; nothing that was on the screen is erased.
        """
        typist = self.typist()
        self.assertEqual(typist.screen.text(), "welcome\n>>>")
        self.assertNotIn(b"\x1bc", typist.screen.value())
        self.assertNotIn(b"\x1b[2J", typist.screen.value())

    def test_expression(self) -> None:
        """
        A value is shown under the line that asked for it, and is `_` from then on.
        """
        typist = self.typist()
        self.assertEqual(typist.type("6*7\r"), "welcome\n>>> 6*7\n42\n>>>")
        self.assertIn("\n43\n>>>", typist.type("_ + 1\r"))

    def test_coloured(self) -> None:
        """
        What is typed is coloured as Python.
        """
        typist = self.typist()
        typist.type("if 1")
        self.assertIn(b"\x1b[32mif\x1b[0m", typist.screen.value())

    def test_block(self) -> None:
        """
        A block goes on until an empty line.
        """
        typist = self.typist()
        self.assertTrue(typist.type("for i in (1, 2):\r").endswith("\n..."))
        self.assertTrue(typist.type("    print(i)\r", "\r").endswith("...\n1\n2\n>>>"))

    def test_editing(self) -> None:
        """
        The keys for moving and erasing do what they say.
        """
        typist = self.typist()
        typist.type("bd", LEFT, "c", HOME, "a", END, "e")
        self.assertEqual(typist.line(), ">>> abcde")
        typist.type(b"\x7f", HOME, DELETE, RIGHT, b"\x0b")
        self.assertEqual(typist.line(), ">>> b")
        typist.type(b"\x15")
        self.assertEqual(typist.line(), ">>>")
        typist.type("one two  ", b"\x17")
        self.assertEqual(typist.line(), ">>> one")

    @given(st.lists(KEYS, max_size=60), st.sampled_from([20, 24, 61]))
    def test_screenShowsLine(self, keys: list[bytes], width: int) -> None:
        """
        Whatever is typed, and however often the line is broken, the screen has the line, and
        the cursor is where the next character goes.
        """
        typist = Typist({}, Path("/nowhere"), width)
        typist.type(*keys)
        manhole: Any = typist.terminal.terminalProtocol
        line = ">>> " + b"".join(manhole.lineBuffer).decode()
        rows = [line[at : at + width].rstrip() for at in range(0, len(line), width)]
        expected = "\n".join(["welcome", *rows]).rstrip()
        self.assertEqual(typist.screen.text(), expected)
        at = 4 + manhole.lineBufferIndex
        screen = typist.screen
        self.assertEqual((screen.y, screen.x), (1 + at // width, at % width))

    def test_text(self) -> None:
        """
        Characters beyond ASCII are characters, also when their bytes come one by one.
        """
        typist = self.typist()
        for byte in "'ü€'".encode():
            typist.type(bytes([byte]))
        typist.type(LEFT, b"\x7f", END, "\r")
        self.assertIn("'ü'".encode(), typist.screen.value())

    def test_history(self) -> None:
        """
        The arrows go through what was typed, in this session and before; the line that was
        begun is found again.
        """
        path = Path(self.mktemp())
        path.write_text("'before'\n")
        typist = Typist({}, path)
        typist.type("'first'\r", "'second'\r", "begun")
        for key, line in (
            (UP, "'second'"),
            (UP, "'first'"),
            (UP, "'before'"),
            (UP, "'before'"),
            (DOWN, "'first'"),
            (DOWN, "'second'"),
            (DOWN, "begun"),
            (DOWN, "begun"),
        ):
            typist.type(key)
            self.assertEqual(typist.line(), f">>> {line}")
        self.assertEqual(path.read_text(), "'before'\n'first'\n'second'\n")

    def test_completion(self) -> None:
        """
        Tab puts in what all candidates begin with, then lists them; at the beginning of a line
        it indents.
        """
        typist = self.typist(thing=Thing(), things=[])
        typist.type("thi\t")
        self.assertEqual(typist.line(), ">>> thing")
        self.assertIn("\nthing   things\n>>> thing", typist.type("\t"))
        typist.type(".be\t")
        self.assertEqual(typist.line(), ">>> thing.beta(")
        typist.type(b"\x15", "\t1")
        self.assertEqual(typist.line(), ">>>     1")

    def test_interrupt(self) -> None:
        """
        Ctrl-C forgets the line, and the block it stands in.
        """
        typist = self.typist()
        typist.type("if 1:\r", "    wrong")
        self.assertTrue(typist.type(b"\x03").endswith("...     wrong^C\n>>>"))
        self.assertTrue(typist.type("5\r").endswith(">>> 5\n5\n>>>"))

    def test_leaving(self) -> None:
        """
        Ctrl-D deletes a character, ends a block, and leaves when there is neither.
        """
        typist = self.typist()
        typist.type("ab", HOME, b"\x04")
        self.assertEqual(typist.line(), ">>> b")
        typist.type(b"\x15", "if 1:\r", b"\x04")
        self.assertFalse(typist.screen.disconnecting)
        typist.type(b"\x04")
        self.assertTrue(typist.screen.disconnecting)

    def test_exit(self) -> None:
        """
        SystemExit ends the session, and only that.
        """
        typist = self.typist()
        typist.type("raise SystemExit\r")
        self.assertTrue(typist.screen.disconnecting)

    def test_redraw(self) -> None:
        """
        Ctrl-L clears the screen and keeps the line.
        """
        typist = self.typist()
        self.assertEqual(typist.type("abc", b"\x0c"), ">>> abc")

    def test_waiting(self) -> None:
        """
        A Deferred is waited for; lines that are typed meanwhile run after it, in order.
        """
        waited: Deferred[int] = Deferred()
        typist = self.typist(waited=waited)
        screen = typist.type("waited\r", "'next'\r", "beg")
        self.assertEqual(screen, "welcome\n>>> waited")
        waited.callback(5)
        self.assertEqual(
            typist.screen.text(), "welcome\n>>> waited\n5\n>>> 'next'\n'next'\n>>> beg"
        )

    def test_pasted(self) -> None:
        """
        Lines that come at once are run one by one; more than a few are not kept waiting.
        """
        waited: Deferred[int] = Deferred()
        typist = self.typist(waited=waited, seen=[])
        typist.type("waited\r" + "seen.append(1)\r" * (2 * AHEAD))
        waited.callback(0)
        self.assertEqual(len(typist.interpreter.names["seen"]), AHEAD)

    def test_interruptedWaiting(self) -> None:
        """
        Ctrl-C gives the prompt back; what was waited for is shown when it is there, above the
        line that is being typed.
        """
        waited: Deferred[str] = Deferred()
        typist = self.typist(waited=waited)
        typist.type("waited\r", b"\x03", "abc")
        self.assertEqual(typist.line(), ">>> abc")
        waited.callback("late")
        self.assertTrue(typist.screen.text().endswith("\n'late'\n>>> abc"))

    def test_printed(self) -> None:
        """
        What is printed without a line end does not stand before the prompt.
        """
        typist = self.typist()
        self.assertTrue(typist.type("print('x', end='')\r").endswith("\nx\n>>>"))

    def test_neverSteersTheTerminal(self) -> None:
        """
        Escape sequences in values and in printed text are shown as what they are.
        """
        typist = self.typist()
        before = len(typist.screen.value())
        typist.type("print('\\x1b[2J\\x07')\r")
        shown = typist.screen.value()[before:]
        self.assertIn("\ufffd[2J\ufffd".encode(), shown)
        self.assertNotIn(b"\x07", shown)

    def test_traceback(self) -> None:
        """
        An exception is shown from where the typing began.
        """
        screen = self.typist().type("1/0\r")
        self.assertIn('File "<manhole>", line 1, in <module>\nZeroDivisionError', screen)
        self.assertNotIn("evaluate.py", screen)

    def test_size(self) -> None:
        """
        The terminal says how large it is; what is shown is as wide as it says.
        """
        typist = self.typist()
        typist.type(b"\x1b[8;40;30t")
        self.assertEqual(typist.interpreter.width, 30)
        self.assertIn("\n[\n    100,", typist.type("list(range(100, 110))\r"))
        typist.type(b"\x1b[8;40;t", b"\x1b[8;1;99999t", b"\x1b[9;9;9t")
        self.assertEqual(typist.interpreter.width, 30)

    def test_strangeKeys(self) -> None:
        """
        Keys without a meaning, broken sequences and lines without end do no harm.
        """
        typist = self.typist()
        typist.type(b"\x1bx", b"\x1b[15~", b"\x1bOP", b"\xff\xfe", b"\x00", b"\x1b[" + b"1" * 500)
        typist.type(b"1\r")
        self.assertTrue(typist.screen.text().endswith("\n1\n>>>"))
        typist.type(b"x" * (MOST + 500))
        manhole: Any = typist.terminal.terminalProtocol
        self.assertEqual(len(manhole.lineBuffer), MOST)

    def test_gone(self) -> None:
        """
        A result that comes after the terminal has gone is nobody's.
        """
        waited: Deferred[int] = Deferred()
        typist = self.typist(waited=waited)
        typist.type("waited\r")
        manhole: Any = typist.terminal.terminalProtocol
        manhole.connectionLost()
        before = typist.screen.value()
        waited.callback(1)
        self.assertEqual(typist.screen.value(), before)

"""
A manhole with a typist: keys in, and the screen that a terminal would show.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from twisted.internet.testing import StringTransport

from hostedge.console.history import History
from hostedge.console.interpreter import Interpreter
from hostedge.console.manhole import Manhole, Terminal

UP, DOWN, RIGHT, LEFT = b"\x1b[A", b"\x1b[B", b"\x1b[C", b"\x1b[D"
HOME, END, DELETE = b"\x1b[1~", b"\x1b[4~", b"\x1b[3~"


class Screen(StringTransport):
    """
    A transport that ends at a terminal of `width` columns, and of as many rows as are written:
    as much of ECMA-48 as the manhole uses.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.rows = [""]
        self.y = self.x = 0
        self._pending = b""

    def write(self, data: bytes) -> None:
        super().write(data)
        text = (self._pending + data).decode("latin-1")
        while text:
            sequence = re.match(r"\x1b\[([\d;]*)([@-~])", text)
            if sequence:
                self._control(sequence[1], sequence[2])
                text = text[sequence.end() :]
            elif text.startswith("\x1b"):
                break
            else:
                self._character(text[0])
                text = text[1:]
        self._pending = text.encode("latin-1")

    def _character(self, character: str) -> None:
        if character == "\r":
            self.x = 0
        elif character == "\n":
            self.y += 1
            self.rows += [""] * (self.y + 1 - len(self.rows))
        elif character.isprintable():
            if self.x == self.width:
                # the wrap that was pending
                self.x = 0
                self._character("\n")
            row = self.rows[self.y].ljust(self.x)
            self.rows[self.y] = row[: self.x] + character + row[self.x + 1 :]
            self.x += 1

    def _control(self, argument: str, final: str) -> None:
        number = int(argument or "1") if argument.isdigit() or not argument else 0
        if final == "A":
            self.y = max(0, self.y - number)
        elif final == "C":
            self.x = min(self.width - 1, self.x + number)
        elif final == "J" and argument == "2":
            self.rows = [""] * len(self.rows)
        elif final == "J":
            self.rows[self.y] = self.rows[self.y][: self.x]
            del self.rows[self.y + 1 :]
        elif final == "H":
            self.x = self.y = 0
        elif final != "m":
            raise AssertionError(f"the terminal does not know {argument!r} {final!r}")

    def text(self) -> str:
        """What stands on the screen, without blanks at the ends of lines."""
        return "\n".join(row.rstrip() for row in self.rows).rstrip()


class Typist:
    """One session; `names` is its namespace."""

    def __init__(self, names: dict[str, Any], history: Path, width: int = 60) -> None:
        self.screen = Screen(width)
        self.history = History(history)
        self.history.load()
        self.interpreter = Interpreter(names, "tester", width)
        self.terminal = Terminal(Manhole, self.interpreter, self.history, "welcome")
        self.terminal.open(self.screen, width, 24)

    def type(self, *keys: bytes | str) -> str:
        """Press keys, one write each; answers the screen."""
        for each in keys:
            self.terminal.dataReceived(each.encode() if isinstance(each, str) else each)
        return self.screen.text()

    def line(self) -> str:
        """The line in which the cursor is."""
        return self.screen.rows[self.screen.y].rstrip()

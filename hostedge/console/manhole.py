"""
The manhole at a terminal: a line that can be edited, coloured and completed, and what it came to.

In:  `console.unix` and `console.ssh` with the bytes of a terminal.
Out: statements for the interpreter; text for the terminal.
Spec: ECMA-48; the size comes as xterm reports it, `CSI 8 ; height ; width t`.
"""

from __future__ import annotations

import codecs
import re
from collections import deque
from typing import Any

from twisted.conch.insults import insults
from twisted.conch.manhole import ColoredManhole
from twisted.conch.recvline import HistoricRecvLine
from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from hostedge.console.colour import coloured
from hostedge.console.complete import common, complete
from hostedge.console.history import History
from hostedge.console.interpreter import Interpreter, Outcome
from hostedge.console.layout import columns

MOST = 4096  # characters of a line
AHEAD = 100  # lines that are typed while one is running
NARROW = 20  # columns that are counted on
ESCAPE = 64  # bytes of a key; there is none longer

_SIZE = re.compile(rb"\x1b\[8;(\d{1,4});(\d{1,4})t")


class Terminal(insults.ServerProtocol):
    """An operator's terminal; what was on its screen stays there."""

    terminalProtocol: Manhole | None
    transport: Any

    def open(self, transport: Any, width: int, height: int) -> None:
        """Begin; what is typed comes to `dataReceived`."""
        self.size = width, height
        self.makeConnection(transport)

    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if self.state == b"bracket-escaped" and len(self.escBuf) > ESCAPE:
            self.state = b"data"
        if self.terminalProtocol is not None:
            self.terminalProtocol.draw()

    def loseConnection(self) -> None:
        self.transport.loseConnection()


class Manhole(ColoredManhole):
    """
    One session at a terminal.

    The line is drawn whole, from the prompt on, once all that has come was taken in. While a
    statement runs there is no prompt; what is typed then waits, and runs after it.
    """

    log = Logger()

    # conch's runs nothing that has to be awaited
    interpreter: Interpreter  # type: ignore[assignment]

    def __init__(self, interpreter: Interpreter, history: History, banner: str) -> None:
        super().__init__()
        self.interpreter = interpreter
        interpreter.show = self.show
        self._history = history
        self._banner = banner
        self._decoder = codecs.getincrementaldecoder("utf-8")("ignore")
        # the statement that is waited for, and the lines that run after it
        self._running: Deferred[Outcome] | None = None
        self._ahead: deque[str] = deque()
        self._advancing = self._gone = False
        # whether the line is on the screen, the row of it in which the cursor is, and whether
        # the row before it has ended
        self._drawn = False
        self._row = 0
        self._row_ended = True
        self._draft = b""

    # what the terminal says

    def connectionMade(self) -> None:
        # conch's own would bring an interpreter of its own
        HistoricRecvLine.connectionMade(self)
        keys = {
            b"\x01": self.handle_HOME,
            b"\x02": self.handle_LEFT,
            b"\x03": self.handle_INT,
            b"\x04": self.handle_EOF,
            b"\x05": self.handle_END,
            b"\x06": self.handle_RIGHT,
            b"\x08": self.handle_BACKSPACE,
            b"\x0b": self.cut_to_end,
            b"\x0c": self.handle_FF,
            b"\x0e": self.handle_DOWN,
            b"\x10": self.handle_UP,
            b"\x15": self.cut_to_beginning,
            b"\x17": self.cut_word,
            b"\x1c": self.handle_QUIT,
        }
        self.keyHandlers.update(keys)
        del self.keyHandlers[self.terminal.INSERT]
        self.historyLines = [line.encode() for line in self._history.lines]
        self.historyPosition = len(self.historyLines)
        self.terminalSize(*self.terminal.size)
        self.show(self._banner + "\n")
        self.draw()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._gone = True
        self._ahead.clear()

    def initializeScreen(self) -> None:
        # nothing is erased
        self.mode = "insert"

    def terminalSize(self, width: int, height: int) -> None:
        self.width, self.height = max(width, NARROW), height
        self.interpreter.width = self.width
        # most terminals break their lines anew
        self._row = (len(self.ps[self.pn]) + self.lineBufferIndex) // self.width

    def unhandledControlSequence(self, seq: bytes) -> None:
        size = _SIZE.fullmatch(seq)
        if size is not None:
            self.terminalSize(int(size[2]), int(size[1]))

    def keystrokeReceived(self, keyID: bytes, modifier: object) -> None:
        if modifier is not None:
            return
        handler = self.keyHandlers.get(keyID)
        if handler is not None:
            handler()
        elif len(keyID) == 1:
            for character in self._decoder.decode(keyID):
                self.characterReceived(character.encode(), False)

    def characterReceived(self, ch: bytes, moreCharactersComing: bool) -> None:
        if not ch.decode().isprintable() or len(self.lineBuffer) >= MOST:
            self.terminal.write(b"\a")
            return
        self.lineBuffer.insert(self.lineBufferIndex, ch)
        self.lineBufferIndex += 1

    # keys: they change the line, `draw` shows it

    def handle_LEFT(self) -> None:
        self.lineBufferIndex = max(0, self.lineBufferIndex - 1)

    def handle_RIGHT(self) -> None:
        self.lineBufferIndex = min(len(self.lineBuffer), self.lineBufferIndex + 1)

    def handle_HOME(self) -> None:
        self.lineBufferIndex = 0

    def handle_END(self) -> None:
        self.lineBufferIndex = len(self.lineBuffer)

    def handle_BACKSPACE(self) -> None:
        if self.lineBufferIndex:
            self.lineBufferIndex -= 1
            del self.lineBuffer[self.lineBufferIndex]

    def handle_DELETE(self) -> None:
        del self.lineBuffer[self.lineBufferIndex : self.lineBufferIndex + 1]

    def cut_to_end(self) -> None:
        del self.lineBuffer[self.lineBufferIndex :]

    def cut_to_beginning(self) -> None:
        del self.lineBuffer[: self.lineBufferIndex]
        self.lineBufferIndex = 0

    def cut_word(self) -> None:
        before = b"".join(self.lineBuffer[: self.lineBufferIndex]).decode()
        kept = len(re.sub(r"\S*\s*$", "", before))
        del self.lineBuffer[kept : self.lineBufferIndex]
        self.lineBufferIndex = kept

    def handle_UP(self) -> None:
        self._recall(self.historyPosition - 1)

    def handle_DOWN(self) -> None:
        self._recall(self.historyPosition + 1)

    def _recall(self, position: int) -> None:
        if not 0 <= position <= len(self.historyLines):
            return
        if self.historyPosition == len(self.historyLines):
            self._draft = b"".join(self.lineBuffer)
        self.historyPosition = position
        newest = position == len(self.historyLines)
        self._put(self._draft if newest else self.historyLines[position])

    def _put(self, line: bytes) -> None:
        self.lineBuffer = [character.encode() for character in line.decode()]
        self.lineBufferIndex = len(self.lineBuffer)

    def handle_TAB(self) -> None:
        before = b"".join(self.lineBuffer[: self.lineBufferIndex]).decode()
        if not before.strip():
            words, begun = ["    "], ""
        else:
            begun, words = complete(before, self.interpreter.names)
        more = common(words)[len(begun) :]
        for character in more:
            self.characterReceived(character.encode(), True)
        if not more and len(words) > 1:
            self.show("\n".join(columns(words, self.width)) + "\n")

    def handle_INT(self) -> None:
        if self._running is not None:
            self._running = None
            self._ahead.clear()
            self.show("It goes on, and is shown when it is done.\n")
            return
        self.handle_END()
        self.draw()
        self._finish_line(b"^C\n")
        self.historyPosition = len(self.historyLines)
        self.interpreter.reset()
        self.pn = 0

    def handle_EOF(self) -> None:
        if self.lineBuffer:
            self.handle_DELETE()
        elif self.pn:
            self.handle_INT()
        else:
            self.handle_QUIT()

    def handle_FF(self) -> None:
        self.terminal.eraseDisplay()
        self.terminal.cursorHome()
        self._drawn, self._row, self._row_ended = False, 0, True

    def handle_QUIT(self) -> None:
        self._hide()
        self._gone = True
        self.terminal.loseConnection()

    def handle_RETURN(self) -> None:
        line = b"".join(self.lineBuffer).decode()
        if self._running is not None:
            if len(self._ahead) < AHEAD:
                self._ahead.append(line)
            self._put(b"")
            return
        self.handle_END()
        self.draw()
        self._finish_line(b"\n")
        self.lineReceived(line)
        self._advance()

    def _finish_line(self, ending: bytes) -> None:
        self.terminal.write(ending)
        self._put(b"")
        self._drawn, self._row, self._row_ended = False, 0, True

    # statements

    def lineReceived(self, line: str) -> None:
        """Run a line, or put it to those of an unfinished statement."""
        self._history.add(line)
        if line.strip() and self.historyLines[-1:] != [line.encode()]:
            self.historyLines.append(line.encode())
        self.historyPosition = len(self.historyLines)
        running = self.interpreter.push(line)
        self.pn = int(running is None)
        if running is not None:
            self._running = running
            running.addCallback(self._over, running).addErrback(self._failed)

    def _over(self, outcome: Outcome, running: Deferred[Outcome]) -> None:
        awaited = self._running is running
        if awaited:
            self._running = None
        if self._gone:
            return
        if outcome.over and awaited:
            self.handle_QUIT()
            return
        if outcome.text:
            self.show(outcome.text + "\n")
        self._advance()
        self.draw()

    def _failed(self, failure: Failure) -> None:
        self.log.failure("the manhole failed", failure)
        self.terminal.loseConnection()

    def _advance(self) -> None:
        """Run what was typed ahead, as far as nothing has to be waited for."""
        if self._advancing:
            return
        self._advancing = True
        try:
            while self._ahead and self._running is None and not self._gone:
                kept = b"".join(self.lineBuffer)
                self._put(self._ahead.popleft().encode())
                self.draw()
                line = b"".join(self.lineBuffer).decode()
                self._finish_line(b"\n")
                self._put(kept)
                self.lineReceived(line)
        finally:
            self._advancing = False

    # the screen

    def show(self, text: str) -> None:
        """Put text before the line that is being typed."""
        if self._gone or not text:
            return
        self._hide()
        self.terminal.write(text.encode(errors="replace"))
        self._row_ended = text.endswith("\n")

    def _hide(self) -> None:
        """Take the line off the screen."""
        if not self._drawn:
            return
        if self._row:
            self.terminal.cursorUp(self._row)
        self.terminal.write(b"\r")
        self.terminal.eraseToDisplayEnd()
        self._drawn, self._row = False, 0

    def draw(self) -> None:
        """Bring the line on the screen up to date, with the cursor where it belongs."""
        if self._gone or self._running is not None:
            return
        self._hide()
        if not self._row_ended:
            self.terminal.nextLine()
            self._row_ended = True
        prompt = self.ps[self.pn]
        self.terminal.write(prompt + coloured(self.getSource().decode()).encode())
        end = len(prompt) + len(self.lineBuffer)
        if end % self.width == 0:
            # the cursor stands on the last column until something follows
            self.terminal.write(b"\n")
        row, column = divmod(len(prompt) + self.lineBufferIndex, self.width)
        if end // self.width > row:
            self.terminal.cursorUp(end // self.width - row)
        self.terminal.write(b"\r")
        if column:
            self.terminal.cursorForward(column)
        self._drawn, self._row = True, row

"""
The manhole without a terminal: one line after the other, each when the one before is done.

In:  `console.unix` and `console.ssh` with what comes through a pipe, or with a command.
Out: results and errors, apart; at the end whether all of it went well. The first failure ends it.
"""

from __future__ import annotations

import codecs
from collections import deque
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from hostedge.console.interpreter import Interpreter, Outcome

MOST = 1024 * 1024  # characters that may wait


class Reader(Protocol):
    """Who has sent the lines."""

    def shown(self, text: str) -> None: ...

    def failed(self, text: str) -> None: ...

    def ended(self, status: int) -> None:
        """Nothing more comes; the exit status."""


class Lines:
    """`_rest` is what came of a line that has not ended; after the end nothing is run."""

    log = Logger()

    def __init__(self, interpreter: Interpreter, reader: Reader) -> None:
        self._interpreter = interpreter
        interpreter.show = self._show
        self._reader = reader
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._waiting: deque[str] = deque()
        self._size = 0
        self._running: Deferred[Outcome] | None = None
        self._complete = self._over = self._advancing = False

    def feed(self, data: bytes) -> None:
        """What has come, in whatever pieces."""
        if self._over or self._complete:
            return
        *lines, self._rest = (self._rest + self._decoder.decode(data)).split("\n")
        self._waiting.extend(lines)
        self._size += sum(map(len, lines)) + len(lines)
        if self._size + len(self._rest) > MOST:
            self._end(Outcome(f"want at most {MOST} characters before they are run", failed=True))
        self._advance()

    def end(self) -> None:
        """Nothing more comes: what is left is run, then it is over."""
        if not self._complete:
            # an empty line ends a block
            last = [self._rest, ""] if self._rest else [""]
            self._size += sum(map(len, last)) + len(last)
            self._waiting.extend(last)
            self._complete = True
            self._advance()

    def leave(self) -> None:
        """Nobody waits any more."""
        self._over = True

    def _advance(self) -> None:
        if self._advancing:
            return
        self._advancing = True
        while self._waiting and self._running is None and not self._over:
            line = self._waiting.popleft()
            self._size -= len(line) + 1
            running = self._interpreter.push(line.rstrip("\r"))
            if running is not None:
                self._running = running
                running.addCallback(self._done).addErrback(self._broke)
        self._advancing = False
        if self._complete and not self._waiting and self._running is None:
            # a statement that was never whole
            unfinished = bool(self._interpreter.buffer)
            text = "the last statement is not whole" if unfinished else ""
            self._end(Outcome(text, failed=unfinished))

    def _done(self, outcome: Outcome) -> None:
        self._running = None
        if outcome.failed or outcome.over:
            self._end(outcome)
        elif outcome.text:
            self._show(outcome.text + "\n")
        self._advance()

    def _broke(self, failure: Failure) -> None:
        self.log.failure("the manhole failed", failure)
        self._end(Outcome("the manhole failed; control's log says why", failed=True))

    def _show(self, text: str) -> None:
        if not self._over:
            self._reader.shown(text)

    def _end(self, outcome: Outcome) -> None:
        if self._over:
            return
        self._over = True
        self._waiting.clear()
        if outcome.failed:
            self._reader.failed(outcome.text + "\n")
        self._reader.ended(int(outcome.failed))

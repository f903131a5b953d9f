"""
What one operator types, run a statement at a time; every line of it is logged.

In:  `console.manhole` from a terminal, `console.lines` from a pipe.
Out: the outcome of each statement; what it prints goes to `show` as it is printed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from hostedge.console.evaluate import UNREADABLE, Output, evaluate, is_whole, told
from hostedge.console.layout import cut, printable, shown

MOST_LINES = 1000  # of one statement
LOGGED = 4000  # characters in one event of the log


@frozen
class Outcome:
    """What a statement came to; `over`: the operator wants to leave."""

    text: str = ""
    failed: bool = False
    over: bool = False


class Interpreter:
    """`buffer` has the lines of a statement that is not whole yet."""

    log = Logger()

    def __init__(self, names: dict[str, Any], who: str, width: int) -> None:
        self.names = names
        self.buffer: list[bytes] = []
        # where printed text goes; the session puts its own in place
        self.show: Callable[[str], None] = lambda text: None
        self.width = width
        self._who = who
        self._output = Output(lambda text: None)
        names["print"] = self._print

    def push(self, line: str) -> Deferred[Outcome] | None:
        """One line more; None: the statement goes on."""
        if line.strip():
            # all of it, or what is typed last could not be found out; but no event is that long
            for start in range(0, len(line), LOGGED):
                piece = line[start : start + LOGGED]
                self.log.info("{who} types {line!r}", who=self._who, line=piece)
        self.buffer.append(line.encode(errors="replace"))
        source = b"\n".join(self.buffer).decode()
        try:
            if not is_whole(source) and len(self.buffer) < MOST_LINES:
                return None
        except UNREADABLE as error:
            self.reset()
            return succeed(Outcome(told(error), failed=True))
        self.reset()
        return Deferred.fromCoroutine(self._run(source))

    def reset(self) -> None:
        """Forget a statement that is not whole."""
        self.buffer = []

    async def _run(self, source: str) -> Outcome:
        self._output = output = Output(lambda text: self.show(printable(text)))
        try:
            value = await evaluate(source, self.names, output)
            if value is None:
                return Outcome()
            self.names["_"] = value
            return Outcome(shown(value, self.width))
        except SystemExit:
            return Outcome(over=True)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the operator's to see
            return Outcome(cut(printable(told(error))), failed=True)

    def _print(self, *values: object, **options: Any) -> None:
        """As Python's own, also in what runs on after an `await`."""
        options.setdefault("file", self._output)
        print(*values, **options)

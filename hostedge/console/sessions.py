"""
The sessions of the manhole: a few at once, each with names of its own.

In:  `console.unix` and `console.ssh`, with whoever was let in.
Out: a terminal or a pipe's reader, with an interpreter behind it; who came and went is logged.

What a session needs is imported with the first one: control starts as fast without it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from attrs import frozen
from twisted.logger import Logger

from hostedge.console.history import History
from hostedge.net.identity import name_of_user
from hostedge.settings import Settings

if TYPE_CHECKING:
    from hostedge.api.parts import History as Past
    from hostedge.console.lines import Lines
    from hostedge.console.lines import Reader as LinesReader
    from hostedge.console.manhole import Terminal
    from hostedge.console.namespace import Explain, Node
    from hostedge.console.stored import Reader, Sites

MOST = 8
FULL = f"there are {MOST} sessions already; end one first"


@frozen
class Screen:
    """What a terminal of conch's writes to."""

    write: Callable[[bytes], object]
    # the session has ended as it should; called by the name that a transport has
    loseConnection: Callable[[], object]


class Sessions:
    """Whoever opens a session says when it has ended."""

    log = Logger()

    def __init__(
        self,
        settings: Settings,
        node: Node,
        explain: Explain,
        sites: Sites,
        past: Past,
        reader: Reader,
    ) -> None:
        self._settings = settings
        self._node = node
        self._explain = explain
        self._sites = sites
        self._past = past
        self._reader = reader
        self._history = History(settings.manhole_history)
        self._loaded = False
        self._open = 0
        # logins over SSH
        self.refused = 0

    def admit(self, who: str) -> bool:
        """Whether one more may begin; if so, `ended` has to follow."""
        if self._open >= MOST:
            self.log.warn("{who} finds the manhole full", who=who)
            return False
        self._open += 1
        self.log.info("{who} enters the manhole", who=who)
        return True

    def ended(self, who: str) -> None:
        self._open -= 1
        self.log.info("{who} leaves the manhole", who=who)

    def terminal(self, who: str, screen: Screen, width: int, height: int) -> Terminal:
        """A session at a terminal."""
        from hostedge.console.interpreter import Interpreter
        from hostedge.console.manhole import Manhole, Terminal

        if not self._loaded:
            self._loaded = True
            self._history.load()
        interpreter = Interpreter(self._names(), who, width)
        terminal = Terminal(Manhole, interpreter, self._history, self._banner(who))
        terminal.open(screen, width, height)
        return terminal

    def lines(self, who: str, reader: LinesReader, width: int) -> Lines:
        """A session of lines that come one after the other."""
        from hostedge.console.interpreter import Interpreter
        from hostedge.console.lines import Lines

        return Lines(Interpreter(self._names(), who, width), reader)

    def _names(self) -> dict[str, Any]:
        from hostedge.console.namespace import Verbs
        from hostedge.console.stored import Stored

        store = Stored(self._sites, self._past, self._reader)
        return Verbs(self._node, self._explain, store, self._settings).names()

    def _banner(self, who: str) -> str:
        user = name_of_user(os.geteuid())
        lines = [
            f"hostedge: node {self._settings.name}, revision {self._reader.revision()}, as {who}.",
            f"This is Python inside control: it can do whatever {user} can.",
            "help() lists the verbs, Tab completes, Ctrl-D ends.",
        ]
        if self.refused:
            lines.append(f"Logins over SSH that were refused: {self.refused}.")
        return "\n".join(lines)

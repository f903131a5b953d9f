"""
Any program that speaks HTTP.

In:  `runtimes.known`.
Out: the command as it stands; nothing in it is replaced, and no shell reads it.

Site file::

    - {name: chat, runtime: command, command: [python, chat.py], directory: apps/chat}

The program binds $PORT on $HOST, or with `listen: socket` takes descriptor 3 (LISTEN_FDS).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from attrs import Attribute, field, frozen

from hostedge.model.site import App
from hostedge.runtimes.start import NODE_BIN, Start, own_bin

MAX_CONCURRENCY = 65_536


def _command(value: Command, attribute: Attribute[tuple[str, ...]], words: tuple[str, ...]) -> None:
    if not words or not words[0]:
        raise ValueError("want a list of words, the program first", attribute)


def _concurrency(value: Command, attribute: Attribute[int], number: int) -> None:
    if not 1 <= number <= MAX_CONCURRENCY:
        raise ValueError(f"want 1 to {MAX_CONCURRENCY}, not {number}", attribute)


@frozen
class Command:
    """The options of a command app."""

    command: tuple[str, ...] = field(validator=_command)
    listen: Literal["socket", "port"] = "port"
    concurrency: int = field(default=32, validator=_concurrency)


class CommandRuntime:
    word = "command"
    value = Command

    def launch(self, value: Command, app: App, home: Path) -> Start:
        own = own_bin(app, home)
        path = (NODE_BIN,) if own is None else (own, NODE_BIN)
        return Start(value.command, value.listen, path)

    def capacity(self, value: Command) -> int:
        return value.concurrency

    def keep_alive(self, value: Command) -> float:
        return 0.0


RUNTIME = CommandRuntime()

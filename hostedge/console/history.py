"""
What was typed in earlier sessions, for the arrow keys.

In:  the terminal of each session.
Out: a file in the state folder that only the node's user can read; at most `MOST` lines.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.logger import Logger

MOST = 1000


class History:
    """One for all sessions; what cannot be written is still remembered until control ends."""

    log = Logger()

    def __init__(self, path: Path, most: int = MOST) -> None:
        self._path = path
        self._most = most
        self.lines: list[str] = []
        self._written = 0

    def load(self) -> None:
        """Read what there is, when the first session begins."""
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return
        lines = [line for line in text.split("\n") if line]
        self.lines = lines[-self._most :]
        self._written = len(lines)

    def add(self, line: str) -> None:
        """Keep a line, unless it is empty or the last one again."""
        if not line.strip() or self.lines[-1:] == [line]:
            return
        self.lines = [*self.lines[1 - self._most :], line]
        try:
            if self._written >= 2 * self._most:
                self._rewrite()
            else:
                self._write(self._path, os.O_APPEND, [line])
                self._written += 1
        except OSError as error:
            self.log.warn("{path} cannot be written: {error}", path=self._path, error=error)

    def _rewrite(self) -> None:
        part = self._path.with_name(f"{self._path.name}.part")
        self._write(part, os.O_TRUNC, self.lines)
        os.replace(part, self._path)
        self._written = len(self.lines)

    def _write(self, path: Path, how: int, lines: list[str]) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | how
        text = "".join(f"{line}\n" for line in lines)
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            file.write(text.encode(errors="replace"))

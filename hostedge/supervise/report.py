"""
What a launcher says about itself, until it has become the daemon.

In:  `supervise.process`, with the reading end of a pipe whose writing end the launcher has.
Out: `LaunchFailed` with the step's name and errno, as the reason of the process's end.

The pipe closes by the exec that makes the launcher the daemon: that is how success looks.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.error import ProcessTerminated
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

MOST = 8192  # bytes; a step's line has a path in it, or a command


class LaunchFailed(ProcessTerminated):
    """A step between the launch and the daemon was refused; `str` is the owner's line."""

    def __init__(self, step: str, errno: int, line: str, status: int | None = None) -> None:
        wait = None if status is None else status << 8
        super().__init__(status, status=wait)
        # `cgroup`, `user`, `directory`, `command`, …
        self.step = step
        # 0: refused by ourselves
        self.errno = errno
        self.line = line

    def __str__(self) -> str:
        return self.line


def read_report(said: bytes) -> tuple[str, int, str] | None:
    """The step that failed, its errno and its line; None if none did."""
    text = said.decode("utf-8", "surrogateescape")
    stages, failed, rest = text.partition("failed ")
    if failed:
        head, _, line = rest.rstrip("\n").partition("\t")
        number, _, step = head.partition(" ")
        return step, int(number) if number.isdecimal() else 0, line
    if stages.splitlines()[-1:] == ["view"]:
        # bubblewrap was there and did not come as far as to run anything
        return "view", 0, "the view of the file system could not be made"
    return None


@implementer(IReadDescriptor)
class Report:
    """Read as it comes, and once more when the process has ended."""

    def __init__(self, reactor: Any, pipe: int) -> None:
        self._reactor = reactor
        self._pipe = pipe
        self._said = b""
        # by the reactor's clock; None: not the daemon yet
        self.executed: float | None = None
        # called at that moment
        self.told: Callable[[], object] | None = None
        os.set_blocking(pipe, False)
        reactor.addReader(self)

    def fileno(self) -> int:
        return self._pipe

    def doRead(self) -> None:
        try:
            part = os.read(self._pipe, MOST)
        except BlockingIOError:
            return
        self._said = (self._said + part)[:MOST]
        if not part:
            if self.failed is None:
                self.executed = self._reactor.seconds()
            self.close()
            if self.executed is not None and self.told is not None:
                self.told()

    @property
    def failed(self) -> tuple[str, int, str] | None:
        return read_report(self._said)

    def finish(self) -> tuple[str, int, str] | None:
        """What there is to know, now that the process has ended."""
        while self._pipe >= 0:
            before = len(self._said)
            self.doRead()
            if self._pipe >= 0 and len(self._said) == before:
                # held open by somebody inside; nothing more is awaited
                self.close()
        return self.failed

    def close(self) -> None:
        pipe, self._pipe = self._pipe, -1
        if pipe >= 0:
            self._reactor.removeReader(self)
            os.close(pipe)

    def connectionLost(self, reason: Failure) -> None:
        """The other end was closed, which is how the reactor says so; or the reactor ends."""
        self.finish()

    def logPrefix(self) -> str:
        return "launch"

"""
How the node's own processes are started and watched.

In:  `supervise.family`; `supervise.upgrade` for the look at new code.
Out: processes, with their output in `log/control.log` and `log/edge.log`.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost, ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from hostedge.settings import Settings
from hostedge.supervise import handover, reasons
from hostedge.supervise.logs import last_line
from hostedge.supervise.process import Launch, Process, spawn
from hostedge.supervise.remains import owner_of
from hostedge.supervise.roles import Roles

# What is imported stays: to look for garbage among it would be a sixth of the template's start.
# `compose` enables the collector.
_AT_ONCE = "import gc; gc.disable(); "
_CONTROL = f"{_AT_ONCE}from twisted.scripts.twistd import run; run()"
_TEMPLATE = f"{_AT_ONCE}from hostedge.links.template import main; main()"


CHECK = 60.0  # seconds that new code has to look at everything


class _Ended(ProcessProtocol):
    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended

    def processExited(self, reason: Failure) -> None:
        """The group's rest is of no interest: own processes start nothing in their group."""
        self._ended()


class _Checked(_Ended):
    """Fires with the reason why the new code is no good, or with nothing."""

    def __init__(self, log: Path) -> None:
        self.answer: Deferred[str] = Deferred()
        self._log = log

    def processExited(self, reason: Failure) -> None:
        status = getattr(reason.value, "exitCode", None)
        if status == handover.FINE:
            self.answer.callback("")
            return
        said = last_line(self._log)
        # the last line of a traceback, or a sentence; one that was killed may have said anything
        told = said if said and status is not None else reasons.of_end(reason.value, [said]).text
        self.answer.callback(told)


class OwnProcess:
    """One of ours, as the family sees it."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def signal(self, number: int) -> None:
        try:
            self._process.signalProcess(number)
        except ProcessExitedAlready:
            # its end is on the way to the family
            return


class OwnProcesses:
    """Control and the template are launched, edges forked by the template."""

    log = Logger()

    def __init__(
        self, reactor: Any, settings: Settings, roles: Roles, fork: Callable[[int], Deferred[int]]
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._roles = roles
        self._fork = fork

    def fork(self, index: int) -> Deferred[int]:
        """Have the template fork an edge; fires with its pid."""
        return self._fork(index).addCallback(self._checked)

    def _checked(self, pid: int) -> int:
        """What will be signalled is not taken on trust from who may signal less than we may."""
        if owner_of(pid) != self._roles.edge_uid:
            self.log.error("the template says that it has forked process {pid}", pid=pid)
            raise ConnectionLost(f"process {pid} is no edge")
        return pid

    def spawn(self, role: str, ended: Callable[[], None]) -> tuple[int, OwnProcess]:
        """Start control or the template, in the directory and environment of this process."""
        file = str(self._settings.file)
        if role == "control":
            arguments = ["-c", _CONTROL, "-n", "--pidfile=", "hostedge"]
            arguments += ["--role=control", f"--settings={file}"]
        else:
            arguments = ["-c", _TEMPLATE, file]
        launch = Launch(
            argv=(sys.executable, *arguments),
            environment=dict(os.environ),
            cwd=handover.here(),
            log=self._settings.logs / ("control.log" if role == "control" else "edge.log"),
            umask=0o027,
            owner=self._roles.control if role == "control" else self._roles.edge,
        )
        process = spawn(self._reactor, _Ended(ended), launch)
        if process.pid is None:
            raise ProcessLookupError(role)
        return process.pid, OwnProcess(process)

    def check(self) -> Deferred[str]:
        """
        Have the code that is on the disk now look whether it could run this node; fires with
        what is wrong, or with nothing.
        """
        log = self._settings.run / "upgrade.log"
        log.unlink(missing_ok=True)
        protocol = _Checked(log)
        launch = Launch(
            argv=tuple(handover.command("--role=check")),
            environment=dict(os.environ),
            cwd=handover.BEGAN_IN,
            log=log,
            umask=0o027,
        )
        process = OwnProcess(spawn(self._reactor, protocol, launch))
        late = self._reactor.callLater(CHECK, process.signal, signal.SIGKILL)

        def over(answer: str) -> str:
            if late.active():
                late.cancel()
                return answer
            return f"it has not come to an end in {CHECK:.0f} s"

        return protocol.answer.addCallback(over)

    def watch(self, pid: int, started: int, ended: Callable[[], None]) -> OwnProcess:
        """
        Raises:
            ProcessLookupError: it has ended.
        """
        return OwnProcess(Process.adopt(self._reactor, _Ended(ended), pid, started))

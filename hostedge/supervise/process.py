"""
Processes that are started without a fork and watched without SIGCHLD.

In:  `spawn` and `Process.adopt`, with a Twisted `ProcessProtocol` each.
Out: `processExited` when the process ends, `processEnded` when nothing of its group is left.

Twisted's own spawn walks every open descriptor and forks where a directory or user is given: a
stall of 6 to 20 ms in a keeper of some size. Here posix_spawn starts `supervise.launcher`; all
that is open here is close-on-exec, and only what the launch names is handed over. The exit is
seen by a pidfd, the same for children and for processes that another keeper has started.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from attrs import frozen
from twisted.internet.address import IPv4Address
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IProcessTransport, IReadDescriptor
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hostedge.net.identity import process_started
from hostedge.supervise import launcher
from hostedge.supervise.logs import open_log

FIRST_LISTENER = 3
SIGNALS = frozenset(signal.valid_signals())
GROUP_PATIENCE = 5.0  # for what is left of a group after KILL; longer means stuck in the kernel


@frozen
class Launch:
    """All that one process is started with; nothing else of this process reaches it."""

    argv: tuple[str, ...]
    # the whole environment, save LISTEN_PID and LISTEN_FDS
    environment: dict[str, str]
    cwd: Path = Path("/")
    # inherited as descriptors from 3 on
    listeners: tuple[int, ...] = ()
    # where output goes; None: where that of this process goes
    log: Path | None = None
    umask: int = 0o022
    owner: tuple[int, int] | None = None


# pids that a Process stands for
_watched: set[int] = set()


def watches(pid: int) -> bool:
    """Is it for a `Process` to reap this child?"""
    return pid in _watched


def spawn(reactor: Any, protocol: ProcessProtocol, launch: Launch) -> Process:
    """
    Start a process as the leader of its own session.

    Raises:
        OSError: it could not be started, or its log could not be opened.
    """
    count = len(launch.listeners)
    owner = "-" if launch.owner is None else f"{launch.owner[0]}:{launch.owner[1]}"
    arguments = [oct(launch.umask), owner, str(launch.cwd), str(count), *launch.argv]
    actions: list[tuple[Any, ...]] = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]
    with ExitStack() as closing:
        if launch.log is not None:
            output = open_log(launch.log)
            closing.callback(os.close, output)
            actions += [(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
        for place, listener in enumerate(launch.listeners, FIRST_LISTENER):
            # out of the way of the places, so that no dup2 hits what a later one needs
            above = fcntl.fcntl(listener, fcntl.F_DUPFD_CLOEXEC, FIRST_LISTENER + count)
            closing.callback(os.close, above)
            actions.append((os.POSIX_SPAWN_DUP2, above, place))
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-I", "-S", launcher.__file__, *arguments],
            launch.environment,
            file_actions=actions,
            # at once, not by the launcher: a signal to the group finds it from the beginning
            setsid=True,
            setsigmask=[],
            setsigdef=SIGNALS,
        )
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    return Process(reactor, protocol, pid, pidfd, pid)


@implementer(IReadDescriptor)
class _Exit:
    """A pidfd in the reactor: readable once the process has ended."""

    def __init__(self, process: Process, pidfd: int) -> None:
        self._process = process
        self._pidfd = pidfd

    def fileno(self) -> int:
        return self._pidfd

    def doRead(self) -> None:
        self._process.exited()

    def connectionLost(self, reason: Failure) -> None:
        """The reactor ends before the process does; there is nobody left to tell."""

    def logPrefix(self) -> str:
        return "process"


@implementer(IProcessTransport)
class Process:
    """
    A process that is alive, or whose end has not been told yet.

    It has no pipes: input is /dev/null and output goes to a file.
    """

    log = Logger()

    def __init__(
        self, reactor: Any, protocol: ProcessProtocol, pid: int, pidfd: int, group: int | None
    ) -> None:
        self.pid: int | None = pid
        self.started = process_started(pid)
        self._pid = pid
        self._pidfd = pidfd
        self._group = group
        self._reactor = reactor
        self._protocol = protocol
        self._exit = _Exit(self, pidfd)
        _watched.add(pid)
        reactor.addReader(self._exit)
        protocol.makeConnection(self)

    @classmethod
    def adopt(cls, reactor: Any, protocol: ProcessProtocol, pid: int, started: int) -> Process:
        """
        Watch a process that is there already; its exit status may stay unknown.

        Raises:
            ProcessLookupError: it has ended; who has its pid now is somebody else.
        """
        pidfd = os.pidfd_open(pid)
        try:
            # asked after the pidfd was opened: from here on the pid cannot change its meaning
            if process_started(pid) != started:
                raise ProcessLookupError(pid)
            group = pid if os.getpgid(pid) == pid else None
        except BaseException:
            os.close(pidfd)
            raise
        return cls(reactor, protocol, pid, pidfd, group)

    def signalProcess(self, signalID: str | int) -> None:
        """
        Signal the whole group.

        Raises:
            ProcessExitedAlready: nothing was signalled.
        """
        number = getattr(signal, f"SIG{signalID}") if isinstance(signalID, str) else signalID
        if self._pidfd < 0:
            raise ProcessExitedAlready()
        try:
            if self._group is None:
                signal.pidfd_send_signal(self._pidfd, number)
            else:
                # while the leader is not reaped nobody else can be this group
                signal.pidfd_send_signal(self._pidfd, 0)
                os.killpg(self._group, number)
        except ProcessLookupError:
            raise ProcessExitedAlready() from None

    def has_ended(self) -> bool:
        """Whether the process has ended, also when the reactor has not come to tell so yet."""
        if self._pidfd < 0:
            return True
        looking = select.poll()
        looking.register(self._pidfd, select.POLLIN)
        return bool(looking.poll(0))

    def exited(self) -> None:
        """The pidfd is readable."""
        self._reactor.removeReader(self._exit)
        self._kill_group()
        reason = self._reap()
        pidfd, self._pidfd = self._pidfd, -1
        os.close(pidfd)
        _watched.discard(self._pid)
        self._tell("processExited", reason)
        self._wait_for_group(reason, 0.002, self._reactor.seconds() + GROUP_PATIENCE)

    def _kill_group(self) -> None:
        """End what the process leaves behind, while its number still belongs to it."""
        group, self._group = self._group, None
        if group is None:
            return
        try:
            if process_started(group) != self.started:
                # another parent has reaped it and the number was given out again, which the
                # kernel does only when the group is empty
                return
        except ProcessLookupError:
            # reaped, and the group's members keep the number
            pass
        try:
            os.killpg(group, signal.SIGKILL)
        except ProcessLookupError:
            return
        self._group = group

    def _reap(self) -> Failure:
        try:
            ended = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            # not our child: that it ended is all that can be known
            return Failure(ProcessTerminated())
        if ended is None:
            return Failure(ProcessTerminated())
        if ended.si_code != os.CLD_EXITED:
            return Failure(ProcessTerminated(signal=ended.si_status, status=ended.si_status))
        if ended.si_status:
            return Failure(ProcessTerminated(ended.si_status, status=ended.si_status << 8))
        return Failure(ProcessDone(0))

    def _wait_for_group(self, reason: Failure, pause: float, deadline: float) -> None:
        if self._group is not None and self._group_lives(self._group):
            if self._reactor.seconds() < deadline:
                self._reactor.callLater(
                    pause, self._wait_for_group, reason, min(pause * 2, 0.1), deadline
                )
                return
            self.log.error("killed, but still there: process group {group}", group=self._group)
        self.pid = None
        self._tell("processEnded", reason)

    def _group_lives(self, group: int) -> bool:
        try:
            # a subreaper's share: members that lost their parent
            while os.waitid(os.P_PGID, group, os.WEXITED | os.WNOHANG):
                pass
        except ChildProcessError:
            pass
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        return True

    def _tell(self, name: str, reason: Failure) -> None:
        try:
            getattr(self._protocol, name)(reason)
        except Exception:  # noqa: BLE001
            self.log.failure("{name} of process {pid}", name=name, pid=self._pid)

    # what a transport has to have; there are no pipes

    def loseConnection(self) -> None:
        pass

    def closeStdin(self) -> None:
        pass

    def closeStdout(self) -> None:
        pass

    def closeStderr(self) -> None:
        pass

    def closeChildFD(self, descriptor: int) -> None:
        raise KeyError(descriptor)

    def writeToChild(self, childFD: int, data: bytes) -> None:
        raise KeyError(childFD)

    def write(self, data: bytes) -> None:
        raise KeyError(0)

    def writeSequence(self, data: Any) -> None:
        raise KeyError(0)

    def getPeer(self) -> Any:
        return IPv4Address("TCP", "", 0)

    def getHost(self) -> Any:
        return IPv4Address("TCP", "", 0)

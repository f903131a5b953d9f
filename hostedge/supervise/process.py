"""
Processes that are started without a fork and watched without SIGCHLD.

In:  `spawn` and `Process.adopt`, with a Twisted `ProcessProtocol` each.
Out: `processExited` when the process ends, `processEnded` when nothing that it started is left;
     `process_stuck` in between, to a protocol that has it, when that takes too long, and
     `process_executed` when the launcher has become the daemon.

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
from collections.abc import Iterator
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
from hostedge.supervise.compiled import SOURCE, launcher_code
from hostedge.supervise.confinement import Confinement
from hostedge.supervise.gauge import environment_of
from hostedge.supervise.launcher import FIRST, SIGN
from hostedge.supervise.logs import open_log
from hostedge.supervise.remains import Leaf, Remains, mark_of, owner_of
from hostedge.supervise.report import LaunchFailed, Report

SIGNALS = frozenset(signal.valid_signals())
PATIENCE = 5.0  # for what is left after KILL; longer means stuck in the kernel
LOOK_FIRST, LOOK_LATER = 0.002, 0.1
LOOK_STUCK = 1.0


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
    # what is around a customer's process; None for our own
    confinement: Confinement | None = None
    # the cgroup that it joins before anything else; it is the process's from here on
    leaf: Leaf | None = None

    def words(self) -> list[str]:
        """The launcher's arguments."""
        words = [f"umask={self.umask:o}", f"directory={self.cwd}", "report=1"]
        words.append(f"listeners={len(self.listeners)}")
        if self.leaf is not None:
            words.append(f"cgroup={self.leaf.procs}")
        if self.owner is not None:
            words.append(f"owner={self.owner[0]}:{self.owner[1]}")
        if self.confinement is not None:
            words += [*self.confinement.words(), f"source={SOURCE}"]
        return [*words, "--", *self.argv]


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
    with ExitStack() as closing:
        if launch.leaf is not None:
            closing.callback(launch.leaf.remove)
        reading, writing = os.pipe2(os.O_CLOEXEC)
        closing.callback(os.close, reading)
        with ExitStack() as handed:
            handed.callback(os.close, writing)
            pid = _spawn(launch, writing, handed)
        try:
            pidfd = os.pidfd_open(pid)
        except OSError:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        closing.pop_all()
    mark = mark_of(launch.environment)
    uid = os.geteuid() if launch.owner is None else launch.owner[0]
    remains = Remains(pid, mark, uid, launch.leaf)
    report = Report(reactor, reading)
    return Process(reactor, protocol, pid, pidfd, pid, remains, report, launch.leaf)


def _spawn(launch: Launch, report: int, closing: ExitStack) -> int:
    """The pid; what had to be opened for it is closed by `closing`."""
    actions: list[tuple[Any, ...]] = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)]
    if launch.log is not None:
        output = open_log(launch.log)
        closing.callback(os.close, output)
        actions += [(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    handed = (*launch.listeners, report, launcher_code())
    for place, descriptor in enumerate(handed, FIRST):
        # out of the way of the places, so that no dup2 hits what a later one needs
        above = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, FIRST + len(handed))
        closing.callback(os.close, above)
        actions.append((os.POSIX_SPAWN_DUP2, above, place))
    code = f"/proc/self/fd/{FIRST + len(handed) - 1}"
    return os.posix_spawn(
        sys.executable,
        [sys.executable, "-I", "-S", code, *launch.words()],
        {**_own_steering(), **{f"{SIGN}{name}": text for name, text in launch.environment.items()}},
        file_actions=actions,
        # at once, not by the launcher: a signal to the group finds it from the beginning
        setsid=True,
        setsigmask=[],
        setsigdef=SIGNALS,
    )


def _own_steering() -> dict[str, str]:
    """What our own interpreter is loaded with; never what the daemon's is."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}


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
        self,
        reactor: Any,
        protocol: ProcessProtocol,
        pid: int,
        pidfd: int,
        group: int | None,
        remains: Remains,
        report: Report | None = None,
        leaf: Leaf | None = None,
    ) -> None:
        self.pid: int | None = pid
        self.started = process_started(pid)
        # it was killed, and something of it will not go
        self.stuck = False
        self._pid = pid
        self._remains = remains
        self._report = report
        if report is not None:
            report.told = self._executed
        self._leaf = leaf
        self._pidfd = pidfd
        self._group = group
        self._reactor = reactor
        self._protocol = protocol
        self._exit = _Exit(self, pidfd)
        _watched.add(pid)
        reactor.addReader(self._exit)
        protocol.makeConnection(self)

    @classmethod
    def adopt(
        cls,
        reactor: Any,
        protocol: ProcessProtocol,
        pid: int,
        started: int,
        leaf: Leaf | None = None,
    ) -> Process:
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
            mark = mark_of(environment_of(pid))
            remains = Remains(group, mark, owner_of(pid), leaf)
        except BaseException:
            os.close(pidfd)
            raise
        return cls(reactor, protocol, pid, pidfd, group, remains, leaf=leaf)

    @property
    def executed(self) -> float | None:
        """When the launcher became the daemon, by the reactor's clock; None: not known."""
        return None if self._report is None else self._report.executed

    def signalProcess(self, signalID: str | int) -> None:
        """
        Signal the whole group; KILL ends everything that it has started, in its group or not.

        A frozen group is thawed, so that its handlers run.

        Raises:
            ProcessExitedAlready: nothing was signalled.
        """
        number = getattr(signal, f"SIG{signalID}") if isinstance(signalID, str) else signalID
        if self._pidfd < 0:
            raise ProcessExitedAlready()
        try:
            self._tell_leaf(number)
            if self._group is None:
                signal.pidfd_send_signal(self._pidfd, number)
            else:
                # while the leader is not reaped nobody else can be this group
                signal.pidfd_send_signal(self._pidfd, 0)
                os.killpg(self._group, number)
        except ProcessLookupError:
            raise ProcessExitedAlready() from None

    def _tell_leaf(self, number: int) -> None:
        if self._leaf is None:
            return
        try:
            if number == signal.SIGKILL:
                self._leaf.kill()
            self._leaf.thaw()
        except OSError as error:
            # no descriptor may be left to open its files; the process group hears it all the same
            self.log.error("process {pid}: its cgroup: {error}", pid=self._pid, error=error)

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
        self._remains.kill(self._pid, self.started)
        reason = self._reap()
        pidfd, self._pidfd = self._pidfd, -1
        os.close(pidfd)
        _watched.discard(self._pid)
        self._tell("processExited", reason)
        self._clear(reason, self._remains.sweep(), LOOK_FIRST, self._reactor.seconds() + PATIENCE)

    def _reap(self) -> Failure:
        failed = None if self._report is None else self._report.finish()
        try:
            ended = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            # not our child: that it ended is all that can be known
            return Failure(ProcessTerminated())
        if ended is None:
            return Failure(ProcessTerminated())
        if ended.si_code != os.CLD_EXITED:
            return Failure(ProcessTerminated(signal=ended.si_status, status=ended.si_status))
        if ended.si_status and failed is not None:
            return Failure(LaunchFailed(*failed, status=ended.si_status))
        if ended.si_status:
            return Failure(ProcessTerminated(ended.si_status, status=ended.si_status << 8))
        return Failure(ProcessDone(0))

    def _clear(
        self, reason: Failure, sweep: Iterator[bool | None], pause: float, deadline: float
    ) -> None:
        left = next(sweep)
        if left is None:
            self._reactor.callLater(0, self._clear, reason, sweep, pause, deadline)
        elif left:
            if not self.stuck and self._reactor.seconds() >= deadline:
                self._get_stuck(reason)
            longest = LOOK_STUCK if self.stuck else LOOK_LATER
            again = self._remains.sweep()
            longer = min(pause * 2, longest)
            self._reactor.callLater(pause, self._clear, reason, again, longer, deadline)
        else:
            try:
                self._remains.close()
            except OSError:
                self.log.failure("the group of process {pid} stays", pid=self._pid)
            self.stuck = False
            self.pid = None
            self._tell("processEnded", reason)

    def _get_stuck(self, reason: Failure) -> None:
        self.stuck = True
        self.log.error("killed, but still there: what process {pid} has started", pid=self._pid)
        if hasattr(self._protocol, "process_stuck"):
            self._tell("process_stuck", reason)

    def _executed(self) -> None:
        if hasattr(self._protocol, "process_executed"):
            self._tell("process_executed")

    def _tell(self, name: str, *told: Failure) -> None:
        try:
            getattr(self._protocol, name)(*told)
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

"""
Tests for `hostedge.supervise.process` with real processes.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IProcessTransport, IReadDescriptor
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from hostedge.net.identity import process_started
from hostedge.supervise import process as process_module
from hostedge.supervise.cgroup import Events, find_rung
from hostedge.supervise.confinement import Confinement, Rlimits, View
from hostedge.supervise.containment import Containment
from hostedge.supervise.group_limits import AccountLimits, LeafLimits
from hostedge.supervise.process import Launch, Process, spawn, watches
from hostedge.supervise.remains import UNIT
from hostedge.supervise.report import LaunchFailed
from tests.live.tenant import OWNER, may_have_a_view, own, python

ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}


class Watcher(ProcessProtocol):
    def __init__(self) -> None:
        self.events: list[str] = []
        self.ended: Deferred[Any] = Deferred()
        self.stuck: Deferred[None] = Deferred()

    def process_stuck(self, reason: Any) -> None:
        self.events.append("stuck")
        self.stuck.callback(None)

    def processExited(self, reason: Any) -> None:
        self.events.append("exited")

    def processEnded(self, reason: Any) -> None:
        self.events.append("ended")
        self.ended.callback(reason.value)


def is_alive(pid: int) -> bool:
    """A zombie that nobody reaps is not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def uid_of(process: Path) -> int:
    try:
        return process.stat().st_uid
    except FileNotFoundError:
        return 0


def refuse() -> None:
    raise OSError(errno.EMFILE, "no descriptor")


class Unkillable:
    """A cgroup with a process that sits in the kernel."""

    def __init__(self, procs: Path) -> None:
        self.procs = procs
        self.lives = True
        self.removed = False
        if procs.parent.is_dir():
            procs.touch()

    def kill(self) -> None: ...

    def thaw(self) -> None: ...

    def populated(self) -> bool:
        return self.lives

    def remove(self) -> None:
        self.removed = True


class ProcessTests(TestCase):
    timeout = 30

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.output = self.folder / "log"

    def launch(self, *argv: str, **options: Any) -> tuple[Process, Watcher]:
        watcher = Watcher()
        environment = {**ENVIRONMENT, **options.pop("environment", {})}
        launch = Launch(argv, environment, log=self.output, **options)
        process = spawn(reactor, watcher, launch)
        self.addCleanup(self.end, process, watcher)
        return process, watcher

    async def end(self, process: Process, watcher: Watcher) -> None:
        if not watcher.ended.called:
            with contextlib.suppress(ProcessExitedAlready):
                process.signalProcess("KILL")
            await watcher.ended

    async def said(self, count: int = 1) -> list[str]:
        """The words that the process has written, at least so many."""
        while len(words := self.output.read_text().split()) < count:
            await deferLater(reactor, 0.01)
        return words

    async def test_exitStatus(self) -> None:
        """
        The protocol is told once that it exited and once that it ended, and how.
        """
        for command, wanted in (("exit 0", (0, None)), ("exit 3", (3, None)), ("kill -9 $$", None)):
            _, watcher = self.launch("sh", "-c", command)
            reason = await watcher.ended
            self.assertEqual(watcher.events, ["exited", "ended"])
            if wanted is None:
                self.assertEqual((reason.exitCode, reason.signal), (None, signal.SIGKILL))
            else:
                self.assertEqual((reason.exitCode, reason.signal), wanted)
        self.assertIsInstance(reason, ProcessTerminated)

    async def test_interfaces(self) -> None:
        """
        A process is a process transport; its exit is a read descriptor.
        """
        process, watcher = self.launch("true")
        verifyObject(IProcessTransport, process)
        verifyObject(IReadDescriptor, process._exit)
        self.assertIs(watcher.transport, process)
        self.assertTrue(watches(process.pid or 0))
        self.assertIsInstance(await watcher.ended, ProcessDone)
        self.assertIsNone(process.pid)
        self.assertRaises(ProcessExitedAlready, process.signalProcess, "TERM")

    async def test_descriptors(self) -> None:
        """
        Only input, output and the listeners are open, in their order, whatever is open here.
        """
        first, second = socket.socketpair()
        inherited = os.open("/", os.O_RDONLY)
        self.addCleanup(first.close)
        self.addCleanup(second.close)
        self.addCleanup(os.close, inherited)
        inodes = [str(os.fstat(each.fileno()).st_ino) for each in (second, first)]
        # sh opens no descriptor of its own for this; ls does, as the last one
        _, watcher = self.launch(
            *("sh", "-c", "exec ls -l /proc/self/fd"),
            listeners=(second.fileno(), first.fileno()),
        )
        await watcher.ended
        lines = [line.partition(" -> ") for line in self.output.read_text().splitlines()[1:]]
        opened = {before.split()[-1]: target for before, _, target in lines}
        self.assertEqual(opened["0"], "/dev/null")
        self.assertEqual(opened["1"], str(self.output))
        self.assertEqual(opened["2"], str(self.output))
        self.assertEqual([opened["3"], opened["4"]], [f"socket:[{inode}]" for inode in inodes])
        self.assertEqual(set(opened) - set("012345"), set())

    async def test_signals(self) -> None:
        """
        Nothing is ignored or blocked in a process, whatever is here.
        """
        before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self.addCleanup(signal.signal, signal.SIGHUP, before)
        _, watcher = self.launch("grep", "-E", "SigIgn|SigBlk", "/proc/self/status")
        await watcher.ended
        words = self.output.read_text().split()
        # 32 and 33 belong to the C library
        masks = [int(mask, 16) & ~(0b11 << 31) for mask in words[1::2]]
        self.assertEqual(masks, [0, 0])

    async def test_environment(self) -> None:
        """
        The environment is what the launch says and nothing of this process's.
        """
        os.environ["HOSTEDGE_TEST_LEAK"] = "1"
        self.addCleanup(os.environ.pop, "HOSTEDGE_TEST_LEAK")
        _, watcher = self.launch("env")
        await watcher.ended
        names = {line.partition("=")[0] for line in self.output.read_text().splitlines()}
        self.assertEqual(names, set(ENVIRONMENT))

    async def test_groupEndsWithItsLeader(self) -> None:
        """
        However the leader ends, what it started ends too, before `processEnded`.
        """
        _, watcher = self.launch("sh", "-c", "sleep 60 & sleep 60 & echo $!; exit 0")
        await watcher.ended
        [grandchild] = await self.said()
        self.assertFalse(is_alive(int(grandchild)))

    async def test_groupIsSignalled(self) -> None:
        """
        A signal reaches every process of the group, from the first moment on.
        """
        process, watcher = self.launch("sh", "-c", "sleep 60 & echo $!; wait")
        [grandchild] = await self.said()
        process.signalProcess("TERM")
        await watcher.ended
        self.assertFalse(is_alive(int(grandchild)))
        process, watcher = self.launch("sleep", "60")
        # the launcher has hardly begun
        process.signalProcess("KILL")
        self.assertEqual((await watcher.ended).signal, signal.SIGKILL)

    async def test_adopt(self) -> None:
        """
        A process of another parent is watched and signalled; how it ended is not known.
        """
        self.output.touch()
        # a parent that stays: else it would be ours, where an earlier test has made us a subreaper
        parent = subprocess.Popen(
            [
                *("sh", "-c"),
                f"setsid sh -c 'echo $$; sleep 60 & echo $!; wait' >{self.output} & wait",
            ]
        )
        self.addCleanup(parent.wait)
        pid, grandchild = map(int, await self.said(2))
        started = process_started(pid)
        self.assertRaises(ProcessLookupError, Process.adopt, reactor, Watcher(), pid, started + 1)
        self.assertTrue(is_alive(pid))
        watcher = Watcher()
        process = Process.adopt(reactor, watcher, pid, started)
        process.signalProcess("TERM")
        reason = await watcher.ended
        self.assertIsInstance(reason, ProcessTerminated)
        self.assertEqual((reason.exitCode, reason.signal), (None, None))
        self.assertFalse(is_alive(grandchild))
        self.assertRaises(ProcessLookupError, Process.adopt, reactor, Watcher(), pid, started)

    async def test_cannotStart(self) -> None:
        """
        A log that cannot be opened is an error here and leaves nothing behind.
        """
        self.output.mkdir()
        before = len(os.listdir("/proc/self/fd"))
        self.assertRaises(OSError, self.launch, "true")
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    async def test_descriptorsHere(self) -> None:
        """
        A process that has come and gone leaves no descriptor open.
        """
        _, watcher = self.launch("true")
        await watcher.ended
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(3):
            _, watcher = self.launch("true")
            await watcher.ended
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    async def test_errorsOfTheProtocol(self) -> None:
        """
        An exception in a protocol is logged, and the end is told all the same.
        """

        class Wrong(Watcher):
            def processExited(self, reason: Any) -> None:
                raise RuntimeError("wrong")

        watcher = Wrong()
        spawn(reactor, watcher, Launch(("true",), ENVIRONMENT))
        await watcher.ended
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_launchFailed(self) -> None:
        """
        What was refused on the way is the reason of the end, with the step and the errno.
        """
        for command, cwd, step, number in (
            ("no-such-thing", "/", "command", errno.ENOENT),
            ("/etc/passwd", "/", "command", errno.EACCES),
            ("true", "/no/such", "directory", errno.ENOENT),
        ):
            process, watcher = self.launch(command, cwd=Path(cwd))
            reason = await watcher.ended
            self.assertIsInstance(reason, LaunchFailed)
            self.assertEqual((reason.step, reason.errno), (step, number))
            self.assertIsNone(process.executed)
            self.assertIn(reason.line, self.output.read_text())

    async def test_executed(self) -> None:
        """
        When the launcher became the program is known, and a status of its own is its own.
        """
        process, watcher = self.launch("sleep", "60")
        while process.executed is None:
            await deferLater(reactor, 0.001)
        self.assertFalse(watcher.ended.called)
        process, watcher = self.launch("sh", "-c", "exit 127")
        reason = await watcher.ended
        self.assertNotIsInstance(reason, LaunchFailed)
        self.assertEqual(reason.exitCode, 127)
        self.assertIsNotNone(process.executed)

    async def test_confined(self) -> None:
        """
        A customer's process has its limits and no privileges, nor a way to get any.
        """
        confinement = Confinement(oom_score=600, rlimits=Rlimits(open_files=(64, 128)))
        script = "id -u; cat /proc/self/oom_score_adj; ulimit -Sn; ulimit -Hn; ulimit -c;"
        script += "awk '/^(CapBnd|CapPrm|NoNewPrivs)/ {print $2}' /proc/self/status"
        _, watcher = self.launch("sh", "-c", script, owner=OWNER, confinement=confinement)
        await watcher.ended
        uid, *rest = self.output.read_text().split()
        self.assertEqual(rest[:4], ["600", "64", "128", "0"])
        self.assertEqual(rest[-1], "1")
        if OWNER is not None:
            self.assertEqual(uid, str(OWNER[0]))
            self.assertEqual([int(mask, 16) for mask in rest[4:6]], [0, 0])

    async def test_processes(self) -> None:
        """
        Who forks without end comes to one where processes are bounded, and all of it ends.
        """
        confinement = Confinement(rlimits=Rlimits(processes=4))
        script = "ulimit -u; fork() { sleep 60 & fork; }; fork"
        # of a user whom no other test has, since all his processes count
        owner = OWNER and (40_000 + os.getpid() % 10_000, 20_011)
        unit = {UNIT: uuid.uuid4().hex}
        process, watcher = self.launch(
            *("bash", "-c", script if owner else "ulimit -u"),
            owner=owner,
            confinement=confinement,
            environment=unit,
        )
        if owner is None:
            # others of the tests' own user count as well: that it could start at all is luck
            await watcher.ended
            return
        while "fork" not in self.output.read_text():
            await deferLater(reactor, 0.01)
        self.assertEqual((await self.said())[0], "4")
        process.signalProcess("KILL")
        await watcher.ended
        left = [path for path in Path("/proc").iterdir() if path.name.isdecimal()]
        self.assertEqual(
            [each for each in left if is_alive(int(each.name)) and uid_of(each) == owner[0]], []
        )

    def homes(self) -> tuple[Path, Path]:
        """The folder of all homes, and the customer's."""
        homes = self.folder / "homes"
        for name in ("mine", "other"):
            (homes / name).mkdir(parents=True)
        for each in (self.folder, homes, own(homes / "mine")):
            each.chmod(0o755)
        return homes, homes / "mine"

    async def test_view(self) -> None:
        """
        With a view the program sees its own home, an empty /tmp and its own processes; it has
        its listener, its own pid in LISTEN_PID, and is told to end as every other.
        """
        homes, home = self.homes()
        here, there = socket.socketpair()
        self.addCleanup(here.close)
        self.addCleanup(there.close)
        script = f"""
            trap 'echo told; exit 7' TERM
            touch made; ls {homes}; ls -A /tmp | wc -l; echo $(ls /proc | grep -c "^[0-9]")
            test $$ = $LISTEN_PID && echo right; stat -L -c %i /proc/self/fd/3
            while :; do sleep 0.02; done
        """
        view = View(homes, home, python=python())
        process, watcher = self.launch(
            *("sh", "-c", script),
            cwd=home,
            owner=OWNER,
            listeners=(there.fileno(),),
            confinement=Confinement(view=view),
        )
        if not may_have_a_view():
            reason = await watcher.ended
            self.assertEqual(reason.step, "view")
            return
        mine, left, processes, right, inode = await self.said(5)
        while process.executed is None:
            await deferLater(reactor, 0.01)
        self.assertEqual(
            (mine, right, inode), ("mine", "right", str(os.fstat(there.fileno()).st_ino))
        )
        # the home of the tests lies there, and the node may
        self.assertLess(int(left), 4)
        self.assertLess(int(processes), 8)
        self.assertTrue((home / "made").exists())
        process.signalProcess("TERM")
        reason = await watcher.ended
        self.assertEqual(reason.exitCode, 7)
        self.assertIn("told", self.output.read_text())

    async def test_viewOutlivesItsKeeper(self) -> None:
        """
        Who has a view runs on when what has launched it is killed, and is ended by the next.
        """
        if not may_have_a_view():
            # without one there is nobody to outlive: see test_view
            return
        homes, home = self.homes()
        keeper = f"""
import os, signal
from pathlib import Path
from twisted.internet import reactor
from twisted.internet.protocol import ProcessProtocol
from hostedge.supervise.confinement import Confinement, View
from hostedge.supervise.process import Launch, spawn
view = View(Path({str(homes)!r}), Path({str(home)!r}), python={python()!r})
script = "trap 'echo told; exit 7' TERM; echo ready; while :; do sleep 0.02; done"
log = Path({str(self.output)!r})
launch = Launch(("sh", "-c", script), {ENVIRONMENT!r}, owner={OWNER!r},
    confinement=Confinement(view=view), log=log)
print(spawn(reactor, ProcessProtocol(), launch).pid, flush=True)
while not log.read_text():
    os.sched_yield()
os.kill(os.getpid(), signal.SIGKILL)
"""
        done = subprocess.run([sys.executable, "-c", keeper], stdout=subprocess.PIPE, text=True)
        self.assertEqual(done.returncode, -signal.SIGKILL)
        pid = int(done.stdout)
        watcher = Watcher()
        process = Process.adopt(reactor, watcher, pid, process_started(pid))
        process.signalProcess("TERM")
        await watcher.ended
        self.assertIn("told", self.output.read_text())
        self.assertFalse(is_alive(pid))

    async def test_failsInside(self) -> None:
        """
        What fails inside of a view, or in making it, is named as it is outside.
        """
        homes, home = self.homes()
        view = View(homes, home, python=python())
        inside = "command" if may_have_a_view() else "view"
        for command, bubblewrap, step in (
            ("no-such-thing", view.bubblewrap, inside),
            ("true", "/no/bwrap", "view"),
            ("true", "/bin/false", "view"),
        ):
            confinement = Confinement(view=evolve(view, bubblewrap=bubblewrap))
            _, watcher = self.launch(command, cwd=home, owner=OWNER, confinement=confinement)
            reason = await watcher.ended
            self.assertIsInstance(reason, LaunchFailed)
            self.assertEqual(reason.step, step)

    async def test_whoHasLeft(self) -> None:
        """
        Who has forked twice, has a session of its own and lost its parent ends all the same.
        """
        unit = {UNIT: uuid.uuid4().hex}
        script = "setsid sh -c 'setsid sleep 60 & echo $!' & wait; echo left"
        process, watcher = self.launch(
            *("sh", "-c", script + "; sleep 60"), owner=OWNER, environment=unit
        )
        gone, _ = await self.said(2)
        self.assertTrue(is_alive(int(gone)))
        process.signalProcess("TERM")
        await watcher.ended
        self.assertFalse(is_alive(int(gone)))

    async def test_leaf(self) -> None:
        """
        In a group of the kernel's nobody leaves, not even without an environment; the group is
        removed before the end is told. Without groups the mark finds whoever kept it.
        """
        here = find_rung()
        contained = Containment.on(reactor, here, uuid.uuid4().hex)
        self.addCleanup(contained.close)
        told: list[int] = []
        whose = ("demo", "hello", 1)
        leaf = contained.place(whose, AccountLimits(), LeafLimits(), told.append)
        self.assertEqual(leaf is None, here.level == 0)
        clear = "env -i" if leaf else ""
        script = f"setsid {clear} sh -c 'setsid sleep 60 & echo $!' & wait; exec sleep 60"
        process, watcher = self.launch(
            *("sh", "-c", script),
            owner=OWNER,
            environment={UNIT: uuid.uuid4().hex},
            confinement=Confinement(),
            leaf=leaf,
        )
        [gone] = await self.said()
        if leaf is not None:
            self.assertTrue({str(process.pid), gone} <= set(leaf.procs.read_text().split()))
            while not leaf.events.populated:
                await deferLater(reactor, 0.001)
            self.assertEqual(leaf.events, Events(populated=True, frozen=False))
            # a frozen process is thawed to hear that it has to end
            leaf.freeze()
        process.signalProcess("TERM")
        self.assertEqual((await watcher.ended).signal, signal.SIGTERM)
        self.assertFalse(is_alive(int(gone)))
        if leaf is not None:
            self.assertFalse(leaf.procs.parent.exists())
            self.assertFalse(leaf.events.populated)
        self.assertEqual(told, [])

    async def test_noDescriptor(self) -> None:
        """
        Where a group's files cannot be opened, as every descriptor is used, the process is told all
        the same, and ends.
        """
        leaf = Unkillable(self.folder / "cgroup.procs")
        leaf.lives = False
        leaf.procs.touch()
        for name in ("TERM", "KILL"):
            process, watcher = self.launch("sh", "-c", "echo up; exec sleep 600", leaf=leaf)
            await self.said()
            self.output.write_text("")
            self.patch(leaf, "thaw", refuse)
            self.patch(leaf, "kill", refuse)
            process.signalProcess(name)
            reason = await watcher.ended
            self.assertEqual(reason.signal, getattr(signal, f"SIG{name}"))

    async def test_noGroup(self) -> None:
        """
        A group that is gone when it should be joined is a named failure of the launch.
        """
        leaf = Unkillable(self.folder / "no" / "cgroup.procs")
        leaf.lives = False
        _, watcher = self.launch("true", leaf=leaf)
        reason = await watcher.ended
        self.assertEqual((reason.step, reason.errno), ("cgroup", errno.ENOENT))

    async def test_refusedGroup(self) -> None:
        """
        A group that can neither be killed, seen nor removed delays the end, and loses none.
        """

        class Refused(Unkillable):
            def refuse(self) -> None:
                raise PermissionError(errno.EPERM, "no")

            kill = remove = refuse

            def populated(self) -> bool:
                if self.lives:
                    self.lives = False
                    self.refuse()
                return False

        _, watcher = self.launch("true", leaf=Refused(self.folder / "cgroup.procs"))
        await watcher.ended
        self.assertEqual(watcher.events, ["exited", "ended"])
        self.assertEqual(len(self.flushLoggedErrors(PermissionError)), 1)

    async def test_stuck(self) -> None:
        """
        What cannot be killed is told as such, and has not ended before it is gone.
        """
        self.patch(process_module, "PATIENCE", 0.0)
        leaf = Unkillable(self.folder / "cgroup.procs")
        process, watcher = self.launch("true", leaf=leaf)
        await watcher.stuck
        self.assertTrue(process.stuck)
        self.assertFalse(watcher.ended.called)
        self.assertFalse(leaf.removed)
        leaf.lives = False
        await watcher.ended
        self.assertEqual(watcher.events, ["exited", "stuck", "ended"])
        self.assertTrue(leaf.removed)

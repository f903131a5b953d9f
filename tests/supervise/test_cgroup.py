"""
Tests for `hostedge.supervise.cgroup`: on the kernel's groups where they can be written, and on
folders that follow the kernel's rules.
"""

import errno
import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.cgroup import (
    NODE,
    Events,
    Groups,
    Kernel,
    Used,
    escape,
    find_rung,
    look,
    unescape,
)
from hostedge.supervise.group_limits import AccountLimits, LeafLimits
from hostedge.supervise.ladder import rung
from tests.supervise.cgroups import FakeKernel, size

HERE = find_rung()

# what is written where, and what the kernel says to it; a name before the slash is a child group
RULES = (
    ("cgroup.kill", "0", errno.ERANGE),
    ("cgroup.kill", "2", errno.ERANGE),
    ("cgroup.kill", "x", errno.EINVAL),
    ("cgroup.kill", "1", 0),
    ("cgroup.freeze", "2", errno.ERANGE),
    ("cgroup.freeze", "-1", errno.ERANGE),
    ("cgroup.freeze", "x", errno.EINVAL),
    ("cgroup.freeze", "1", 0),
    ("cgroup.freeze", "0", 0),
    ("cgroup.procs", "4000000", errno.ESRCH),
    ("cgroup.procs", "x", errno.EINVAL),
    ("cgroup.procs", "-5", errno.EINVAL),
    ("cgroup.subtree_control", "+nosuch", errno.EINVAL),
    ("cgroup.subtree_control", "hugetlb", errno.EINVAL),
    ("cgroup.nosuch", "1", errno.ENOENT),
)


class KernelTests(SynchronousTestCase):
    """The fake and the kernel answer the same."""

    def places(self):
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        yield FakeKernel(folder, "hugetlb", {4711}), folder, 4711
        if HERE.base is not None:
            sleeping = subprocess.Popen(["sleep", "60"])
            self.addCleanup(sleeping.wait)
            self.addCleanup(sleeping.kill)
            yield Kernel(), HERE.base, sleeping.pid

    def said(self, do, *arguments):
        try:
            do(*arguments)
        except OSError as error:
            return error.errno
        return 0

    def test_values(self):
        """
        What the kernel refuses, the fake refuses with the same errno.
        """
        for kernel, base, _ in self.places():
            group = base / f"hostedge-test-{uuid.uuid4().hex}"
            kernel.make(group)
            try:
                for file, text, wanted in RULES:
                    self.assertEqual(
                        self.said(kernel.write, group / file, text), wanted, (kernel, file, text)
                    )
            finally:
                kernel.remove(group)

    def test_members(self):
        """
        A group with members, or with groups, is not removed; a killed one is.
        """
        for kernel, base, pid in self.places():
            group = base / f"hostedge-test-{uuid.uuid4().hex}"
            child = group / "child"
            kernel.make(group)
            kernel.make(child)
            self.assertRaises(FileExistsError, kernel.make, child)
            self.assertEqual(self.said(kernel.remove, group), errno.EBUSY)
            kernel.write(child / "cgroup.procs", str(pid))
            self.assertEqual(kernel.read(child / "cgroup.procs"), f"{pid}\n")
            self.assertEqual(self.said(kernel.remove, child), errno.EBUSY)
            self.assertIn("populated 1\n", kernel.read(group / "cgroup.events"))
            kernel.write(group / "cgroup.kill", "1")
            if not isinstance(kernel, FakeKernel):
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
            while "populated 1" in kernel.read(group / "cgroup.events"):
                os.sched_yield()
            kernel.remove(child)
            kernel.remove(group)
            self.assertEqual(self.said(kernel.remove, group), errno.ENOENT)

    def test_sizes(self):
        """
        Sizes are whole pages.
        """
        for text, kept in (
            ("max", "max\n"),
            ("5000", "4096\n"),
            ("1K", "0\n"),
            ("2m", "2097152\n"),
        ):
            self.assertEqual(size(text), kept)
        self.assertRaises(OSError, size, "-1")


class NameTests(SynchronousTestCase):
    def test_escape(self):
        """
        Any name becomes part of one folder's name, and is found again in it.
        """
        for name, made in (
            ("demo-1_B", "demo-1_B"),
            ("a/b", "a\\x2fb"),
            ("..", "\\x2e\\x2e"),
            ("a\\x2fb", "a\\x5cx2fb"),
            ("ä\n", "\\xc3\\xa4\\x0a"),
        ):
            self.assertEqual((escape(name), unescape(made)), (made, name))
        for name in ("", "a" * 201):
            self.assertRaises(ValueError, escape, name)


class RealTests(SynchronousTestCase):
    """What this machine has, whichever rung that is."""

    def setUp(self):
        self.groups = Groups.on(HERE, uuid.uuid4().hex)
        if self.groups is not None:
            self.addCleanup(self.groups.close)

    def start(self, leaf):
        """A shell with a child in a session of its own, in this leaf."""
        script = f"echo $$ > '{leaf.procs}'; setsid -f sleep 60; echo in; exec sleep 60"
        process = subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE)
        self.addCleanup(process.communicate)
        self.addCleanup(leaf.kill)
        process.stdout.readline()
        return process

    def empty(self, leaf):
        while leaf.populated():
            os.sched_yield()

    def test_ladder(self):
        """
        Without a rung there are no groups; with one, nothing of the look is left.
        """
        found = look()
        self.assertEqual(rung(found), HERE)
        self.assertEqual(HERE.level == 0, self.groups is None)
        if found.own is not None:
            left = [name for name in os.listdir(found.own) if name.startswith("hostedge-probe")]
            self.assertEqual(left, [])

    def test_life(self):
        """
        Everything in a leaf is counted, frozen, thawed, killed at once, and then the leaf goes.
        """
        if self.groups is None:
            self.assertEqual(HERE.level, 0)
            return
        leaf = self.groups.leaf("demo", "hello", 7, AccountLimits(), LeafLimits())
        self.assertEqual(leaf.events(), Events(False, False))
        process = self.start(leaf)
        self.assertTrue(leaf.populated())
        self.assertEqual(len(leaf.pids()), 2)
        leaf.freeze()
        while not leaf.events().frozen:
            os.sched_yield()
        leaf.thaw()
        while leaf.events().frozen:
            os.sched_yield()
        self.assertGreaterEqual(leaf.used().cpu, 0)
        leaf.remove()
        self.assertTrue(leaf.path.exists())
        # somebody is in it: it is nobody else's
        self.assertRaises(FileExistsError, self.groups.leaf, *self.named("hello", 7))
        leaf.freeze()
        leaf.kill()
        process.wait()
        self.empty(leaf)
        leaf.remove()
        self.assertFalse(leaf.path.exists())

    def named(self, app, generation):
        return "demo", app, generation, AccountLimits(), LeafLimits()

    def test_leftBehind(self):
        """
        What an earlier keeper has made is found by its names; an empty leaf is made anew.
        """
        if self.groups is None:
            self.assertEqual(HERE.level, 0)
            return
        made = self.groups.leaf(*self.named("a-1", 3))
        inode = made.inode
        again = Groups.on(HERE, self.groups.path.name.removeprefix("node-"))
        [(account, app, generation, leaf)] = again.leaves()
        self.assertEqual((account, app, generation), ("demo", "a-1", 3))
        self.assertEqual((leaf.inode, again.find("demo", "a-1", 3).inode), (inode, inode))
        self.assertIsNone(again.find("demo", "a-1", 4))
        self.assertEqual(again.strangers({("demo", "a-1", 3)}), [])
        [stranger] = again.strangers({("demo", "a-1", 4), ("demo", "a", 1)})
        self.assertEqual(stranger.path, made.path)
        self.assertNotEqual(again.leaf(*self.named("a-1", 3)).inode, inode)
        again.leaf(*self.named("b", 4)).remove()
        leaf.remove()
        again.forget("demo")
        again.forget("demo")
        self.assertEqual(list(again.leaves()), [])

    def test_gone(self):
        """
        A group that was removed has nobody, and there is nothing to do to it.
        """
        if self.groups is None:
            self.assertEqual(HERE.level, 0)
            return
        leaf = self.groups.leaf(*self.named("x", 1))
        leaf.remove()
        for do in (leaf.kill, leaf.freeze, leaf.thaw, leaf.remove):
            do()
        self.assertEqual(leaf.events(), Events(False, False))
        self.assertEqual((leaf.used(), leaf.pids()), (Used(None, 0.0, None), []))
        self.assertRaises(FileNotFoundError, lambda: leaf.inode)


class FakeTests(SynchronousTestCase):
    """All controllers, by the kernel's rules."""

    def setUp(self):
        self.root = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)

    def machine(self, controllers, own="/", members=()):
        """What a look finds on such a machine; the fake that it is made of."""
        kernel = FakeKernel(self.root, controllers, set(members))
        base = self.root / own.lstrip("/")
        if base != self.root:
            for name in controllers.split():
                kernel.write(self.root / "cgroup.subtree_control", f"+{name}")
            kernel.make(base)
            for pid in members:
                kernel.write(base / "cgroup.procs", str(pid))
        files = self.root / "mountinfo", self.root / "cgroup"
        files[0].write_text(f"41 31 0:38 / {self.root} rw - cgroup2 cgroup2 rw\n")
        files[1].write_text(f"0::{own}\n")
        return look(*files, kernel), kernel

    def test_limits(self):
        """
        Limits of the account and of the leaf are what the kernel then has.
        """
        found, kernel = self.machine("cpuset cpu io memory pids")
        here = rung(found)
        self.assertGreaterEqual(here.level, 2)
        groups = Groups.on(here, "n", kernel)
        self.assertEqual(groups.controllers, {"cpu", "io", "memory", "pids"})
        plan = AccountLimits(memory=1 << 30, pids=99, cpu=0.5, cpu_weight=50, io_weight=20)
        leaf = groups.leaf("demo", "hello", 7, plan, LeafLimits())
        above = leaf.path.parent
        for path, file, text in (
            (above, "memory.max", "1073741824\n"),
            (above, "memory.high", "966365184\n"),
            (above, "memory.swap.max", "268435456\n"),
            (above, "pids.max", "99\n"),
            (above, "cpu.weight", "50\n"),
            (above, "cpu.max", "50000 100000\n"),
            (above, "io.weight", "default 20\n"),
            (leaf.path, "memory.oom.group", "1\n"),
        ):
            self.assertEqual((path / file).read_text(), text)
        groups.account("demo", AccountLimits(pids=None))
        self.assertEqual((above / "pids.max").read_text(), "max\n")
        self.assertEqual((above / "memory.max").read_text(), "max\n")

    def test_counted(self):
        """
        Memory, processes and ends by memory are read as the kernel writes them.
        """
        found, kernel = self.machine("cpu io memory pids")
        leaf = Groups.on(rung(found), "n", kernel).leaf("a", "b", 1, AccountLimits(), LeafLimits())
        (leaf.path / "memory.current").write_text("4096\n")
        (leaf.path / "pids.current").write_text("3\n")
        (leaf.path / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 1\n")
        (leaf.path / "memory.events").write_text("low 0\nhigh 4\nmax 3\noom 2\noom_kill 1\n")
        self.assertEqual(leaf.used(), Used(4096, 2.5, 3))
        self.assertEqual(leaf.events(), Events(False, False, 2, 1))
        self.assertIsNone(leaf.written())
        (leaf.path / "memory.stat").write_text("anon 100\nfile 5000\nkernel 20\nshmem 3\n")
        self.assertEqual(leaf.written(), 123)

    def test_onlySome(self):
        """
        Controllers that are there are used, others are not missed.
        """
        found, kernel = self.machine("pids hugetlb")
        groups = Groups.on(rung(found), "n", kernel)
        self.assertEqual((rung(found).level, groups.controllers), (1, {"pids"}))
        plan = AccountLimits(memory=1 << 30, pids=5)
        leaf = groups.leaf("a", "b", 1, plan, LeafLimits())
        self.assertEqual((leaf.path.parent / "pids.max").read_text(), "5\n")
        self.assertFalse((leaf.path.parent / "memory.max").exists())
        self.assertEqual(leaf.used(), Used(None, 0.0, 0))

    def test_ownGroupIsEmptied(self):
        """
        A group that systemd has given us has ourselves in it: we step aside, once.
        """
        found, kernel = self.machine("cpu io memory pids", "/hostedge.service", (10, 11))
        for _ in range(2):
            groups = Groups.on(rung(found), "n", kernel)
            self.assertEqual(groups.controllers, {"cpu", "io", "memory", "pids"})
            self.assertEqual(kernel.members(self.root / "hostedge.service"), [])
            self.assertEqual(kernel.members(self.root / "hostedge.service" / NODE), [10, 11])
        leaf = groups.leaf("a", "b", 1, AccountLimits(), LeafLimits())
        kernel.write(leaf.procs, "10")
        leaf.kill()
        self.assertEqual((kernel.killed, leaf.populated()), ({10}, False))

    def test_refusedLimit(self):
        """
        A leaf whose limits are not taken is not left behind.
        """

        class Strict(FakeKernel):
            def write(self, path, text):
                if path.name == "memory.oom.group":
                    raise OSError(errno.EINVAL, "no")
                super().write(path, text)

        kernel = Strict(self.root, "memory")
        groups = Groups(self.root, "n", frozenset({"memory"}), kernel)
        named = ("a", "b", 1, AccountLimits(), LeafLimits())
        self.assertRaises(OSError, groups.leaf, *named)
        self.assertEqual(list(groups.leaves()), [])
        groups.close()
        self.assertEqual([path for path in self.root.glob("*/*") if path.is_dir()], [])

    def test_cannotWrite(self):
        """
        Without v2, or where it is not ours, a look finds just that.
        """
        self.assertEqual(look(self.root / "no", self.root / "no").mount, None)
        found, kernel = self.machine("cpu io memory pids")

        class Closed(FakeKernel):
            def make(self, path):
                raise PermissionError(errno.EACCES, "no")

        closed = Closed(self.root, "cpu")
        found = look(self.root / "mountinfo", self.root / "cgroup", closed)
        self.assertEqual((found.mount, found.made), (self.root, False))
        self.assertIsNone(Groups.on(rung(found), "n", closed))

    def test_probeLeftBehind(self):
        """
        A probe that somebody left is as good as a new one, and goes.
        """
        _, kernel = self.machine("cpu")
        probe = self.root / f"hostedge-probe.{os.getpid()}"
        kernel.make(probe)
        found = look(self.root / "mountinfo", self.root / "cgroup", kernel)
        self.assertEqual((found.made, probe.exists()), (True, False))

    def test_pathThatIsNotThere(self):
        """
        In a container the own group may lie out of what is mounted: then the mount is ours.
        """
        self.machine("cpu io memory pids")
        (self.root / "cgroup").write_text("0::/../outside\n")
        kernel = FakeKernel(self.root, "cpu")
        found = look(self.root / "mountinfo", self.root / "cgroup", kernel)
        self.assertEqual((found.own, found.made), (self.root, True))

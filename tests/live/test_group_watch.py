"""
Tests for `hostedge.supervise.group_watch` with the kernel's groups, and with folders like them.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import tempfile
import uuid
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.interfaces import IReadDescriptor
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from zope.interface.verify import verifyObject

from hostedge.supervise.cgroup import Events, Group, Groups, find_rung
from hostedge.supervise.group_limits import AccountLimits, LeafLimits
from hostedge.supervise.group_watch import GroupWatch
from tests.supervise.cgroups import FakeKernel


class WatchTests(TestCase):
    timeout = 30

    def setUp(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        self.kernel = FakeKernel(self.root, "cpu io memory pids", {10, 11})
        self.groups = Groups(self.root, "n", frozenset({"memory"}), self.kernel)
        self.watch = GroupWatch(reactor)
        self.addCleanup(self.watch.close)
        self.told: list[tuple[str, Events]] = []

    def leaf(self, app: str, groups: Groups | None = None) -> Group:
        groups = groups or self.groups
        leaf = groups.leaf("demo", app, 1, AccountLimits(), LeafLimits())
        self.watch.watch(leaf, lambda events: self.told.append((app, events)))
        return leaf

    async def until(self, count: int) -> list[tuple[str, Events]]:
        while len(self.told) < count:
            await deferLater(reactor, 0.001)
        return self.told

    async def test_real(self) -> None:
        """
        The kernel's groups say when they are populated, frozen, thawed and empty.
        """
        here = find_rung()
        groups = Groups.on(here, uuid.uuid4().hex)
        if groups is None:
            self.assertEqual(here.level, 0)
            return
        self.addCleanup(groups.close)
        leaf = self.leaf("x", groups)
        self.addCleanup(leaf.remove)
        process = subprocess.Popen(["sleep", "60"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        leaf.procs.write_text(f"{process.pid}\n")
        self.assertEqual((await self.until(1))[-1], ("x", Events(True, False)))
        leaf.freeze()
        self.assertEqual((await self.until(2))[-1], ("x", Events(True, True)))
        leaf.kill()
        while self.told[-1][1].populated:
            await deferLater(reactor, 0.001)
        process.wait()

    async def test_memory(self) -> None:
        """
        Ends by memory are told with their count.
        """
        leaf = self.leaf("x")
        (leaf.path / "memory.events").write_text("low 0\nhigh 0\nmax 1\noom 2\noom_kill 1\n")
        await self.until(1)
        while self.told[-1][1].oom_kill != 1:
            await deferLater(reactor, 0.001)
        self.assertEqual(self.told[-1], ("x", Events(False, False, 2, 1)))

    async def test_onlyChanges(self) -> None:
        """
        What was written and is the same is not told; each group is told of its own.
        """
        first, second = self.leaf("first"), self.leaf("second")
        self.kernel.write(first.procs, "10")
        await self.until(1)
        (first.path / "cgroup.events").write_text("populated 1\nfrozen 0\n")
        self.kernel.write(second.procs, "11")
        while self.told[-1] != ("second", Events(True, False)):
            await deferLater(reactor, 0.001)
        self.assertEqual([app for app, _ in self.told if app == "first"], ["first"])

    async def test_forgotten(self) -> None:
        """
        Nothing is told of a group that is forgotten, not even what was under way; one that was
        removed takes nobody with it.
        """
        first, second = self.leaf("first"), self.leaf("second")
        self.kernel.write(first.procs, "10")
        self.watch.forget(first)
        self.watch.forget(first)
        first.kill()
        first.remove()
        third = self.leaf("first")
        second.remove()
        self.kernel.write(third.procs, "11")
        await self.until(1)
        self.assertEqual(self.told, [("first", Events(True, False))])
        self.watch.forget(second)

    async def test_refused(self) -> None:
        """
        A group that is gone cannot be watched, and leaves no watch behind.
        """
        leaf = self.leaf("x")
        self.watch.forget(leaf)
        leaf.remove()
        self.assertRaises(OSError, self.watch.watch, leaf, self.told.append)
        self.assertEqual(self.watch._by_number, {})

    async def test_overflow(self) -> None:
        """
        When the kernel has lost count, every group is looked at.
        """
        first, second = self.leaf("first"), self.leaf("second")
        for leaf, pid in ((first, "10"), (second, "11")):
            self.kernel.write(leaf.procs, pid)
        reading, writing = os.pipe()
        os.write(writing, struct.pack("iIII", -1, 0x4000, 0, 0))
        inotify, self.watch._inotify = self.watch._inotify, reading
        self.watch.doRead()
        self.watch._inotify = inotify
        for end in (reading, writing):
            os.close(end)
        self.assertEqual([app for app, _ in self.told], ["first", "second"])

    async def test_listenerThatFails(self) -> None:
        """
        A listener's error is logged, and the others are told.
        """
        verifyObject(IReadDescriptor, self.watch)
        wrong = self.groups.leaf("demo", "wrong", 1, AccountLimits(), LeafLimits())
        self.watch.watch(wrong, lambda events: 1 // 0)
        right = self.leaf("right")
        self.kernel.write(wrong.procs, "10")
        self.kernel.write(right.procs, "11")
        await self.until(1)
        while not (errors := self.flushLoggedErrors(ZeroDivisionError)):
            await deferLater(reactor, 0.001)
        self.assertEqual(len(errors), 1)

"""
Tests for `hostedge.supervise.containment` on folders that follow the kernel's rules.
"""

import errno
import shutil
import tempfile
from pathlib import Path

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.cgroup import Events, Groups
from hostedge.supervise.containment import GRACE, PATIENCE, Containment
from hostedge.supervise.group_limits import AccountLimits, LeafLimits
from hostedge.supervise.group_watch import GroupWatch
from hostedge.supervise.ladder import Found, Rung, rung
from tests.supervise.cgroups import FakeKernel

WHOSE = ("demo", "hello", 7)


class Stubborn(FakeKernel):
    """Nobody is ended by a kill: he sits in the kernel."""

    def end(self, path):
        self.killed.add(path.name)


class Contained:
    """A containment on such folders."""

    kernel_class = FakeKernel

    def setUp(self):
        self.root = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.root)
        self.kernel = self.kernel_class(self.root, "cpu io memory pids", {10, 11})
        self.reactor = MemoryReactorClock()
        self.contained = self.make()
        self.told = []

    def make(self):
        """A keeper's, and the next keeper's."""
        groups = Groups(self.root, "n", frozenset({"memory", "pids"}), self.kernel)
        contained = Containment(self.reactor, groups)
        self.addCleanup(contained.close)
        return contained

    def place(self, whose=WHOSE):
        return self.contained.place(whose, AccountLimits(), LeafLimits(), self.told.append)


class ContainmentTests(Contained, SynchronousTestCase):
    def test_life(self):
        """
        A launch's group is made, watched and removed; what it was at last is known after that.
        """
        placed = self.place()
        self.kernel.write(placed.procs, "10")
        self.reactor.getReaders()[0].doRead()
        self.assertEqual((self.told, placed.events), ([], Events(True, False)))
        placed.freeze()
        placed.thaw()
        group = placed.procs.parent
        (group / "memory.events").write_text("oom 1\noom_kill 2\n")
        (group / "memory.current").write_text("4096\n")
        (group / "pids.current").write_text("1\n")
        self.assertEqual((placed.used().memory, placed.used().pids), (4096, 1))
        self.assertTrue(placed.populated())
        placed.kill()
        placed.remove()
        placed.remove()
        self.assertFalse(group.exists())
        # the watch had no turn in between: it is told of nevertheless, and once
        self.assertEqual((self.told, placed.events), ([2], Events(False, False, 1, 2)))
        self.contained.forget("demo")
        self.assertFalse(group.parent.exists())

    def test_noMoreWatches(self):
        """
        Where the kernel watches no more files a launch is none the worse; what has happened in
        its group is told at its end.
        """

        def used_up(*asked):
            raise OSError(errno.ENOSPC, "no watches")

        self.patch(GroupWatch, "watch", used_up)
        placed = self.place()
        (placed.path / "memory.events").write_text("oom 1\noom_kill 2\n")
        placed.remove()
        self.assertEqual(self.told, [2])

    def test_changedPlan(self):
        """
        A change of the plan counts for what runs.
        """
        account = self.place().procs.parent.parent
        self.contained.limit("demo", AccountLimits(pids=5))
        self.contained.limit("other", AccountLimits(pids=5))
        self.assertFalse((account.parent / "account-other").exists())
        self.assertEqual((account / "pids.max").read_text(), "5\n")

    def test_takenOver(self):
        """
        The next keeper finds a group by its names and its inode, and no other.
        """
        inode = self.place().inode
        following = self.make()
        found = following.find(WHOSE, inode, self.told.append)
        self.assertEqual(found.inode, inode)
        self.assertIsNone(following.find(WHOSE, inode + 1, self.told.append))
        self.assertIsNone(following.find(("demo", "hello", 8), inode, self.told.append))

    def test_killedBeforeIt(self):
        """
        The next keeper tells of who is killed from then on, not again of those before.
        """
        placed = self.place()
        group = placed.procs.parent
        (group / "memory.events").write_text("oom 1\noom_kill 2\n")
        heard = []
        found = self.make().find(WHOSE, placed.inode, heard.append)
        (group / "memory.events").write_text("oom 2\noom_kill 3\n")
        found.remove()
        self.assertEqual(heard, [1])

    def test_strangers(self):
        """
        What nobody has taken over is ended after a grace, and nothing else.
        """
        mine, other = self.place(), self.place(("demo", "other", 8))
        for placed, pid in ((mine, "10"), (other, "11")):
            self.kernel.write(placed.procs, pid)
        known = set()
        self.contained.clear(lambda: known)
        known.add(WHOSE)
        self.assertEqual(self.kernel.killed, set())
        self.reactor.advance(GRACE)
        self.assertEqual(self.kernel.killed, {11})
        self.assertEqual((mine.populated(), other.procs.exists()), (True, False))

    def test_closed(self):
        """
        After the keeper's end nothing happens any more, and empty groups are gone.
        """
        placed = self.place()
        self.contained.clear(lambda: [])
        placed.remove()
        self.contained.close()
        self.contained = self.make()
        self.reactor.advance(GRACE)
        self.assertEqual(self.kernel.killed, set())

    def test_none(self):
        """
        On a machine without groups there is nothing to place, to find or to limit.
        """
        contained = Containment.on(self.reactor, rung(Found()), "n")
        self.assertIsNone(contained.place(WHOSE, AccountLimits(), LeafLimits(), self.told.append))
        self.assertIsNone(contained.find(WHOSE, 1, self.told.append))
        contained.limit("demo", AccountLimits())
        contained.forget("demo")
        contained.clear(lambda: [])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        contained.close()

    def test_lessThanItSeemed(self):
        """
        A rung that does not hold is as good as none, and that is logged.
        """
        contained = Containment.on(self.reactor, Rung(2, "L2", base=self.root / "gone"), "n")
        self.assertIsNone(contained.place(WHOSE, AccountLimits(), LeafLimits(), self.told.append))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)


class StuckTests(Contained, SynchronousTestCase):
    kernel_class = Stubborn

    def test_strangers(self):
        """
        Who survives his kill is not waited for without end; his group stays, and is nobody's.
        """
        placed = self.place()
        self.kernel.write(placed.procs, "10")
        self.contained.clear(lambda: [])
        self.reactor.pump([GRACE, *[0.2] * int(PATIENCE / 0.2), 1])
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertTrue(placed.populated())
        self.assertRaises(FileExistsError, self.place)

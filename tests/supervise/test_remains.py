"""
Tests for `hostedge.supervise.remains` with real processes.
"""

import errno
import os
import signal
import subprocess
import sys
import uuid

from twisted.trial.unittest import SynchronousTestCase

from hostedge.net.identity import process_started
from hostedge.supervise import remains
from hostedge.supervise.gauge import environment_of
from hostedge.supervise.remains import (
    UNIT,
    Remains,
    kill_marked,
    mark_of,
    marked,
    owner_of,
)


def refuse(*_):
    raise OSError(errno.EMFILE, "no descriptor")


class FakeLeaf:
    """A cgroup whose members need so many kills."""

    procs = None

    def __init__(self, kills):
        self.left = kills
        self.happened = []

    def kill(self):
        self.happened.append("kill")
        self.left -= 1

    def thaw(self):
        self.happened.append("thaw")

    def populated(self):
        return self.left > 0

    def remove(self):
        self.happened.append("remove")


class RemainsTests(SynchronousTestCase):
    def setUp(self):
        self.unit = uuid.uuid4().hex
        self.mark = mark_of({UNIT: self.unit})

    def start(self, **options):
        """A process of our own that waits until it is killed or its input ends."""
        process = subprocess.Popen(
            [sys.executable, "-S", "-c", "print(flush=True); import sys; sys.stdin.read()"],
            env={UNIT: self.unit, "A": "b=c"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            **options,
        )
        self.addCleanup(self.end, process)
        # by now it has the environment that it was started with
        process.stdout.readline()
        return process

    def end(self, process):
        process.kill()
        process.communicate()

    def found(self):
        return [pid for pid in marked(self.mark, os.geteuid()) if pid is not None]

    def swept(self, left):
        """The last word of one sweep."""
        return list(left.sweep())[-1]

    def test_marked(self):
        """
        A process is found by what it was started with, whatever its session; the dead are not.
        """
        process = self.start(start_new_session=True)
        self.assertEqual(self.found(), [process.pid])
        for mark, uid in ((self.mark + b"x", os.geteuid()), (self.mark, os.geteuid() + 1)):
            self.assertEqual(set(marked(mark, uid)) - {None}, set())
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        self.assertEqual(self.found(), [])

    def test_parts(self):
        """
        While a long list is read there is room for others.
        """
        self.patch(remains, "AT_ONCE", 1)
        process = self.start()
        found = list(marked(self.mark, os.geteuid()))
        self.assertIn(process.pid, found)
        self.assertGreater(found.count(None), 1)

    def test_environment(self):
        """
        What a process was started with can be had again, for one that another keeper started.
        """
        process = self.start()
        self.assertEqual(environment_of(process.pid), {UNIT: self.unit, "A": "b=c"})
        self.assertEqual(owner_of(process.pid), os.geteuid())
        self.end(process)
        self.assertEqual(environment_of(process.pid), {})
        self.assertEqual(owner_of(process.pid), os.geteuid())

    def test_noMark(self):
        """
        Who has none is not looked for, and a node within a node does not look for itself.
        """
        self.assertEqual(mark_of({}), b"")
        self.patch(os, "environ", {UNIT: self.unit})
        self.assertEqual(mark_of({UNIT: self.unit}), b"")
        self.assertEqual(list(Remains(None, b"", os.geteuid(), None).sweep()), [False])

    def test_killMarked(self):
        """
        Only who still carries the mark is ended.
        """
        process = self.start()
        kill_marked(process.pid, self.mark + b"x", os.geteuid())
        self.assertIsNone(process.poll())
        kill_marked(process.pid, self.mark, os.geteuid())
        self.assertEqual(process.wait(), -signal.SIGKILL)
        kill_marked(process.pid, self.mark, os.geteuid())

    def test_sweep(self):
        """
        Who has left the group is ended as well, and it is not over before nobody is found.
        """
        process = self.start(start_new_session=True)
        left = Remains(None, self.mark, os.geteuid(), None)
        self.assertTrue(self.swept(left))
        self.assertEqual(process.wait(), -signal.SIGKILL)
        self.assertFalse(self.swept(left))

    def test_group(self):
        """
        The group is ended while its number is the leader's, and not when it is another's.
        """
        process = self.start(start_new_session=True)
        started = process_started(process.pid)
        other = Remains(process.pid, b"", os.geteuid(), None)
        other.kill(process.pid, started + 1)
        self.assertIsNone(process.poll())
        self.assertFalse(self.swept(other))
        left = Remains(process.pid, b"", os.geteuid(), None)
        left.kill(process.pid, started)
        # who is not reaped is a member yet; the sweep reaps
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        self.assertFalse(self.swept(left))

    def test_noDescriptor(self):
        """
        Where nothing can be opened nobody can be ended or looked for; that is tried until it works.
        """
        leaf = FakeLeaf(kills=1)
        left = Remains(None, self.mark, os.geteuid(), leaf)
        refused = self.patch(FakeLeaf, "kill", refuse)
        left.kill(os.getpid(), 0)
        self.assertTrue(self.swept(left))
        refused.restore()
        self.assertEqual([self.swept(left) for _ in range(2)], [True, False])
        # nor is it known whose the group's number is
        self.patch(remains, "process_started", refuse)
        Remains(os.getpgrp(), self.mark, os.geteuid(), None).kill(os.getpid(), 0)
        unlisted = self.patch(os, "listdir", refuse)
        left = Remains(None, self.mark, os.geteuid(), None)
        self.assertTrue(self.swept(left))
        unlisted.restore()

    def test_leaf(self):
        """
        A cgroup is ended as a whole until it is empty, and then removed; nobody is looked for.
        """
        leaf = FakeLeaf(kills=3)
        left = Remains(None, self.mark, os.geteuid(), leaf)
        left.kill(os.getpid(), 0)
        self.assertEqual([self.swept(left) for _ in range(3)], [True, True, False])
        left.close()
        self.assertEqual(leaf.happened, ["kill"] * 3 + ["remove"])

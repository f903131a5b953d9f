"""
Tests for `hostedge.supervise.usage` with real processes, and with a group that counts.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise import usage
from hostedge.supervise.cgroup import Groups, Used, find_rung
from hostedge.supervise.gauge import descendants
from hostedge.supervise.group_limits import AccountLimits, LeafLimits
from hostedge.supervise.usage import used_by, used_of
from tests.supervise.cgroups import FakeKernel

SIZE = 32 << 20
# writes memory, computes a little, and waits until its input ends
WORKER = f"""
import os, sys, threading
kept = bytearray(os.urandom({SIZE}))
while sum(os.times()[:2]) < 0.05: sum(range(9999))
"""
THREAD = "threading.Thread(target=threading.Event().wait, daemon=True).start();"
ALONE = WORKER + THREAD + "print(flush=True); sys.stdin.read()"
FORKED = WORKER + "child = os.fork(); print(child or '', flush=True); sys.stdin.read()"


class UsageTests(SynchronousTestCase):
    def start(self, script, before=()):
        process = subprocess.Popen(
            [*before, sys.executable, "-S", "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.addCleanup(process.communicate)
        process.stdout.readline()
        return process

    def test_alone(self):
        """
        Memory that was written, time that was computed, and tasks of a process.
        """
        process = self.start(ALONE)
        used = used_by([process.pid])
        self.assertTrue(SIZE <= used.memory < 2 * SIZE, used)
        self.assertGreaterEqual(used.cpu, 0.05)
        self.assertEqual(used.pids, 2)

    def test_forked(self):
        """
        What a child shares with its parent is counted once; twice where the kernel does not say.
        """
        process = self.start(FORKED)
        both = descendants(process.pid)
        self.assertEqual(len(both), 2)
        used = used_by(both)
        self.assertTrue(SIZE <= used.memory < 2 * SIZE, used)
        self.patch(usage, "_SHARES", (b"None",))
        self.assertGreaterEqual(used_by(both).memory, 2 * SIZE)

    def test_gone(self):
        """
        Who is gone takes nothing; a zombie has only its time.
        """
        process = self.start(ALONE)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        used = used_by([process.pid])
        self.assertEqual((used.memory, used.pids), (0, 0))
        self.assertGreaterEqual(used.cpu, 0.05)
        process.communicate()
        self.assertEqual(used_by([process.pid]), Used(0, 0.0, 0))
        self.assertEqual(usage._written(process.pid), 0)

    def test_group(self):
        """
        Where controllers count, their word is taken; what they do not count is added up.
        """
        root = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, root)
        process = self.start(ALONE)
        kernel = FakeKernel(root, "memory pids", {process.pid})
        for controllers, memory, pids in (({"memory", "pids"}, 4096, 7), (set(), None, 2)):
            groups = Groups(root, f"n{len(controllers)}", frozenset(controllers), kernel)
            leaf = groups.leaf("a", "b", 1, AccountLimits(), LeafLimits())
            kernel.write(leaf.procs, str(process.pid))
            (leaf.path / "cpu.stat").write_text("usage_usec 3000000\n")
            if controllers:
                (leaf.path / "memory.current").write_text("4096\n")
                (leaf.path / "pids.current").write_text("7\n")
            used = used_of(leaf)
            self.assertEqual((used.cpu, used.pids), (3.0, pids))
            self.assertTrue(used.memory == memory or (memory is None and used.memory >= SIZE))

    def test_here(self):
        """
        On this machine, whichever rung it stands on, an app's use is known.
        """
        groups = Groups.on(find_rung(), uuid.uuid4().hex)
        if groups is None:
            process = self.start(ALONE)
            used = used_by([process.pid])
        else:
            self.addCleanup(groups.close)
            leaf = groups.leaf("a", "b", 1, AccountLimits(), LeafLimits())
            self.addCleanup(leaf.remove)
            join = ("sh", "-c", f'echo $$ > "{leaf.procs}"; exec "$@"', "sh")
            process = self.start(ALONE, join)
            self.addCleanup(process.wait)
            self.addCleanup(leaf.kill)
            used = used_of(leaf)
        self.assertGreaterEqual(used.memory, SIZE)
        self.assertGreaterEqual(used.cpu, 0.05)
        self.assertGreaterEqual(used.pids, 2)
        self.assertIsNone(process.poll())

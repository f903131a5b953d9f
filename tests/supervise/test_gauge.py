"""
Tests for `hostedge.supervise.gauge`, on this very process.
"""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from hostedge.supervise.gauge import (
    children,
    descendants,
    environment_of,
    holders,
    holds,
    main_of,
    node_pressure,
)

# one below the one that is started; both say when they are there
FAMILY = (
    "import subprocess, sys; hoard = b'x' * 20_000_000;"
    "child = subprocess.Popen(['sleep', '600']); print(child.pid, flush=True); child.wait()"
)


class GaugeTests(SynchronousTestCase):
    def test_pressure(self):
        """
        This machine has memory, of which some can be had.
        """
        pressure = node_pressure()
        self.assertGreaterEqual(pressure.stalled, 0.0)
        self.assertTrue(0.0 < pressure.available <= 1.0, pressure)

    def test_family(self):
        """
        A process's own and its descendants' memory counts; nothing is left when it is gone.
        """
        parent = subprocess.Popen([sys.executable, "-c", FAMILY], stdout=subprocess.PIPE)
        child = int(parent.stdout.readline())
        try:
            self.assertIn(parent.pid, children(os.getpid()))
            self.assertEqual(descendants(parent.pid), {parent.pid, child})
            self.assertIn("PATH", environment_of(parent.pid))
        finally:
            for each in (child, parent.pid):
                os.kill(each, 9)
            parent.communicate()
        self.assertEqual(children(parent.pid), frozenset())
        self.assertEqual(environment_of(parent.pid), {})
        self.assertEqual(descendants(0), set())

    def test_main(self):
        """
        The daemon inside a view is the one that was first below bubblewrap, not an orphan of it.
        """
        bwrap = shutil.which("bwrap")
        words = "--unshare-user --unshare-pid --bind / / --dev /dev --proc /proc"
        view = [bwrap or "", *words.split()]
        if bwrap is None or subprocess.run([*view, "true"], capture_output=True).returncode:
            raise SkipTest("bubblewrap is not here, or may do nothing")
        # one that is left to bubblewrap, then the daemon says that it runs
        command = "(sleep 600 &) ; echo here; exec sleep 601"
        outer = subprocess.Popen(
            [*view, "--die-with-parent", "sh", "-c", command], stdout=subprocess.PIPE
        )
        try:
            outer.stdout.readline()
            main = main_of(outer.pid)
            self.assertNotIn(main, (outer.pid, *children(outer.pid)))
            self.assertNotIn(b"600", Path(f"/proc/{main}/cmdline").read_bytes().split(b"\0"))
        finally:
            outer.kill()
            outer.communicate()
        self.assertEqual(main_of(os.getpid()), os.getpid())
        self.assertEqual(main_of(0), 0)

    def test_holders(self):
        """
        Who has a socket open is found by it.
        """
        with socket.socket() as listener:
            inode = os.fstat(listener.fileno()).st_ino
            self.assertTrue(holds(os.getpid(), inode))
            self.assertIn(os.getpid(), holders(inode))
        self.assertFalse(holds(os.getpid(), inode))
        self.assertFalse(holds(0, inode))

"""
Tests for `hostedge.supervise.handover`: a process that becomes another program, for real.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.net.identity import process_started
from hostedge.net.listener import bind
from hostedge.supervise.handover import VARIABLE, Handover, become, quiet, received, ticks

ROOT = Path(__file__).resolve().parent.parent.parent

# becomes AFTER; a child is its child before and after
BEFORE = """
import os, pathlib, socket, subprocess, sys
from hostedge.net.listener import bind
from hostedge.supervise import handover
from hostedge.supervise.held import hold
lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_CLOEXEC)
link = socket.socket(socket.AF_UNIX)
link.bind(sys.argv[1] + ".sock")
link.listen()
listeners = [bind("http", "127.0.0.1:0", "test")]
held = hold(pathlib.Path(sys.argv[1] + ".held"))
child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(7)"])
given = handover.Handover.of(lock, link.fileno(), listeners, [held.fileno()])
os.chdir("/")
os.kill(os.getpid(), 0)
print(os.getpid(), child.pid, listeners[0].address, flush=True)
arguments = [sys.executable, "-c", open(sys.argv[2]).read(), str(child.pid), str(held.inode)]
with handover.quiet():
    handover.become(given, arguments)
"""
AFTER = """
import os, pathlib, signal, sys
from hostedge.supervise import handover
from hostedge.supervise.held import Handed
given = handover.received()
blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
(http,) = given.open_listeners()
ended = os.waitpid(int(sys.argv[1]), 0)[1]
inheritable = [os.get_inheritable(each) for each in given.descriptors()]
print(os.getpid(), os.waitstatus_to_exitcode(ended), http.address, os.getcwd())
print(http.protocol, http.asked, any(inheritable), signal.SIGTERM in blocked)
print(handover.received(), handover.VARIABLE in os.environ)
handover.unblock()
print(Handed(given.held).take(int(sys.argv[2]), pathlib.Path("x")).has_waiting())
print(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""


class BecomeTests(SynchronousTestCase):
    """The same process, other code."""

    def test_becomes(self) -> None:
        """
        The pid, children with their exit status, and what was handed over are there; signals wait.
        """
        # a UNIX address has 107 bytes
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        (folder / "after.py").write_text(AFTER)
        done = subprocess.run(
            [sys.executable, "-c", BEFORE, str(folder / "lock"), str(folder / "after.py")],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.stderr, "")
        pid, _, address, *after = done.stdout.split()
        self.assertEqual(
            after,
            [
                *(pid, "7", address, str(ROOT)),
                *("http", "127.0.0.1:0", "False", "True"),
                *("None", "False"),
                *("False", "False"),
            ],
        )

    def test_cannotBecome(self) -> None:
        """
        What cannot be executed leaves everything as it was.
        """
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        os.set_inheritable(reading, False)
        given = Handover.of(reading, writing, ())
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        here = os.getcwd()
        with quiet():
            self.assertRaises(OSError, become, given, ["/nowhere/python"])
            self.assertIn(signal.SIGTERM, signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        self.assertEqual(signal.pthread_sigmask(signal.SIG_BLOCK, ()), before)
        self.assertEqual((os.getcwd(), os.get_inheritable(reading)), (here, False))
        self.assertNotIn(VARIABLE, os.environ)

    def test_notForUs(self) -> None:
        """
        What was handed to another process is of no use to one that inherits the variable.
        """
        listener = bind("http", "127.0.0.1:0", "test")
        self.addCleanup(listener.socket.close)
        with socket.socket() as other:
            written = json.loads(Handover.of(other.fileno(), 0, [listener]).written())
        os.environ[VARIABLE] = json.dumps({**written, "pid": 1})
        self.assertIsNone(received())
        self.assertNotIn(VARIABLE, os.environ)
        self.assertIsNone(received())

    def test_ticks(self) -> None:
        """
        Now is after everything that has begun, and before what begins.
        """
        self.assertGreaterEqual(ticks(), process_started(os.getpid()))
        before = ticks()
        child = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
        self.addCleanup(child.communicate)
        self.assertGreaterEqual(process_started(child.pid), before)

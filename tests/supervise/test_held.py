"""
Tests for `hostedge.supervise.held`.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.settings import MAX_STATE
from hostedge.supervise.held import MAX_PATH, Handed, free_port, hold, socket_path, take_back

NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,31}", fullmatch=True)


class PathTests(SynchronousTestCase):
    def test_readable(self):
        """
        The name of a socket says whose it is.
        """
        self.assertEqual(
            socket_path(Path("/s/run/d"), "demo", "hello", 7), Path("/s/run/d/demo.hello.7.sock")
        )

    @given(NAMES, NAMES, st.integers(1, 10**12), st.integers(1, 60))
    def test_alwaysBindable(self, account, app, generation, deep):
        """
        However long the names, the path can be bound and belongs to one generation only.
        """
        folder = Path("/" + "f" * deep)
        path = socket_path(folder, account, app, generation)
        self.assertLessEqual(len(os.fsencode(path)), MAX_PATH)
        self.assertNotEqual(path, socket_path(folder, account, app, generation + 1))

    def test_longestStateFolder(self):
        """
        Below the longest state folder that settings may name, 11 digits of generations fit.
        """
        folder = Path("/" + "s" * (MAX_STATE - 1)) / "run" / "d"
        path = socket_path(folder, "a" * 32, "b" * 32, 10**11 - 1)
        self.assertEqual(len(os.fsencode(path)), MAX_PATH)

    def test_shortNamesDiffer(self):
        """
        Two apps whose names are too long do not share a path.
        """
        folder = Path("/" + "f" * 70)
        paths = {socket_path(folder, "a" * 32, app * 32, 1) for app in "abc"}
        self.assertEqual(len(paths), 3)


class HandedTests(SynchronousTestCase):
    def test_byInode(self):
        """
        A listener is given once to whoever knows its inode; what nobody asked for is closed.
        """
        with socket.socket(socket.AF_UNIX) as one, socket.socket(socket.AF_UNIX) as other:
            descriptors = [os.dup(one.fileno()), os.dup(other.fileno())]
            inode = os.fstat(one.fileno()).st_ino
            handed = Handed(descriptors)
            held = handed.take(inode, Path("x"))
            self.assertEqual((held.fileno(), held.inode), (descriptors[0], inode))
            self.assertIsNone(handed.take(inode, Path("x")))
            handed.close()
            self.assertRaises(OSError, os.fstat, descriptors[1])
            held.close()


class HeldTests(SynchronousTestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = self.folder / "x.sock"

    def connect(self):
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.connect(str(self.path))
        return client

    def test_backlog(self):
        """
        A connection waits, is seen to wait, and is sent away when the listener is closed.
        """
        held = hold(self.path)
        self.assertFalse(held.has_waiting())
        client = self.connect()
        self.assertTrue(held.has_waiting())
        self.assertFalse(os.get_inheritable(held.fileno()))
        held.close()
        self.assertFalse(self.path.exists())
        self.assertRaises(ConnectionResetError, client.recv, 1)

    def test_taken(self):
        """
        A path that is taken is refused.
        """
        self.addCleanup(hold(self.path).close)
        self.assertRaises(OSError, hold, self.path)

    def test_nameStays(self):
        """
        A name that cannot be removed keeps nothing open.
        """
        held = hold(self.path)
        self.path.unlink()
        self.path.mkdir()
        held.close()
        self.assertEqual(held.fileno(), -1)

    def test_takeBack(self):
        """
        The listener is had back from the process that inherited it, with who waits in it.
        """
        held = hold(self.path)
        child = subprocess.Popen(
            [sys.executable, "-S", "-c", "import sys; sys.stdin.read()"],
            stdin=subprocess.PIPE,
            pass_fds=[held.fileno()],
        )
        self.addCleanup(child.wait)
        self.addCleanup(child.stdin.close)
        held._listener.close()
        client = self.connect()
        taken = take_back(child.pid, held.inode, self.path)
        if taken is None:
            self.skipTest("this kernel lets nobody take descriptors of others")
        self.addCleanup(taken.close)
        self.assertTrue(taken.has_waiting())
        self.assertFalse(os.get_inheritable(taken.fileno()))
        accepted, _ = taken._listener.accept()
        accepted.sendall(b"!")
        accepted.close()
        self.assertEqual(client.recv(1), b"!")

    def test_takeBackNothing(self):
        """
        Another inode or a process that is gone: nothing.
        """
        self.assertIsNone(take_back(os.getpid(), 1, self.path))
        child = subprocess.Popen(["true"])
        child.wait()
        self.assertIsNone(take_back(child.pid, 1, self.path))


class PortTests(SynchronousTestCase):
    def test_free(self):
        """
        The port can be bound.
        """
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", free_port("127.0.0.1")))

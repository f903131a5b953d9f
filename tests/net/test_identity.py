"""Tests for `hostedge.net.identity`."""

from __future__ import annotations

import os
import socket
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from hostedge.net.identity import (
    is_running,
    is_working,
    name_of_user,
    peer_credentials,
    process_started,
)


class IdentityTests(SynchronousTestCase):
    """What the kernel says."""

    def test_peer(self) -> None:
        """
        The other end of a socket is known by process and user.
        """
        one, other = socket.socketpair()
        self.addCleanup(one.close)
        self.addCleanup(other.close)
        self.assertEqual(peer_credentials(one), (os.getpid(), os.getuid()))

    def test_names(self) -> None:
        """
        A user without a name is its number.
        """
        self.assertEqual(name_of_user(0), "root")
        self.assertEqual(name_of_user(3_999_999_999), "uid 3999999999")

    def test_started(self) -> None:
        """
        A process that was started later has the later time.
        """
        child = subprocess.Popen(["sleep", "60"])
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        self.assertGreaterEqual(process_started(child.pid), process_started(os.getpid()))

    def test_running(self) -> None:
        """
        Another process with the same pid is somebody else; what has ended is nobody.
        """
        own = os.getpid()
        self.assertTrue(is_running(own, process_started(own)))
        self.assertFalse(is_running(own, process_started(own) + 1))
        self.assertFalse(is_running(0, 0))
        self.assertFalse(is_running(2**30, 1))
        self.assertRaises(ProcessLookupError, process_started, 2**30)

    def test_working(self) -> None:
        """
        Who has ended and is not buried yet still is that process, but does nothing more.
        """
        child = subprocess.Popen(["sleep", "60"])
        self.addCleanup(child.wait)
        started = process_started(child.pid)
        self.assertTrue(is_working(child.pid, started))
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        self.assertTrue(is_running(child.pid, started))
        self.assertFalse(is_working(child.pid, started))
        self.assertFalse(is_working(2**30, 1))

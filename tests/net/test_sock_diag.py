"""
Tests for `hostedge.net.sock_diag` with the kernel's own answers.
"""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from hostedge.net import sock_diag
from hostedge.net.sock_diag import Listening, from_tables, listener_at, listeners, reached


class RuleTests(SynchronousTestCase):
    def test_reached(self):
        """
        The address itself is chosen before any address, IPv4 before both.
        """
        exact, any4 = Listening("127.0.0.2", 80, 1, 11), Listening("0.0.0.0", 80, 2, 12)
        both = Listening("::", 80, 3, 13)
        only6 = evolve(both, only6=True)
        for found, host, wanted in (
            ([], "127.0.0.2", None),
            ([both, any4, exact], "127.0.0.2", exact),
            ([both, any4, exact], "127.0.0.1", any4),
            ([both, exact], "127.0.0.1", both),
            ([only6, exact], "127.0.0.1", None),
            ([only6, any4], "::1", only6),
            ([any4, exact], "::1", None),
        ):
            self.assertEqual(reached(found, host), wanted)


class KernelTests(SynchronousTestCase):
    def listen(self, host, family=socket.AF_INET, port=0, only6=False):
        listener = socket.socket(family)
        self.addCleanup(listener.close)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only6)
        listener.bind((host, port))
        listener.listen()
        return listener.getsockname()[1], os.fstat(listener.fileno()).st_ino

    def check(self, port, *wanted):
        """Both ways of asking say the same; only the first knows what IPv4 reaches."""
        wanted = sorted(wanted, key=lambda each: each.address)
        asked = [each for family in (2, 10) for each in sock_diag._ask(family, port)]
        for found in (asked, listeners(port)):
            self.assertEqual(sorted(found, key=lambda each: each.address), wanted)
        plain = [evolve(each, only6=False) for each in wanted]
        self.assertEqual(sorted(from_tables(port), key=lambda each: each.address), plain)

    def test_addresses(self):
        """
        Uid, address and inode of each listener of a port are the kernel's.
        """
        uid = os.geteuid()
        port, first = self.listen("127.0.0.1")
        _, second = self.listen("127.9.8.7", port=port)
        self.listen("127.0.0.1")
        wanted = [
            Listening("127.0.0.1", port, uid, first),
            Listening("127.9.8.7", port, uid, second),
        ]
        self.check(port, *wanted)
        self.assertEqual(listener_at("127.9.8.7", port), wanted[1])
        self.assertIsNone(listener_at("127.0.0.9", port))

    def test_any(self):
        """
        A daemon that listens on every address is seen as such.
        """
        port, inode = self.listen("0.0.0.0")
        self.check(port, Listening("0.0.0.0", port, os.geteuid(), inode))

    def test_six(self):
        """
        IPv6 listeners are there too, and whether IPv4 reaches them.
        """
        port, inode = self.listen("::1", socket.AF_INET6)
        self.check(port, Listening("::1", port, os.geteuid(), inode, True))
        port, inode = self.listen("::ffff:127.9.8.7", socket.AF_INET6)
        mapped = Listening("::ffff:127.9.8.7", port, os.geteuid(), inode)
        self.check(port, mapped)
        self.assertEqual(listener_at("127.9.8.7", port), mapped)
        for only6 in (False, True):
            port, inode = self.listen("::", socket.AF_INET6, only6=only6)
            self.check(port, Listening("::", port, os.geteuid(), inode, only6))
            self.assertEqual(listener_at("127.0.0.1", port) is None, only6)

    def test_connections(self):
        """
        Who is only connected, or only bound, does not listen.
        """
        port, inode = self.listen("127.0.0.1")
        with socket.create_connection(("127.0.0.1", port)) as connected:
            self.check(connected.getsockname()[1])
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            self.check(bound.getsockname()[1])
        self.check(port, Listening("127.0.0.1", port, os.geteuid(), inode))

    def test_other(self):
        """
        A listener of another user is his.
        """
        if os.geteuid():
            self.assertEqual(
                listener_at("127.0.0.1", self.listen("127.0.0.1")[0]).uid, os.geteuid()
            )
            return
        script = "import os, socket, sys; os.setgid(20011); os.setuid(20011); s = socket.socket();"
        script += "s.bind(('127.0.0.1', 0)); s.listen(); print(s.getsockname()[1], flush=True);"
        script += "sys.stdin.read()"
        other = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.addCleanup(other.communicate)
        port = int(other.stdout.readline())
        self.assertEqual(listener_at("127.0.0.1", port).uid, 20011)
        self.assertEqual(reached(from_tables(port), "127.0.0.1").uid, 20011)

    def test_noAnswer(self):
        """
        Where the kernel does not answer, its tables do; where those are not either, nobody.
        """
        port, inode = self.listen("127.0.0.1")
        self.patch(sock_diag, "_NETLINK_SOCK_DIAG", 31)
        self.assertEqual(listeners(port), [Listening("127.0.0.1", port, os.geteuid(), inode)])
        self.patch(sock_diag, "_NETLINK_SOCK_DIAG", 4)
        self.patch(sock_diag, "_SOCK_DIAG_BY_FAMILY", 99)
        self.assertRaises(OSError, list, sock_diag._ask(2, port))
        folder = tempfile.mkdtemp()
        self.addCleanup(os.rmdir, folder)
        self.assertEqual(from_tables(port, Path(folder)), [])

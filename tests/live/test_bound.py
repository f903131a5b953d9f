"""
Tests for `hostedge.supervise.bound` with processes that listen.
"""

import os
import socket
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise import bound
from hostedge.supervise.bound import address_of, listens
from hostedge.supervise.gauge import descendants

SERVER = """
import socket, subprocess, sys
mine = socket.create_server(("127.0.0.1", 0))
print(mine.getsockname()[1], flush=True)
if len(sys.argv) > 1:
    child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE)
sys.stdin.read()
"""


class BoundTests(SynchronousTestCase):
    def start(self, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.addCleanup(process.wait)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stdin.close)
        return process

    def test_listens(self):
        """
        A process and its child listen where they say; others' listeners are not theirs.
        """
        other = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(other.close)
        process = self.start(SERVER)
        ports = [int(process.stdout.readline()) for _ in range(2)]
        self.assertEqual(listens(process.pid), sorted(f"127.0.0.1:{port}" for port in ports))
        self.assertEqual(len(descendants(process.pid)), 2)
        self.assertIn(f"127.0.0.1:{other.getsockname()[1]}", listens(os.getpid()))

    def test_tooMuch(self):
        """
        No more is looked at than there is time for; what was not seen is not said.
        """
        other = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(other.close)
        self.patch(bound, "MOST_OPEN", 0)
        self.assertIsNone(listens(os.getpid()))

    def test_gone(self):
        """
        Of a process that is gone nothing is known.
        """
        process = self.start()
        process.communicate(b"")
        self.assertIsNone(listens(process.pid))

    def test_addresses(self):
        """
        The kernel's columns are addresses as one writes them.
        """
        if sys.byteorder == "little":
            self.assertEqual(address_of("0100007F:1F90"), "127.0.0.1:8080")
            self.assertEqual(address_of("0" * 24 + "01000000:0050"), "[::1]:80")
        self.assertEqual(address_of("00000000:0050"), "0.0.0.0:80")

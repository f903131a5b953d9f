"""
Tests for `hostedge.supervise.compiled`.
"""

import os
import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.compiled import launcher_code


class CompiledTests(SynchronousTestCase):
    def test_runs(self):
        """
        It is run by its path, as the file itself would be, and made once.
        """
        file = launcher_code()
        self.assertEqual(file, launcher_code())
        done = subprocess.run(
            [sys.executable, "-I", "-S", f"/proc/self/fd/{file}", "--", "/bin/echo", "it", "ran"],
            pass_fds=[file],
            capture_output=True,
            text=True,
        )
        self.assertEqual((done.stdout, done.stderr), ("it ran\n", ""))

    def test_sealed(self):
        """
        Nobody can change what will run as root, and no other process has it by itself.
        """
        file = launcher_code()
        self.assertRaises(OSError, os.pwrite, file, b"x", 0)
        self.assertRaises(OSError, os.ftruncate, file, 0)
        self.assertFalse(os.get_inheritable(file))

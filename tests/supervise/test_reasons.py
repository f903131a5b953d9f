"""
Tests for `hostedge.supervise.reasons`.
"""

import errno

from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.reasons import CODES, QUOTED, of_end, of_silence


def exited(status):
    return ProcessTerminated(status, status=status << 8)


# exit status, what was said, the word, what the line has in it
SAID = (
    (127, "hostedge: cannot start: nope: command not found", "command_not_found", ": nope"),
    (126, "hostedge: cannot start: /x/run: Permission denied", "not_executable", "/x/run: Perm"),
    (125, "hostedge: cannot start: /x: No such file or directory", "no_directory", "/x: No such"),
    (124, "hostedge: cannot start: user 1:1: Operation not permitted", "no_user", "user 1:1"),
    (126, "hostedge: cannot start: /x: No space left on device", "disk_quota", "/x"),
    (127, "sh: 1: gunicron: not found", "command_not_found", "gunicron"),
    (1, "ModuleNotFoundError: No module named 'flask'", "module_not_importable", "'flask'"),
    (3, "ImportError: cannot import name 'app' from 'x'", "module_not_importable", "'app'"),
    (4, "Failed to find attribute 'app' in 'hello'.", "module_not_importable", "'hello'"),
    (1, "Error: Cannot find module 'express'", "module_not_importable", "express"),
    (1, "kernel_require.rb:85: cannot load such file -- rack", "module_not_importable", "rack"),
    (1, "SyntaxError: invalid syntax", "syntax_error", "invalid"),
    (1, "OSError: [Errno 98] Address already in use", "address_in_use", "98"),
    (1, "Error: listen EADDRINUSE: address already in use :::80", "address_in_use", ":::80"),
    (1, "OSError: [Errno 28] No space left on device", "disk_quota", "[Errno 28]"),
    (1, "OSError: [Errno 122] Disk quota exceeded: 'x'", "disk_quota", "'x'"),
    (1, "PermissionError: [Errno 13] Permission denied: '/x'", "permission_denied", "/x"),
    (1, "MemoryError", "out_of_memory", "MemoryError"),
    (1, "RuntimeError: can't start new thread", "too_many_processes", "thread"),
    (1, "OSError: [Errno 24] Too many open files", "too_many_files", "24"),
    (1, "something else", "", "exit status 1: something else"),
)


class EndTests(SynchronousTestCase):
    def test_said(self):
        """
        What programs and the launcher say is named, in one line that quotes it.
        """
        for status, said, code, part in SAID:
            with self.subTest(said):
                found = of_end(exited(status), ["before", said, ""])
                self.assertEqual(found.code, code)
                self.assertIn(part, found.text)
                self.assertTrue(found.text.startswith(CODES.get(code, "")))
                self.assertNotIn("\n", found.text)

    def test_lastTrouble(self):
        """
        Of several troubles the last one said counts, also when more was said after it.
        """
        lines = ["Permission denied: x", "ModuleNotFoundError: No module named 'x'", "bye"]
        self.assertEqual(of_end(exited(1), lines).code, "module_not_importable")

    def test_kernelFirst(self):
        """
        What the kernel has done needs no words of the program.
        """
        said = ["ImportError: x"]
        killed = ProcessTerminated(signal=9, status=9)
        self.assertEqual(of_end(killed, said, oom=True).code, "killed_for_memory")
        # a worker was killed at some time; how it ends now is another matter, if it is known
        self.assertEqual(of_end(exited(1), said, oom=True).code, "module_not_importable")
        lost = of_end(exited(3), ["Worker failed to boot."], oom=True)
        self.assertEqual(lost.code, "killed_for_memory")
        self.assertEqual(lost.text, "killed for memory: exit status 3: Worker failed to boot.")
        self.assertEqual(
            of_end(ProcessTerminated(signal=25, status=25), said).code, "file_too_large"
        )
        self.assertEqual(of_end(killed, []).text, "ended by signal 9")

    def test_notInForeground(self):
        """
        A program that ends without an error has most likely gone into the background; what it
        said of troubles on the way is of no interest.
        """
        self.assertEqual(of_end(ProcessDone(0), ["ImportError: x"]).code, "not_in_foreground")

    def test_neverLaunched(self):
        """
        Where the node itself could not launch it, the kernel's error tells.
        """
        for number, code in (
            (errno.ENOSPC, "disk_quota"),
            (errno.EDQUOT, "disk_quota"),
            (errno.EACCES, "permission_denied"),
            (errno.ENOENT, ""),
        ):
            found = of_end(OSError(number, "so it is"), [])
            self.assertEqual(found.code, code)
            self.assertIn("could not be launched: ", found.text)

    def test_refusedSteps(self):
        """
        A launcher that reports which step was refused needs no words in the log.
        """

        def refused(status, number, line):
            ended = exited(status)
            ended.step, ended.errno, ended.line = "command", number, line
            return of_end(ended, ["ImportError: x"])

        found = refused(127, errno.ENOENT, "command not found: nope")
        self.assertEqual((found.code, found.text), ("command_not_found", "command not found: nope"))
        self.assertEqual(refused(125, errno.ENOSPC, "/x: so it is").code, "disk_quota")
        self.assertEqual(refused(125, errno.EACCES, "/x: so it is").code, "no_directory")
        found = refused(99, errno.EPERM, "view /x: so it is")
        self.assertEqual((found.code, found.text[-17:]), ("", "view /x: so it is"))

    def test_unknown(self):
        """
        How a process ended that was not ours is not known, and not invented.
        """
        self.assertEqual(of_end(ProcessTerminated(), ["x"]).text, "ended; how is not known")

    def test_ruledOff(self):
        """
        A line without a word is no last word.
        """
        found = of_end(exited(9), ["it is over", "-" * 40, "", "===="])
        self.assertEqual(found.text, "exit status 9: it is over")
        self.assertEqual(of_end(exited(9), ["-" * 40]).text, "exit status 9")

    def test_long(self):
        """
        No line is longer than one can read.
        """
        for said in ("ImportError: " + "x" * 1000, "x" * 1000):
            self.assertLess(len(of_end(exited(1), [said]).text), QUOTED + 50)


class SilenceTests(SynchronousTestCase):
    def test_neverBound(self):
        """
        A port that nobody listens on is named as such.
        """
        found = of_silence(60.0, "127.0.0.1:4000", [])
        self.assertEqual(found.code, "not_bound")
        self.assertEqual(found.text, "it never listened on $PORT within 60 s")

    def test_elsewhere(self):
        """
        One who listens elsewhere is told where, and where it should be.
        """
        found = of_silence(60.0, "127.0.0.1:4000", ["0.0.0.0:8000", "[::]:8000"])
        self.assertEqual(found.code, "not_bound")
        self.assertIn("0.0.0.0:8000", found.text)
        self.assertIn("127.0.0.1:4000", found.text)

    def test_silent(self):
        """
        One who listens there, at every address or at a socket that is held, does not answer.
        """
        for address, listens in (
            ("127.0.0.1:4000", ["127.0.0.1:4000"]),
            ("127.0.0.1:4000", ["0.0.0.0:4000"]),
            ("127.0.0.1:4000", None),
            ("unix:/run/x", []),
        ):
            found = of_silence(2.5, address, listens)
            self.assertEqual(found.code, "silent")
            self.assertIn("within 2.5 s", found.text)

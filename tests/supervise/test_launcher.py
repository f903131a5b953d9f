"""
Tests for `hostedge.supervise.launcher`.
"""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise import launcher


class LauncherTests(SynchronousTestCase):
    def launch(self, *command, directory="/", listeners="0", umask="022", owner="-"):
        """Exit status, output and error lines."""
        done = subprocess.run(
            [
                *(sys.executable, "-I", "-S", launcher.__file__),
                *(umask, owner, str(directory), listeners, *command),
            ],
            env={"PATH": "/nowhere:/usr/bin:/bin", "LANG": "C.UTF-8", "MINE": "ä"},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout, done.stderr

    def test_becomesTheCommand(self):
        """
        The command runs in the directory, with the umask and the environment.
        """
        folder = os.path.realpath(tempfile.mkdtemp())
        self.addCleanup(os.rmdir, folder)
        status, output, _ = self.launch(
            "sh", "-c", "pwd; umask; echo $MINE ${LISTEN_FDS-none}", directory=folder, umask="027"
        )
        self.assertEqual((status, output.split()), (0, [folder, "0027", "ä", "none"]))

    def test_listenPid(self):
        """
        LISTEN_PID is the pid of the command itself.
        """
        _, output, _ = self.launch("sh", "-c", "echo $$ $LISTEN_PID $LISTEN_FDS", listeners="2")
        pid, listen_pid, count = output.split()
        self.assertEqual((pid, count), (listen_pid, "2"))

    def test_brokenPipes(self):
        """
        SIGPIPE, which Python ignores, ends the command again.
        """
        _, output, _ = self.launch("grep", "SigIgn", "/proc/self/status")
        self.assertFalse(int(output.split()[1], 16) & 1 << (signal.SIGPIPE - 1))

    def test_notFound(self):
        """
        A command that does not exist is named in one line.
        """
        for command in ("no-such-thing", "./no-such-thing"):
            status, _, error = self.launch(command)
            self.assertEqual(status, launcher.NOT_FOUND)
            self.assertEqual(error, f"hostedge: cannot start: {command}: command not found\n")

    def test_noProgram(self):
        """
        A file that is no program is named with the reason.
        """
        status, _, error = self.launch("/etc/passwd")
        self.assertEqual(status, launcher.NO_EXEC)
        self.assertRegex(error, r"\Ahostedge: cannot start: /etc/passwd: .+\n\Z")

    def test_noDirectory(self):
        """
        A directory that is missing is named.
        """
        status, _, error = self.launch("true", directory="/no/such")
        self.assertEqual(status, launcher.DIRECTORY)
        self.assertEqual(error, "hostedge: cannot start: /no/such: No such file or directory\n")

    def test_owner(self):
        """
        The command runs as its owner, without supplementary groups; others cannot be taken on.
        """
        if os.geteuid():
            status, _, error = self.launch("true", owner="1:1")
            self.assertEqual(status, launcher.OWNER)
            self.assertIn("user 1:1", error)
            return
        _, output, _ = self.launch("sh", "-c", "id -u; id -g; id -G", owner="65534:65533")
        self.assertEqual(output.split(), ["65534", "65533", "65533"])

    def test_superuser(self):
        """
        Nobody is launched as root by an owner.
        """
        if os.geteuid() == 0:
            self.assertEqual(self.launch("true", owner="0:0")[0], launcher.OWNER)

    def test_everyStatusIsExplained(self):
        """
        Each exit status of the launcher has a text.
        """
        self.assertEqual(set(launcher.WHY), {124, 125, 126, 127})

    def test_imports(self):
        """
        Nothing is imported that is not built in: it would double the time of a start.
        """
        script = f"import sys; sys.path.insert(0, {str(Path(launcher.__file__).parent)!r})\n"
        script += "before = set(sys.modules); import launcher\n"
        script += "print(*(set(sys.modules) - before - set(sys.builtin_module_names)))"
        done = subprocess.run(
            [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True
        )
        self.assertEqual(done.stdout.split(), ["launcher"])

"""
Tests for `hostedge.supervise.launcher`.
"""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise import launcher
from hostedge.supervise.report import read_report


class LauncherTests(SynchronousTestCase):
    def launch(self, *command, words=(), **given):
        """Exit status, output and error lines."""
        words = [*words, *(f"{key}={value}" for key, value in given.items())]
        done = subprocess.run(
            [sys.executable, "-I", "-S", launcher.__file__, *words, "--", *command],
            env={"+PATH": "/nowhere:/usr/bin:/bin", "+LANG": "C.UTF-8", "+MINE": "ä", "HIS": "x"},
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout, done.stderr

    def status(self, *names, **given):
        """Lines of /proc/self/status of a launched process, as numbers in hex."""
        _, output, errors = self.launch(
            "grep", "-E", f"^({'|'.join(names)}):", "/proc/self/status", **given
        )
        self.assertEqual(errors, "")
        return [int(line.split()[1], 16) for line in output.splitlines()]

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

    def test_environment(self):
        """
        Only variables with the sign are the command's; what steers a library as root is nobody's.
        """
        _, output, _ = self.launch("env")
        names = {line.partition("=")[0] for line in output.splitlines()}
        self.assertEqual(names, {"PATH", "LANG", "MINE"})

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
        [ignored] = self.status("SigIgn")
        self.assertFalse(ignored & 1 << (signal.SIGPIPE - 1))

    def test_notFound(self):
        """
        A command that does not exist is named in one line.
        """
        for command in ("no-such-thing", "./no-such-thing"):
            status, _, error = self.launch(command)
            self.assertEqual(status, launcher.NOT_FOUND)
            self.assertEqual(error, f"hostedge: cannot start: command not found: {command}\n")

    def test_noProgram(self):
        """
        A file that is no program is named with the reason.
        """
        status, _, error = self.launch("/etc/passwd")
        self.assertEqual(status, launcher.NO_EXEC)
        self.assertEqual(error, "hostedge: cannot start: permission denied: /etc/passwd\n")
        script = Path(tempfile.mkdtemp()) / "script"
        self.addCleanup(shutil.rmtree, script.parent)
        script.write_text("no line says what runs it")
        script.chmod(0o755)
        status, _, error = self.launch(str(script))
        self.assertEqual(status, launcher.NO_EXEC)
        self.assertEqual(error, f"hostedge: cannot start: cannot run {script}: Exec format error\n")

    def test_noDirectory(self):
        """
        A directory that is missing is named.
        """
        status, _, error = self.launch("true", directory="/no/such")
        self.assertEqual(status, launcher.DIRECTORY)
        line = "cannot change to /no/such: No such file or directory"
        self.assertEqual(error, f"hostedge: cannot start: {line}\n")

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
        Nobody is launched as root by an owner, nor with root's group.
        """
        for owner in ("0:0", "65534:0", "0:65534"):
            status, output, error = self.launch("id", owner=owner)
            self.assertEqual((status, output), (launcher.OWNER, ""))
            self.assertIn(f"user {owner}: ", error)

    def test_noWayBack(self):
        """
        An owner has no capability, no program gives him one, and that stays so.
        """
        names = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs")
        if os.geteuid():
            self.assertEqual(self.status("NoNewPrivs", words=["no-new-privileges=1"]), [1])
            return
        self.assertEqual(self.status(*names, owner="65534:65533"), [0, 0, 0, 0, 0, 1])

    def test_limits(self):
        """
        Limits are set before the command; what is higher than allowed here is what is allowed.
        """
        words = ["limit=NOFILE:100:200", "limit=CORE:0:0", "limit=MEMLOCK:65536:65536"]
        _, output, _ = self.launch("cat", "/proc/self/limits", words=words)
        found = {line[:26].strip(): line[26:].split() for line in output.splitlines()}
        self.assertEqual(found["Max open files"][:2], ["100", "200"])
        self.assertEqual(found["Max core file size"][:2], ["0", "0"])
        self.assertEqual(found["Max locked memory"][:2], ["65536", "65536"])
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if hard != resource.RLIM_INFINITY:
            words = [f"limit=NOFILE:100:{hard + 1}"]
            self.assertEqual(self.launch("sh", "-c", "ulimit -Hn", words=words)[1], f"{hard}\n")

    def test_oomScore(self):
        """
        The kernel is told whom to end first; what would come after us is as we are.
        """
        for words in (["oom=600"], ["oom=-900"]):
            present = int(Path("/proc/self/oom_score_adj").read_text())
            wanted = max(int(words[0][4:]), present)
            _, output, _ = self.launch("cat", "/proc/self/oom_score_adj", words=words)
            self.assertEqual(int(output), wanted)

    def test_groups(self):
        """
        Each group is joined by its file before the user is given up; a group that is not there
        is named.
        """
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        file = folder / "cgroup.procs"
        file.write_text("")
        words = [] if os.geteuid() else ["owner=65534:65533"]
        _, output, _ = self.launch("sh", "-c", "echo $$", words=[f"cgroup={file}", *words])
        self.assertEqual(file.read_text(), output.strip())
        status, _, error = self.launch("true", cgroup=folder / "gone")
        self.assertEqual(status, launcher.SETUP)
        line = f"cgroup {folder}/gone: No such file or directory"
        self.assertEqual(error, f"hostedge: cannot start: {line}\n")

    def test_report(self):
        """
        A failed step is in the report by its name and errno; success is the report's end.
        """
        for command, wanted in (
            (("true",), None),
            (("./no-such",), ("command", errno.ENOENT, "command not found: ./no-such")),
            (("/etc/passwd",), ("command", errno.EACCES, "permission denied: /etc/passwd")),
        ):
            reading, writing = os.pipe()
            words = ["-I", "-S", launcher.__file__, "listeners=0", "report=1", "--", *command]
            pid = os.posix_spawn(
                *(sys.executable, [sys.executable, *words], {"+PATH": "/bin"}),
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, writing, launcher.FIRST),
                    (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
                ],
            )
            os.close(writing)
            with os.fdopen(reading, "rb") as report:
                self.assertEqual(read_report(report.read()), wanted)
            os.waitpid(pid, 0)

    def test_everyStatusIsExplained(self):
        """
        Each exit status of the launcher has a text.
        """
        self.assertEqual(set(launcher.WHY), {123, 124, 125, 126, 127})

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

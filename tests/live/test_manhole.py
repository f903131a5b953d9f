"""
The manhole of a whole node: `hostedge manhole` at a real terminal and in a pipe, and OpenSSH.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hostedge.console.sessions import MOST
from tests.live.node import PATIENCE, ROOT, Node, wait_for

SITE = {
    "account": "demo",
    "domains": [{"name": "a.test", "mappings": [{"path": "/", "redirect": "/x"}]}],
}
TAB, UP, CTRL_D, CTRL_U = b"\t", b"\x1b[A", b"\x04", b"\x15"
COLOUR = re.compile(r"\x1b\[[\d;]*m")


class Pty:
    """A command at a pseudo-terminal of its own; `text` is what it has shown and nobody read."""

    def __init__(self, command: Sequence[str], columns: int = 100) -> None:
        self.text = ""
        self.ended_with: int | None = None
        pid, self.terminal = pty.fork()
        if not pid:
            os.chdir(ROOT)
            # as wide as it shall be, before anybody looks
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))
            os.execvp(command[0], command)
        self.pid = pid
        self.before = termios.tcgetattr(self.terminal)

    def resize(self, columns: int) -> None:
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("4H", 24, columns, 0, 0))

    def read(self) -> bool:
        """Take what there is; whether there is anything."""
        if not select.select([self.terminal], [], [], 0)[0]:
            return False
        try:
            piece = os.read(self.terminal, 65536)
        except OSError:
            return False
        self.text += COLOUR.sub("", piece.decode(errors="replace"))
        return bool(piece)

    def wait(self, text: str) -> str:
        """Read until this is there; answers all before it, and forgets both."""

        def there() -> bool:
            while self.read():
                pass
            return text in self.text

        try:
            wait_for(text, there)
        except AssertionError:
            raise AssertionError(f"{text!r} never came:\n{self.text}") from None
        before, _, self.text = self.text.partition(text)
        return before

    def type(self, keys: bytes) -> None:
        os.write(self.terminal, keys)

    def run(self, line: str) -> str:
        """Type a line; answers what is shown between it and the next prompt."""
        self.type(line.encode())
        self.wait(line)
        self.type(b"\r")
        self.wait("\n")
        return self.wait(">>> ")

    def status(self) -> int:
        """How it has ended."""
        wait_for("the command ends", self._ended)
        while self.read():
            pass
        assert self.ended_with is not None
        return self.ended_with

    def _ended(self) -> bool:
        self.read()
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if not pid:
            return False
        self.ended_with = os.waitstatus_to_exitcode(status)
        return True

    def close(self) -> None:
        if self.ended_with is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self.terminal)


def manhole(node: Node) -> list[str]:
    """The command that an operator types."""
    command = [sys.executable, "-m", "hostedge.cli.main", "--settings", str(node.settings)]
    return [*command, "manhole"]


class ManholeTests(SynchronousTestCase):
    """An operator at the node's machine."""

    def setUp(self) -> None:
        self.node = Node()
        self.addCleanup(self.node.stop)
        self.node.start()
        self.node.apply(SITE)

    @property
    def socket(self) -> Path:
        return self.node.state / "control" / "manhole.sock"

    def terminal(self, columns: int = 100) -> Pty:
        made = Pty(manhole(self.node), columns)
        self.addCleanup(made.close)
        made.wait(">>> ")
        return made

    def attach(self, header: bytes) -> socket.socket:
        """A connection that is made by hand."""
        connected = socket.socket(socket.AF_UNIX)
        self.addCleanup(connected.close)
        connected.settimeout(PATIENCE)
        connected.connect(str(self.socket))
        connected.sendall(header)
        return connected

    def test_terminal(self) -> None:
        """
        A session as an operator has one: a table, history, completion, an edge, the end. The
        terminal is left as it was; nobody else can read what was typed.
        """
        terminal = self.terminal()
        self.assertIn("Node localhost, store at revision 1.", terminal.run("status()"))
        terminal.type(UP)
        terminal.wait("status()")
        terminal.type(CTRL_U + b"sto" + TAB)
        terminal.wait("store")
        terminal.type(b".acc" + TAB)
        terminal.wait("store.account(")
        terminal.type(b"'demo')\r")
        terminal.wait("name='demo',")
        terminal.wait(">>> ")
        self.assertIn("HostStats(", terminal.run("edge(0).hosts.stats()"))
        self.assertIn("ZeroDivisionError", terminal.run("edge(1)('1/0')"))
        self.assertFalse(termios.tcgetattr(terminal.terminal)[3] & termios.ICANON)
        terminal.type(CTRL_D)
        self.assertEqual(terminal.status(), 0)
        self.assertEqual(termios.tcgetattr(terminal.terminal), terminal.before)
        history = self.node.state / "control/manhole.history"
        self.assertEqual(stat.S_IMODE(history.stat().st_mode), 0o600)
        self.assertIn("edge(0).hosts.stats()\n", history.read_text())

    def test_leavingByForce(self) -> None:
        """
        Ctrl-] ends it from this side, SIGTERM too; either way the terminal is as before. Values
        are as wide as it is, also when that changes.
        """
        terminal = self.terminal(60)
        self.assertIn("[\r\n    100,", terminal.run("list(range(100, 115))"))
        terminal.resize(120)
        wait_for(
            "the new size is known",
            lambda: "[100, 101," in terminal.run("list(range(100, 115))"),
        )
        terminal.type(b"\x1d")
        self.assertEqual(terminal.status(), 0)
        killed = self.terminal()
        os.kill(killed.pid, signal.SIGTERM)
        self.assertEqual(killed.status(), 128 + signal.SIGTERM)
        self.assertEqual(termios.tcgetattr(killed.terminal), killed.before)

    def test_pipe(self) -> None:
        """
        In a pipe it is lines in and results out; the first failure, also one inside an edge, is
        the end and the status.
        """
        done = self.node.command("manhole", stdin="for i in (1, 2):\n  print(i)\n\nedges()\n")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertTrue(done.stdout.startswith("1\n2\nEDGE"), done.stdout)
        failed = self.node.command("manhole", stdin="1\nmissing\n2\n")
        self.assertEqual((failed.returncode, failed.stdout), (1, "1\n"))
        self.assertIn("NameError: name 'missing' is not defined", failed.stderr)
        inside = self.node.command("manhole", stdin="edge(0)('1/0')\n2\n")
        self.assertEqual((inside.returncode, inside.stdout), (1, ""))
        self.assertIn("ZeroDivisionError", inside.stderr)

    def test_command(self) -> None:
        """
        `-c` runs one text: the hosts that an edge has compiled are a table, an edge that is not
        there is a sentence, and the log says who has typed what.
        """
        self.node.get("a.test")
        done = self.node.command("manhole", "-c", "hosts()\nhosts(1)")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"a\.test +demo +1 +/\n")
        done = self.node.command("manhole", "-c", "explain('http://a.test/', at=1)")
        self.assertIn("308", done.stdout)
        self.assertIn("domain/a.test changed at revision 1", done.stdout)
        done = self.node.command("manhole", "-c", "explain('http://a.test/', at=9)")
        self.assertEqual(done.stderr, "at: there is no revision 9; the newest is 1\n")
        done = self.node.command("manhole", "-c", "edge(7)")
        self.assertEqual(
            (done.returncode, done.stderr), (1, "edge 7: is not linked; linked: 0, 1\n")
        )
        log = (self.node.state / "log" / "control.log").read_text()
        self.assertRegex(log, r"\w+ types 'edge\(7\)'")

    def test_noStdin(self) -> None:
        """
        A text needs no stdin; where nothing else is given it is missed in one line.
        """
        line = " ".join([*manhole(self.node), "{} <&-"])
        for words, said in (
            ("-c 1+1", (0, "2\n", "")),
            ("", (1, "", "hostedge: manhole: stdin is closed; want lines there, or -c SOURCE\n")),
        ):
            command = ["sh", "-c", line.format(words)]
            done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
            self.assertEqual((done.returncode, done.stdout, done.stderr), said)

    def test_killedEdge(self) -> None:
        """
        An edge that ends while it is asked is a sentence, not a hang.
        """
        source = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
        done = self.node.command("manhole", "-c", f"edge(1)({source!r})")
        self.assertEqual(
            (done.returncode, done.stderr),
            (1, "edge 1: ended before it answered; another takes its place\n"),
        )
        wait_for("the edge is back", self.node.is_up)

    def test_manySessions(self) -> None:
        """
        There is room for a few; one more is told so, and comes in when another has left. Whoever
        does not speak as `hostedge manhole` does is told that.
        """
        sessions = [self.attach(b'{"width": 80}\n') for _ in range(MOST)]
        for each in sessions:
            self.assertEqual(each.recv(3), b"{}\n")
        full = self.node.command("manhole", "-c", "1")
        self.assertEqual(full.returncode, 1)
        self.assertIn(f"hostedge: manhole: there are {MOST} sessions already", full.stderr)
        for each in sessions:
            each.close()
        wait_for(
            "there is room again", lambda: self.node.command("manhole", "-c", "1").stdout == "1\n"
        )
        for header in (b"status()\n", b"[]\n", b"{}\n", b'{"terminal": [1e9, 2]}\n', b"x" * 5000):
            connected = self.attach(header)
            self.assertIn(b'{"error": "want ', connected.recv(4096), header)
            self.assertEqual(connected.recv(4096), b"", header)

    def test_otherUser(self) -> None:
        """
        Another user of the machine is refused by the file's mode, and where that were open, by
        the kernel's word.
        """
        if os.geteuid():
            self.skipTest("only root can become somebody else")
        code = (
            "import os, socket; os.setuid(65534); s = socket.socket(socket.AF_UNIX);"
            f"s.connect({str(self.socket)!r});"
            "print(s.recv(200).decode(), s.recv(200))"
        )

        def asked() -> subprocess.CompletedProcess[str]:
            return subprocess.run(["python3", "-c", code], capture_output=True, text=True)

        self.assertEqual(stat.S_IMODE(self.socket.stat().st_mode), 0o600)
        self.assertIn("PermissionError", asked().stderr)
        opened = [self.node.folder, self.node.state, self.socket.parent, self.socket]
        modes = [(path, stat.S_IMODE(path.stat().st_mode)) for path in opened]
        for path in opened:
            path.chmod(0o777)
        try:
            done = asked()
        finally:
            for path, mode in modes:
                path.chmod(mode)
        self.assertIn("want root or the node's own user, not nobody", done.stdout, done.stderr)
        self.assertTrue(done.stdout.endswith(" b''\n"), done.stdout)


class AwayTests(SynchronousTestCase):
    """When there is nobody to attach to."""

    def test_noNode(self) -> None:
        """
        A node that does not run is one line that says how to start it.
        """
        node = Node()
        self.addCleanup(shutil.rmtree, node.folder)
        self.addCleanup(node._log.close)
        done = node.command("manhole", "-c", "1")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertIn("the node does not run; start it: twistd -n hostedge", done.stderr)
        self.assertEqual(done.stderr.count("\n"), 1)

    def test_controlDies(self) -> None:
        """
        When control is killed the session says so, and the terminal is as before; the socket it
        has left is taken over.
        """
        node = Node(edges=1)
        self.addCleanup(node.stop)
        node.start()
        terminal = Pty(manhole(node))
        self.addCleanup(terminal.close)
        terminal.wait(">>> ")
        os.kill(node.pids("control")[0], signal.SIGKILL)
        self.assertEqual(terminal.status(), 1)
        self.assertIn("hostedge: manhole: the session broke off", terminal.text)
        self.assertEqual(termios.tcgetattr(terminal.terminal), terminal.before)
        wait_for("control is back", lambda: node.command("manhole", "-c", "1").stdout == "1\n")


class SshTests(SynchronousTestCase):
    """OpenSSH, as it comes from Debian."""

    def setUp(self) -> None:
        if not shutil.which("ssh") or not shutil.which("ssh-keygen"):
            self.skipTest("needs openssh-client")
        self.node = Node(edges=1, settings='[console]\nssh = "127.0.0.1:0"\nkeys = "keys"\n')
        self.addCleanup(self.node.stop)
        for name, kind in (("ann", "ed25519"), ("bob", "rsa"), ("stranger", "ed25519")):
            make = ["ssh-keygen", "-q", "-N", "", "-t", kind, "-f", str(self.node.folder / name)]
            subprocess.run(make, check=True)
        self.let_in("ann", "bob")
        self.node.start()
        self.find_port()

    def let_in(self, *names: str) -> None:
        keys = [(self.node.folder / f"{name}.pub").read_text() for name in names]
        (self.node.folder / "keys").write_text("".join(keys))

    def find_port(self) -> None:
        """The address is among the node's listeners."""
        listeners = json.loads(self.node.command("--json", "status").stdout)["listeners"]
        (address,) = [each["address"] for each in listeners if each["protocol"] == "ssh"]
        self.port = int(address.rpartition(":")[2])

    def line(self, key: str, *options: str) -> list[str]:
        folder = self.node.folder
        return [
            *("ssh", "-F", "none", "-p", str(self.port), "-i", str(folder / key)),
            *("-o", "IdentitiesOnly=yes", "-o", f"UserKnownHostsFile={folder / 'known'}"),
            *("-o", "StrictHostKeyChecking=accept-new", "-o", "LogLevel=ERROR"),
            *("-o", "HostKeyAlias=node", "-o", "BatchMode=yes", *options),
            f"{key}@127.0.0.1",
        ]

    def ssh(self, key: str, *words: str, options: tuple[str, ...] = (), stdin: str = "") -> Any:
        return subprocess.run(
            [*self.line(key, *options), *words],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )

    def log(self) -> str:
        return (self.node.state / "log" / "control.log").read_text()

    def test_command(self) -> None:
        """
        A line and its result, or its failure, with the exit status that goes with it; or lines.
        """
        done = self.ssh("ann", "status()")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertIn("Node localhost", done.stdout)
        self.assertEqual(self.ssh("bob", "6 * 7").stdout, "42\n")
        failed = self.ssh("ann", "1/0")
        self.assertEqual((failed.returncode, failed.stdout), (1, ""))
        self.assertIn("ZeroDivisionError", failed.stderr)
        done = self.ssh("ann", options=("-T",), stdin="x = 5\nx\nlen(await edges())\n")
        self.assertEqual((done.returncode, done.stdout), (0, "5\n1\n"))

    def test_terminal(self) -> None:
        """
        With one it is the manhole; who came is in its banner and in the log.
        """
        screen = Pty(self.line("ann"))
        self.addCleanup(screen.close)
        self.assertIn("as ann (SHA256:", screen.wait(">>> "))
        self.assertIn("EDGE", screen.run("edges()"))
        screen.resize(60)
        wait_for("the size is known", lambda: "[\r\n" in screen.run("list(range(100, 115))"))
        screen.type(CTRL_D)
        self.assertEqual(screen.status(), 0)
        self.assertRegex(self.log(), r"ann \(SHA256:\S+\) from 127\.0\.0\.1 types 'edges\(\)'")

    def test_strangers(self) -> None:
        """
        Another key is refused, and so is a password: it is not even offered. Nor is SHA-1. Who
        is struck from the file of keys does not come in again, and nobody does while others may
        write it.
        """
        for key, option in (
            ("stranger", "LogLevel=ERROR"),
            ("ann", "PreferredAuthentications=password,keyboard-interactive"),
            ("bob", "PubkeyAcceptedAlgorithms=ssh-rsa"),
        ):
            options = ("-o", option, "-o", "BatchMode=no", "-o", "NumberOfPasswordPrompts=1")
            done = self.ssh(key, "1", options=options)
            self.assertEqual((done.returncode, done.stdout), (255, ""))
            self.assertIn("Permission denied (publickey).", done.stderr)
        self.assertEqual(self.ssh("ann", "1").stdout, "1\n")
        self.let_in("bob")
        self.assertEqual(self.ssh("ann", "1").returncode, 255)
        self.assertEqual(self.ssh("bob", "1").stdout, "1\n")
        keys = self.node.folder / "keys"
        keys.chmod(0o666)
        self.assertEqual(self.ssh("bob", "1").returncode, 255)
        self.assertIn("lets nobody in: others may write it", self.log())

    def test_nothingElse(self) -> None:
        """
        No forwarding either way, no subsystem; a refusal is no traceback in the log.
        """
        forward = ("-N", "-o", "ExitOnForwardFailure=yes")
        remote = self.ssh("ann", options=(*forward, "-R", "0:127.0.0.1:1"))
        self.assertIn("remote port forwarding failed", remote.stderr)
        there = self.ssh("ann", options=("-W", f"127.0.0.1:{self.port}"))
        self.assertNotEqual((there.returncode, there.stdout), (0, ""))
        self.assertNotIn("SSH-2.0", there.stdout)
        subsystem = self.ssh("ann", "sftp", options=("-s",))
        self.assertIn("subsystem request failed", subsystem.stderr)
        self.assertNotIn("Traceback", self.log())

    def test_garbage(self) -> None:
        """
        What is no SSH ends its own connection, without a traceback in the log.
        """
        for data in (
            b"GET / HTTP/1.1\r\n\r\n" * 400,
            b"SSH-2.0-x\r\n" + b"\xff" * 5000,
            b"SSH-2.0-x\r\n" + struct.pack(">LB", 12, 4) + bytes([20]) + b"\0" * 10,
            b"SSH-\n",
        ):
            with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connected:
                connected.sendall(data)
                try:
                    while connected.recv(65536):
                        pass
                except ConnectionResetError:
                    continue
        self.assertEqual(self.ssh("ann", "1").stdout, "1\n")
        self.assertNotIn("Traceback", self.log())
        self.assertIn("over SSH were refused, the last from 127.0.0.1", self.log())

    def test_hostKey(self) -> None:
        """
        The node keeps its key, where only its user reads it.
        """
        key = self.node.state / "control/manhole.key"
        self.assertEqual(stat.S_IMODE(key.stat().st_mode), 0o600)
        before = key.read_bytes()
        self.assertEqual(self.ssh("ann", "1").stdout, "1\n")
        os.kill(self.node.pids("control")[0], signal.SIGKILL)
        wait_for("the session ends", lambda: self.ssh("ann", "1").returncode)
        wait_for("the node is up", self.node.is_up)
        self.find_port()
        self.assertEqual(key.read_bytes(), before)
        # the client knows the key, and would refuse another one
        self.assertEqual(self.ssh("ann", "1").stdout, "1\n")

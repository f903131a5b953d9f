"""
`hostedge demo`, what `make run` runs: a whole node from two files, and its end.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from select import select
from shutil import copytree, rmtree
from tempfile import mkdtemp

from twisted.trial.unittest import TestCase

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0


class DemoTests(TestCase):
    """From the command to the table, and from Ctrl-C to nothing."""

    def setUp(self) -> None:
        self.folder = Path(mkdtemp(prefix="hostedge-"))
        self.addCleanup(rmtree, self.folder)
        copytree(ROOT / "etc" / "homes", self.folder / "homes")
        self.settings = self.folder / "node.toml"

    def start(self, listen: str, site: str = "etc/demo.yaml") -> subprocess.Popen[str]:
        self.settings.write_text(
            f'state = "s"\nhomes = "homes"\nedges = 1\n[listen]\nhttp = ["{listen}"]\n'
            'https = ["127.0.0.1:0"]\n'
        )
        command = [sys.executable, "-m", "hostedge.cli.main", "demo", site]
        demo = subprocess.Popen(
            [*command, "--settings", str(self.settings)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.addCleanup(self.end, demo)
        return demo

    def end(self, demo: subprocess.Popen[str]) -> None:
        """End what a failed test has left: the session's first process, then its group."""
        if demo.poll() is None:
            demo.send_signal(signal.SIGINT)
            try:
                demo.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(demo.pid, signal.SIGKILL)
                demo.wait()
        assert demo.stdout is not None
        demo.stdout.close()

    def read_until(self, demo: subprocess.Popen[str], last: str) -> list[str]:
        """Lines up to one that starts so."""
        assert demo.stdout is not None
        heard = b""
        while not any(line.startswith(last) for line in heard.decode().split("\n")[:-1]):
            if not select([demo.stdout], [], [], PATIENCE)[0]:
                self.fail(f"nothing more came after {heard!r}")
            piece = os.read(demo.stdout.fileno(), 4096)
            if not piece:
                self.fail(f"it ended after {heard!r}")
            heard += piece
        return heard.decode().splitlines()

    def left(self) -> list[str]:
        """Processes whose command line has this test's folder."""
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                words = Path(f"/proc/{entry}/cmdline").read_bytes()
            except OSError:
                continue
            if str(self.folder).encode() in words:
                found.append(words.replace(b"\0", b" ").decode())
        return found

    def test_fromStartToEnd(self) -> None:
        """
        Once everything answers, a table says what to open; Ctrl-C leaves no process.
        """
        demo = self.start("127.0.0.1:0")
        lines = self.read_until(demo, "Stop:")
        self.assertEqual(lines[0], "hostedge runs.")
        self.assertTrue(any(line.endswith("  app hello") for line in lines), lines)
        self.assertTrue(any(line.startswith("curl --cacert ") for line in lines), lines)
        table = lines[: lines.index("", 2)]
        self.assertLessEqual(max(map(len, table)), 80)
        # a node's processes, and no watcher any more
        self.assertFalse(any("cli.main" in each for each in self.left()), self.left())
        demo.send_signal(signal.SIGINT)
        self.assertEqual(demo.wait(8), 0)
        self.assertEqual(self.left(), [])

    def test_wrongSite(self) -> None:
        """
        A wrong site file is one line before anything has started.
        """
        site = self.folder / "site.yaml"
        site.write_text("account: UPPER\n")
        demo = self.start("127.0.0.1:0", str(site))
        self.assertEqual(demo.wait(PATIENCE), 1)
        assert demo.stdout is not None
        (line,) = demo.stdout.read().splitlines()
        self.assertTrue(line.startswith(f"hostedge: {site}: account: want a name"), line)
        self.assertFalse((self.folder / "s").exists())

    def test_nodeEndsEarly(self) -> None:
        """
        When the node cannot start, the watcher says so beside the node's own line, and ends.
        """
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        demo = self.start(f"127.0.0.1:{taken.getsockname()[1]}")
        self.read_until(demo, "hostedge: node: has ended before the node answered; its log:")
        self.assertNotEqual(demo.wait(PATIENCE), 0)

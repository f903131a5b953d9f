"""`hostedge top` against a node: once, and at a terminal."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import subprocess
import sys
import threading
from time import monotonic

from twisted.trial.unittest import SynchronousTestCase

from tests.live.node import ROOT, Node

REDIRECT = [{"path": "/", "redirect": "https://one.localhost/new"}]
SITE = {
    "account": "one",
    "domains": [{"name": "one.localhost", "mappings": REDIRECT, "aliases": ["two.localhost"]}],
}


class TopTests(SynchronousTestCase):
    """A node with a site that is asked all the time."""

    def setUp(self) -> None:
        self.node = Node()
        self.addCleanup(self.node.stop)
        self.node.start()
        self.node.apply(SITE)
        self.done = threading.Event()
        client = threading.Thread(target=self.ask)
        client.start()
        self.addCleanup(client.join)
        self.addCleanup(self.done.set)

    def ask(self) -> None:
        while not self.done.is_set():
            with contextlib.suppress(OSError):
                self.node.get("one.localhost")
                self.node.get("two.localhost")
                self.node.get("nowhere.localhost")
            self.done.wait(0.01)

    def test_once(self) -> None:
        """All edges and all names of a site are one row; what is no site has none."""
        told = self.node.command("top", "--once", "--every", "0.5")
        self.assertEqual(told.returncode, 0, told.stderr)
        first, _, head, row = told.stdout.splitlines()
        self.assertTrue(first.startswith("1 active site: "))
        self.assertTrue(head.startswith("SITE "))
        self.assertTrue(row.startswith("one.localhost "))
        answer = json.loads(self.node.command("top", "--json", "--every", "0.5").stdout)
        (site,) = answer["sites"]
        self.assertEqual(site["site"], "one.localhost")
        self.assertGreater(site["requests"], 1)
        self.assertEqual((site["errors"], site["waiting"]), (0, 0))
        self.assertGreater(site["p95"], 0)

    def test_terminal(self) -> None:
        """It is drawn anew, sorted by what a key says, and leaves the terminal as it was."""
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        environment = {**os.environ, "COLUMNS": "80", "LINES": "24"}
        command = [sys.executable, "-m", "hostedge.cli.main", "--settings", str(self.node.settings)]
        process = subprocess.Popen(
            [*command, "top", "--every", "0.2"],
            cwd=ROOT,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.read_until(ours, "one.localhost ")
        self.assertNotIn("ERR/S*", self.seen)
        os.write(ours, b"e")
        self.read_until(ours, "ERR/S*")
        os.write(ours, b"q")
        self.read_until(ours, "\x1b[?1049l")
        self.assertEqual(process.wait(10), 0)
        self.assertTrue(self.seen.startswith("\x1b[?1049h"))

    seen = ""

    def read_until(self, terminal: int, text: str) -> None:
        deadline = monotonic() + 20
        while text not in self.seen:
            left = deadline - monotonic()
            self.assertTrue(select.select([terminal], [], [], max(0, left))[0], self.seen)
            self.seen += os.read(terminal, 65536).decode()

    def test_slips(self) -> None:
        """What cannot be is told in a line."""
        slip = self.node.command("top", "--every", "0")
        self.assertEqual((slip.returncode, slip.stdout), (1, ""))
        self.assertIn("--every: want 0.1 to 3600 seconds", slip.stderr)
        self.assertEqual(self.node.command("top", "--sort", "no").returncode, 2)

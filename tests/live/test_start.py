"""
What an operator sees who starts a node the wrong way: one line, and nothing has changed.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from tests.live.node import ROOT, TWISTD, Node, wait_for


class StartTests(SynchronousTestCase):
    """`twistd -n hostedge` itself."""

    def setUp(self) -> None:
        self.node = Node(edges=1)
        self.addCleanup(self.node.stop)

    def twistd(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*TWISTD, "-n", "--pidfile=", *words],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def refused(self, *words: str) -> str:
        done = self.twistd("hostedge", *words)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertNotIn("Traceback", done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_wrongSettings(self) -> None:
        """
        A mistake in the settings file is named by file and key; no state folder is made.
        """
        self.node.settings.write_text('state = "state"\nhomes = "homes"\nedges = 0\n')
        said = self.refused("--settings", str(self.node.settings))
        self.assertIn(f"{self.node.settings}: edges: want 1 to 256, not 0\n", said)
        self.assertFalse(self.node.state.exists())

    def test_addressInUse(self) -> None:
        """
        An address that somebody else has is named.
        """
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with open(self.node.settings) as settings:
            text = settings.read().replace("127.0.0.1:0", address, 1)
        self.node.settings.write_text(text)
        said = self.refused("--settings", str(self.node.settings))
        self.assertIn(f"listen: http: cannot listen on {address}: Address already in use", said)

    def test_secondKeeper(self) -> None:
        """
        No keeper starts over a living one.
        """
        self.node.start()
        assert self.node.keeper is not None
        said = self.refused("--settings", str(self.node.settings))
        self.assertIn(f"runs in {self.node.state} already, pid {self.node.keeper.pid}", said)
        self.assertTrue(self.node.is_up())

    def test_strayTerminalSignal(self) -> None:
        """
        Only the keeper answers a terminal's interrupt; its family does not end behind its back.
        """
        self.node.start()
        family = {role: self.node.pids(role) for role in ("control", "template", "edge")}
        for pids in family.values():
            for pid in pids:
                os.kill(pid, signal.SIGINT)
        wait_for("the node is whole", self.node.is_up)
        self.assertEqual({role: self.node.pids(role) for role in family}, family)

    def test_help(self) -> None:
        """
        `--help` says what the one option is for.
        """
        done = self.twistd("hostedge", "--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("--settings", done.stdout)

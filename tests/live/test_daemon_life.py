"""
A whole node whose apps are always on, frozen, reloaded in every way, and switched off.
"""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.live.node import Answer, Node, load, wait_for
from tests.live.test_node import COUNTED, hello_site


class LifeTests(SynchronousTestCase):
    """One node a test; every process that a test starts ends with it."""

    def setUp(self) -> None:
        self.node = Node()
        self.addCleanup(self.node.stop)
        self.node.start()
        self.node.write("one/hello.py", COUNTED)

    def apply(self, **options: Any) -> None:
        self.node.apply(hello_site(**options))

    def get(self) -> Answer:
        return self.node.get("one.localhost")

    def starts(self) -> int:
        path = self.node.home("one") / "starts"
        return len(path.read_text()) if path.exists() else 0

    def state(self) -> str:
        found = self.node.apps().get("one/hello")
        return str(found["state"]) if found else "COLD"

    def test_alwaysOn(self) -> None:
        """
        An app that is always on starts when it becomes so, and with the next keeper's node.
        """
        self.apply(always_on=True)
        wait_for("it runs unasked", lambda: self.state() == "READY")
        self.assertEqual(self.starts(), 1)
        assert self.node.keeper is not None
        self.node.keeper.send_signal(signal.SIGINT)
        self.assertEqual(self.node.keeper.wait(10), 0)
        self.node.start()
        wait_for("it runs unasked again", lambda: self.state() == "READY")
        self.assertEqual(self.starts(), 2)

    def test_hold(self) -> None:
        """
        While an app that must not run twice is replaced its visitors wait, and lose nothing.
        """
        self.apply(reload="hold")
        before = self.get().text
        with load(self.get) as wrong:
            self.apply(reload="hold", environment={"GREETING": "new"})
            wait_for("the next one", lambda: self.starts() == 2 and self.state() == "READY")
        self.assertEqual(wrong, [])
        self.assertNotEqual(self.get().text, before)

    def test_signal(self) -> None:
        """
        A restart by signal keeps the process, renews what is below it, and loses nothing.
        """
        self.apply(reload="HUP")
        before = self.get().text
        with load(self.get) as wrong:
            self.node.api("POST", "/v1/apps/one/hello/restart")
            wait_for("it loads anew", lambda: self.starts() == 2)
            wait_for("it is probed", lambda: self.state() == "READY")
        self.assertEqual(wrong, [])
        self.assertEqual(self.get().text, before)

    def test_frozen(self) -> None:
        """
        A frozen app costs its next visitor no start.
        """
        self.apply(freeze=1)
        before = self.get().text.split()[0]
        wait_for("it stands still", lambda: self.state() == "FROZEN")
        stat = Path(f"/proc/{before}/stat").read_text()
        self.assertNotEqual(stat.rpartition(")")[2].split()[0], "R")
        self.assertEqual(self.get().text.split()[0], before)
        self.assertEqual(self.starts(), 1)

    def test_switchedOff(self) -> None:
        """
        What is switched off answers 503 and runs no more; switched on it is there again.
        """
        self.apply()
        self.assertEqual(self.get().status, 200)
        self.apply(enabled=False)
        wait_for("it is off", lambda: self.state() == "DISABLED")
        self.assertEqual(self.get().status, 503)
        self.apply()
        self.assertEqual(self.get().status, 200)
        self.assertEqual(self.starts(), 2)

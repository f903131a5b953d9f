"""Tests of `hostedge.cli.daemons`; the commands as a whole are in `tests.live.test_seeing`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.daemons import app_lines, one_app, path_of, suspension
from hostedge.errors import ConfigError

READY: dict[str, Any] = {
    "app": "demo/hello",
    "state": "READY",
    "reason": "",
    "generation": 2,
    "pid": 77,
    "since": 303.0,
    "idle": 4.0,
    "in_flight": 3,
    "next": {"what": "idle", "seconds": 1496.2},
    "pids": 3,
    "memory": 125_829_120,
    "cpu": 1.25,
    "start": {
        "began": 1795000000.0,
        "generation": 2,
        "ok": True,
        "seconds": 0.82,
        "phases": {"token": 0.002, "fork": 0.011, "first_response": 0.807},
    },
}
BROKEN: dict[str, Any] = {
    "app": "demo/broken",
    "state": "BACKOFF",
    "reason": "module not importable: \x1b[31m" + "long " * 30,
    "generation": 0,
    "pid": 0,
    "since": 1.0,
    "in_flight": 0,
}
JOURNEY: dict[str, Any] = {
    "app": "demo/broken",
    "generation": 9,
    "began": 1795000000.0,
    "seconds": 0.4,
    "reason": "module not importable: ModuleNotFoundError: No module named 'flask'",
    "cause": "module_not_importable",
    "steps": [
        {"step": "queued", "ms": 0.0},
        {"step": "launched", "ms": 12.3},
        {"step": "exited", "ms": 388.0},
    ],
    "exit": 3,
    "signal": None,
    "oom": False,
    "stderr": ["Traceback (most recent call last):", "ModuleNotFoundError: \x1b[2J" + "x" * 100],
}


class AppsTests(SynchronousTestCase):
    """All apps at a glance."""

    def test_lines(self) -> None:
        """
        All that is known of each in a line, and why it is so below; within a terminal.
        """
        head, ready, broken, *why = app_lines([READY, BROKEN])
        self.assertEqual(
            head,
            "APP          STATE      FOR  TASKS  MEMORY   CPU  FLIGHT  START  NEXT",
        )
        self.assertEqual(
            ready,
            "demo/hello   READY    5m 3s      3    120M  1.2s       3  820ms  idle in 24m 56s",
        )
        self.assertEqual(broken, "demo/broken  BACKOFF     1s                            0")
        self.assertGreater(len(why), 1)
        self.assertTrue(why[0].startswith("  module not importable: "))
        for line in (head, ready, broken, *why):
            self.assertLessEqual(len(line), 80)
            self.assertNotIn("\x1b", line)

    def test_olderKeeper(self) -> None:
        """
        Columns that nobody fills are not there.
        """
        head, line, *_ = app_lines([BROKEN])
        self.assertEqual(head, "APP          STATE    FOR  FLIGHT")
        self.assertEqual(line, "demo/broken  BACKOFF   1s       0")

    def test_longNames(self) -> None:
        """
        Who an app is, is never cut: a name without room beside its row stands above it.
        """
        name = f"{'a' * 32}/{'b' * 31}"
        known = [{**READY, "app": f"{name}1"}, {**READY, "app": f"{name}2"}, READY]
        _, *lines = app_lines(known)
        self.assertEqual([lines[0], lines[2]], [f"{name}1", f"{name}2"])
        self.assertIn("READY  5m 3s", lines[1])
        self.assertTrue(lines[4].startswith("demo/hello"))
        for line in lines:
            self.assertLessEqual(len(line), 80)
            self.assertNotIn("…", line)

    def test_none(self) -> None:
        """
        A fresh node has no app that runs; why that is so is said.
        """
        self.assertEqual(
            list(app_lines([])),
            ["No app was asked for yet: each is started by its first request."],
        )
        self.assertTrue(
            next(app_lines([], account="shop")).startswith("No app of account shop was")
        )


class OneAppTests(SynchronousTestCase):
    """All of one app."""

    def test_ready(self) -> None:
        """
        Each thing that is known has its line, the phases of the start among them.
        """
        self.assertEqual(
            list(one_app({"app": READY, "journey": None})),
            [
                "app         demo/hello",
                "state       READY for 5m 3s",
                "next        idle in 24m 56s",
                "runs as     generation 2, pid 77, 3 tasks, memory 120M, CPU 1.2s",
                "requests    3 in flight, the last 4s ago",
                "last start  2026-11-18 11:06:40Z, took 820ms: token 2ms, fork 11ms, first",
                "            response 807ms",
            ],
        )

    def test_failed(self) -> None:
        """
        The start that failed step by step, how it ended, and what was said; nothing of it moves
        the cursor.
        """
        lines = list(one_app({"app": BROKEN, "journey": JOURNEY}))
        for line in lines[:-1]:
            self.assertLessEqual(len(line), 80)
        self.assertEqual(lines[-1], "    ModuleNotFoundError: " + "x" * 100)
        begin = lines.index("") + 1
        self.assertEqual(
            lines[begin : begin + 8],
            [
                "The last start that failed: 2026-11-18 11:06:40Z, generation 9",
                "  module not importable: ModuleNotFoundError: No module named 'flask'",
                "  STEP      AFTER  HOW",
                "  queued      0ms",
                "  launched   12ms",
                "  exited    388ms  exit status 3",
                "  It said last:",
                "    Traceback (most recent call last):",
            ],
        )

    def test_ends(self) -> None:
        """
        A signal and a kill for memory are told as such.
        """
        for how, text in (({"signal": 9}, "signal 9"), ({"oom": True}, "killed for memory")):
            journey = {**JOURNEY, "exit": None, "reason": "", **how}
            lines = list(one_app({"app": BROKEN, "journey": journey}))
            self.assertIn(f"  {text}", lines)
            self.assertIn(f"  exited    388ms  {text}", lines)

    def test_names(self) -> None:
        """
        A name is ACCOUNT/APP, and nothing of it is part of the path.
        """
        self.assertEqual(path_of("a/b c", "/log"), "/v1/apps/a/b%20c/log")
        for name in ("", "a", "a/", "/b", "a/b/c"):
            self.assertRaises(ConfigError, path_of, name)


class SuspensionTests(SynchronousTestCase):
    """What `suspend` and `resume` say."""

    def told(self, **more: Any) -> list[str]:
        answer = {"account": "demo", "suspended": True, "stopped": [], "revision": 7}
        return list(suspension({**answer, "changes": [{"key": "account/demo"}], **more}))

    def test_told(self) -> None:
        """
        Since when, and what was stopped by it.
        """
        stopped = [{"app": "demo/hello", "state": "READY", "generation": 2, "pid": 77}]
        self.assertEqual(
            self.told(stopped=stopped),
            [
                "demo is suspended from revision 7 on, on every process of the node.",
                "Stopped:",
                "APP         WAS    GEN  PID",
                "demo/hello  READY    2   77",
            ],
        )
        self.assertEqual(self.told()[1:], ["None of its apps has run."])
        self.assertIn("The keeper does not answer", self.told(stopped=None)[1])
        self.assertEqual(
            self.told(suspended=False),
            ["demo is served from revision 7 on, on every process of the node."],
        )
        self.assertEqual(
            self.told(suspended=False, changes=[]),
            ["demo was served before; nothing has changed."],
        )

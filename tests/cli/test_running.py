"""Tests of `hostedge.cli.running`; the commands as a whole are in `tests.live.test_api`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.running import explain_lines, listeners, processes, status_lines
from hostedge.settings import Settings

EDGE: dict[str, Any] = {
    "index": 0,
    "pid": 77,
    "age": 9.0,
    "linked": True,
    "connections": 2,
    "in_flight": 1,
    "uptime": 61.0,
    "revision": 3,
    "counters": {"http_requests": 5, "http_aborted": 0},
}


class StatusTests(SynchronousTestCase):
    """The node at a glance."""

    def test_lines(self) -> None:
        """
        Edges one by one, counters together; what is zero is not shown.
        """
        report = {
            "name": "localhost",
            "revision": 3,
            "keeper": True,
            "edges": [EDGE, {**EDGE, "index": 1, "pid": 78, "leaving": True}],
            "processes": [
                {"role": "keeper", "pid": 70, "uptime": 3700.0, "version": "1.1"},
                {"role": "edge", "pid": 77, "uptime": 61.0, "version": "1.0"},
            ],
            "listeners": [{"protocol": "http", "address": "127.0.0.1:8080"}],
        }
        self.assertEqual(
            list(status_lines(report)),
            [
                "Node localhost, store at revision 3.",
                "",
                "ROLE             PID  UPTIME  CONNECTIONS  IN FLIGHT  REVISION  VERSION",
                "keeper            70  1h 1m                                     1.1",
                "edge 0            77  1m 1s             2          1         3  1.0",
                "edge 1, leaving   78  1m 1s             2          1         3",
                "",
                "LISTENS  ADDRESS",
                "http     127.0.0.1:8080",
                "",
                "COUNTER        ALL EDGES",
                "http_requests         10",
            ],
        )

    def test_otherVersion(self) -> None:
        """
        That other code is installed than runs is said, with what to do about it.
        """
        report: dict[str, Any] = {"name": "n", "revision": 0, "keeper": True, "installed": "1.1"}
        report["processes"] = [{"role": "keeper", "pid": 7, "uptime": 1.0, "version": "1.1"}]
        report["processes"] += [{"role": "edge", "pid": 8, "uptime": 1.0, "version": ""}]
        said = "Version 1.1 is installed: `hostedge upgrade` has the node go on as that."
        self.assertNotIn(said, list(status_lines(report)))
        report["processes"][1]["version"] = "1.0"
        self.assertIn(said, list(status_lines(report)))

    def test_partsAreAway(self) -> None:
        """
        A keeper that is away is said, and an edge that is not linked yet.
        """
        edge = {"index": 0, "pid": 77, "age": 0.1, "linked": False}
        lines = list(status_lines({"name": "n", "revision": 0, "keeper": False, "edges": [edge]}))
        self.assertIn("The keeper does not answer: apps run on, but none can be started.", lines)
        self.assertIn("not linked", lines[-1])

    def test_listeners(self) -> None:
        """
        What the keeper has noted is read; a node that has never run has noted nothing.
        """
        state = Path(self.mktemp())
        settings = Settings(Path("x.toml"), state, Path())
        self.assertEqual(listeners(settings), [])
        settings.run.mkdir(parents=True)
        note = settings.run / "listeners.json"
        note.write_text('[{"protocol": "http", "address": "127.0.0.1:1"}]')
        self.assertEqual(listeners(settings), [{"protocol": "http", "address": "127.0.0.1:1"}])
        for broken in ("", "[1]", "{}", '[{"protocol": "http"}]'):
            note.write_text(broken)
            self.assertEqual(listeners(settings), [])

    def test_processes(self) -> None:
        """
        The keeper and its family, as noted; what has ended since is left out.
        """
        settings = Settings(Path("x.toml"), Path(self.mktemp()), Path())
        self.assertEqual(processes(settings), [])
        settings.run.mkdir(parents=True)
        (settings.run / "keeper.lock").write_text(f"{os.getpid()}\n1.1\n")
        gone = {"role": "control", "index": 0, "pid": 2**30, "started": 1}
        (settings.run / "family.json").write_text(json.dumps([gone]))
        (keeper,) = processes(settings)
        self.assertEqual((keeper["role"], keeper["pid"]), ("keeper", os.getpid()))
        self.assertEqual(keeper["version"], "1.1")
        self.assertTrue(0.0 <= keeper["uptime"] < 86_400.0)


class ExplainTests(SynchronousTestCase):
    """The way of a request."""

    def test_lines(self) -> None:
        """
        Each step has its answer, and the reason below.
        """
        steps = [
            {"step": "certificate", "answer": "demo.test", "reason": "in use"},
            {"step": "host", "answer": "demo.test", "reason": "the name itself"},
            {"step": "mapping", "answer": "/", "reason": ""},
            {"step": "answer", "answer": "404", "reason": "none of the mappings " * 8},
        ]
        lines = list(explain_lines({"url": "http://demo.test/", "method": "GET", "steps": steps}))
        self.assertEqual(
            lines[:7],
            [
                "GET http://demo.test/",
                "certificate  demo.test",
                "             in use",
                "host         demo.test",
                "             the name itself",
                "mapping      /",
                "answer       404",
            ],
        )
        self.assertLessEqual(max(map(len, lines)), 80)

"""Tests of `hostedge.cli.follow`; the commands as a whole are in `tests.live.test_seeing`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.follow import TRIES, event_line, patiently
from hostedge.errors import ConfigError


class LinesTests(SynchronousTestCase):
    """What a terminal is shown."""

    def test_event(self) -> None:
        """
        When, whose, what, and everything beside it.
        """
        event = {"number": 5, "time": 1795000000.0, "app": "demo/hello", "generation": 4}
        event |= {"event": "exited", "pid": 9, "exit": 1, "reason": "it \x1b[2Jdied", "count": 3}
        event |= {"expected": True, "oom": False, "cause": "other"}
        self.assertEqual(
            event_line(event),
            "2026-11-18 11:06:40Z demo/hello#4 exited  pid 9, exit 1, it died, 3 times, expected",
        )

    def test_exitStatus(self) -> None:
        """
        What the reason says is not said twice.
        """
        event = {"time": 1795000000.0, "app": "a/x", "event": "exited", "exit": 3}
        event |= {"reason": "exit status 3: no database"}
        self.assertEqual(
            event_line(event), "2026-11-18 11:06:40Z a/x exited  exit status 3: no database"
        )

    def test_killedForMemory(self) -> None:
        """
        Requests are named.
        """
        request = {"method": "GET", "host": "a.test", "path": "/x", "seconds": 2.5, "id": "0198"}
        event = {"time": 1795000000.0, "app": "a/x", "event": "oom", "in_flight": [request]}
        self.assertEqual(
            event_line(event),
            "2026-11-18 11:06:40Z a/x oom  it worked on GET a.test/x for 2.5 s (0198)",
        )


class PatienceTests(SynchronousTestCase):
    """A node that comes back."""

    def test_comesBack(self) -> None:
        """
        It is asked again after a pause, and given up after many.
        """
        failures = [ConfigError("keeper", "away")] * 3
        pauses: list[float] = []

        def ask() -> dict[str, Any]:
            if failures:
                raise failures.pop()
            return {"events": []}

        self.assertEqual(patiently(ask, pauses.append), {"events": []})
        self.assertEqual(len(pauses), 3)
        failures += [ConfigError("keeper", "away")] * (TRIES + 1)
        self.assertRaises(ConfigError, patiently, ask, pauses.append)

"""Tests of `hostedge.cli.upgrade`; the command against a node is in `tests.live.test_upgrade`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.upgrade import process_lines


class ProcessTests(SynchronousTestCase):
    """What runs which version."""

    def test_lines(self) -> None:
        """
        A line for each process; one that has not said anything yet is told as that.
        """
        known = [
            {"role": "keeper", "pid": 70, "uptime": 9.0, "version": "1.1"},
            {"role": "edge", "pid": 1077, "uptime": 9.0, "version": ""},
        ]
        self.assertEqual(
            list(process_lines(known)),
            ["ROLE     PID  VERSION", "keeper    70  1.1", "edge    1077  not linked yet"],
        )

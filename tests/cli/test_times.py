"""Tests of `hostedge.cli.times`."""

from __future__ import annotations

from datetime import UTC, datetime

from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.times import clock, moment
from hostedge.errors import ConfigError


class TimesTests(SynchronousTestCase):
    """Times as they are typed, and shown."""

    def test_ago(self) -> None:
        """
        `2h` is two hours before now; what is no such thing goes to the node as it is.
        """
        then = datetime.fromisoformat(moment("2h"))
        self.assertTrue(7200 <= (datetime.now(UTC) - then).total_seconds() < 7260)
        for text in ("12", "2026-11-22", "2x", ""):
            self.assertEqual(moment(text), text)
        for text in ("9999999d", "9999999999d"):
            self.assertRaises(ConfigError, moment, text)

    def test_shown(self) -> None:
        """
        Times are shown in UTC, wherever the operator sits.
        """
        self.assertEqual(clock(1_795_341_600.9), "2026-11-22 10:00:00Z")

"""Tests of `hostedge.cli.finding`."""

from __future__ import annotations

from attrs import asdict
from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.finding import Finding


class FindingTests(SynchronousTestCase):
    """What `doctor --json` prints of one."""

    def test_fields(self) -> None:
        """
        When all is well there is nothing to do.
        """
        self.assertEqual(
            asdict(Finding("ok", "clock", "set")),
            {"level": "ok", "what": "clock", "text": "set", "todo": ""},
        )

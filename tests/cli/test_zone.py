"""Tests of `hostedge.cli.zone` without a node; with one they are in `tests.live.test_zones`."""

from __future__ import annotations

import json
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.main import main

ZONE = """\
$TTL 1h
@ NS ns
@ NS ns.example.net.
@ MX 10 www
ns CNAME www
"""


class CheckTests(SynchronousTestCase):
    """`hostedge zone check FILE`."""

    def check(self, text: str, *words: str) -> tuple[int, str, str]:
        """Exit status, output and errors."""
        file = Path(self.mktemp())
        file.write_text(text)
        out, err = StringIO(), StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = main(["zone", "check", str(file), "--origin", "example.org", *words])
        return status, out.getvalue(), err.getvalue().replace(str(file), "FILE")

    def test_findings(self) -> None:
        """
        An error makes the exit status 1; what may be a domain is only a warning.
        """
        status, out, err = self.check(ZONE)
        self.assertEqual((status, err), (1, ""))
        lines = [" ".join(line.split()) for line in out.splitlines()]
        self.assertEqual(
            lines,
            [
                "example.org:",
                "error @ NS ns.example.org. is a CNAME: want a name with",
                "addresses",
                "warning @ MX www.example.org. has no A or AAAA",
                "warning ns CNAME www.example.org. has no records",
                "Checked: 1 zone.",
            ],
        )

    def test_sound(self) -> None:
        """
        Nothing doubtful, exit status 0; with --json the same in other words.
        """
        self.assertEqual(self.check("a 60 A 192.0.2.1\n"), (0, "Checked: 1 zone.\n", ""))
        status, out, _ = self.check("a 6 A 192.0.2.1\n", "--json")
        (zone,) = json.loads(out)["zones"]
        self.assertEqual((status, zone["name"]), (0, "example.org"))
        self.assertEqual([each["level"] for each in zone["findings"]], ["warning"])

    def test_noZoneFile(self) -> None:
        """
        What cannot be read is one line, with the line of the file.
        """
        status, out, err = self.check("a 60 A\n")
        self.assertEqual((status, out), (1, ""))
        self.assertRegex(err, r"^hostedge: FILE:\d+: is no zone file: [^\n]*\n$")

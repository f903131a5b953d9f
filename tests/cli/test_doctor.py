"""Tests of `hostedge.cli.doctor`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.doctor import report
from hostedge.cli.finding import Finding

ROOT = Path(__file__).resolve().parents[2]


class DoctorTests(SynchronousTestCase):
    """The report as a whole."""

    def test_report(self) -> None:
        """
        A line for each thing, what to do below it, nothing wider than a terminal.
        """
        findings = [
            Finding("ok", "clock", "set"),
            Finding("fail", "pidfd_open", "EPERM: " + "no process can be watched " * 5, "do it"),
        ]
        lines = list(report(findings))
        self.assertEqual(lines[0], "ok    clock        set")
        self.assertTrue(lines[1].startswith("fail  pidfd_open   EPERM"))
        self.assertEqual(lines[-1], " " * 19 + "-> do it")
        self.assertLessEqual(max(map(len, lines)), 80)

    def run_doctor(self, settings: Path) -> tuple[int, dict[str, str]]:
        done = subprocess.run(
            [sys.executable, "-m", "hostedge.cli.main", "doctor", "--json", "--settings", settings],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.stderr, "")
        return done.returncode, {e["what"]: e["level"] for e in json.loads(done.stdout)["checks"]}

    def test_withoutNode(self) -> None:
        """
        Where a node could run but does not, nothing has failed.
        """
        folder = Path(mkdtemp(prefix="hostedge-"))
        self.addCleanup(rmtree, folder)
        (folder / "homes").mkdir()
        settings = folder / "node.toml"
        settings.write_text('state = "s"\nhomes = "homes"\n[listen]\nhttp = ["127.0.0.1:0"]\n')
        status, levels = self.run_doctor(settings)
        self.assertEqual(status, 0, levels)
        self.assertEqual((levels["node"], levels["state"], levels["http"]), ("warn", "ok", "ok"))

    def test_wrongSettings(self) -> None:
        """
        Wrong settings are one failure; what does not hang on them is looked at all the same.
        """
        status, levels = self.run_doctor(Path("/nowhere.toml"))
        self.assertEqual((status, levels["settings"]), (1, "fail"))
        self.assertIn("clock", levels)

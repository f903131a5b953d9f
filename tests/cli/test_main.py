"""Tests of `hostedge.cli.main`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter

from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.main import default_settings, main, make_parser

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "hostedge.cli.main", *words],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


class MainTests(SynchronousTestCase):
    """Words and exit statuses."""

    def test_helpIsFast(self) -> None:
        """
        Help imports nothing of ours, and is there before one can wonder.
        """
        begin = perf_counter()
        done = run("--help")
        # 50 ms; several times that on a machine that is busy with other tests
        self.assertLess(perf_counter() - begin, 1.0)
        self.assertEqual(done.returncode, 0)
        self.assertLessEqual(max(map(len, done.stdout.splitlines())), 80)
        check = (
            "import sys\n"
            "from hostedge.cli.main import make_parser\n"
            "make_parser().format_help()\n"
            "sys.exit(bool({'twisted', 'attr', 'http', 'ssl', 'yaml'} & set(sys.modules)))\n"
        )
        done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True)
        self.assertEqual((done.returncode, done.stderr), (0, b""))

    def test_wordsThatAreNone(self) -> None:
        """
        A command that is written wrongly is exit status 2.
        """
        for words in ((), ("aply", "x"), ("apply",), ("apply", "x", "--dryrun"), ("status", "x")):
            done = run(*words)
            self.assertEqual((done.returncode, done.stdout), (2, ""), words)
            self.assertIn("usage: hostedge", done.stderr)

    def test_operatorsErrors(self) -> None:
        """
        What the operator has to change is one line and exit status 1.
        """
        done = run("status", "--settings", "/nowhere.toml")
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assertEqual(
            done.stderr, "hostedge: /nowhere.toml: cannot be read: No such file or directory\n"
        )

    def test_optionsOnBothSides(self) -> None:
        """
        --settings and --json are taken before and after the word.
        """
        parser = make_parser()
        for line in ("--settings F --json status", "status --settings F --json"):
            options = parser.parse_args(line.split())
            self.assertEqual((options.settings, options.json), ("F", True))

    def test_everyWordIsThere(self) -> None:
        """
        Each word's function exists.
        """
        from importlib import import_module

        lines = {
            "apply F", "export", "changes", "backup F", "status", "apps", "restart a/b",
            "explain U", "doctor", "demo F",
        }  # fmt: skip
        for line in lines:
            module, _, name = make_parser().parse_args(line.split()).run.partition(":")
            self.assertTrue(callable(getattr(import_module(f"hostedge.cli.{module}"), name)))

    def test_readerHasEnough(self) -> None:
        """
        `hostedge doctor | head -1` ends without a traceback.
        """
        command = f"{sys.executable} -m hostedge.cli.main doctor | true"
        done = subprocess.run(command, shell=True, cwd=ROOT, capture_output=True)
        self.assertEqual(done.stderr, b"")

    def test_settingsOfTheEnvironment(self) -> None:
        """
        The environment names the settings file where the command line does not.
        """
        done = run("status", HOSTEDGE_SETTINGS="/from/environment.toml")
        self.assertIn("/from/environment.toml", done.stderr)

    def test_settingsByPlace(self) -> None:
        """
        Else it is the one below the working directory, else the system's.
        """
        before = os.getcwd()
        self.addCleanup(os.chdir, before)
        folder = Path(self.mktemp())
        (folder / "etc").mkdir(parents=True)
        os.chdir(folder)
        self.assertEqual(default_settings(), "/etc/hostedge/hostedge.toml")
        Path("etc/hostedge.toml").write_text("")
        self.assertEqual(default_settings(), "etc/hostedge.toml")

    def test_interrupt(self) -> None:
        """
        An interrupt is the shell's status for it, not a traceback.
        """
        from hostedge.cli import doctor

        def interrupted(_: object) -> int:
            raise KeyboardInterrupt

        self.patch(doctor, "doctor", interrupted)
        self.assertEqual(main(["doctor"]), 130)

"""Tests of `hostedge.cli.kernel_checks`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli import kernel_checks
from hostedge.cli.kernel_checks import (
    FILES,
    bubblewrap,
    cgroup_level,
    check_kernel,
    clock,
    joining,
)
from hostedge.supervise.cgroup import find_rung
from hostedge.supervise.ladder import CORE, Found, rung


class KernelTests(SynchronousTestCase):
    """Each check, on the machine that the tests run on."""

    def test_nothingFails(self) -> None:
        """
        Where the tests pass, a node can run: nothing here is a failure; whatever is not well
        says what to do.
        """
        findings = list(check_kernel())
        self.assertEqual([each for each in findings if each.level == "fail"], [])
        for each in findings:
            self.assertEqual(bool(each.todo), each.level != "ok", each)

    def test_tried(self) -> None:
        """
        A call that the kernel refuses is named with its error and its use.
        """
        finding = kernel_checks._tried("openat2", -1, "fail", "no static file", "5.6")
        self.assertEqual((finding.level, finding.what), ("fail", "openat2"))
        self.assertTrue(finding.text.endswith(": no static file"))
        self.assertIn("Linux 5.6", finding.todo)

    def test_requirements(self) -> None:
        """
        Packages are compared with what the metadata asks for; extras are left out.
        """
        package = kernel_checks._package
        self.assertEqual(package("twisted>=22.1"), "")
        self.assertEqual(package("twisted"), "")
        self.assertEqual(package("no-such-thing>=1; extra == 'test'"), "")
        self.assertEqual(package("no-such-thing>=1"), "no-such-thing is missing")
        self.assertRegex(package("twisted>=99.0"), r"^twisted is \S+, want 99.0 or later$")
        self.assertEqual(package("Twisted[tls]>=22,<99"), "")

    def test_versions(self) -> None:
        """
        Versions are compared by number.
        """
        numbers = kernel_checks._numbers
        self.assertLess(numbers("9.10"), numbers("10.9"))
        self.assertEqual(numbers("25.0"), numbers("25"))


class CgroupTests(SynchronousTestCase):
    """The ladder; `tests.supervise.test_ladder` climbs it."""

    def test_rungs(self) -> None:
        """
        No rung is a warning that says how to reach one; every other is well.
        """
        nothing = cgroup_level(rung(Found()))
        self.assertEqual((nothing.level, bool(nothing.todo)), ("warn", True))
        self.assertIn("L0: no cgroup v2", nothing.text)
        some = cgroup_level(rung(Found(Path("/c"), Path("/c"), True, frozenset(CORE))))
        self.assertEqual((some.level, some.todo), ("ok", ""))
        self.assertIn("L1: kill, freeze and events; no cpu, io, memory, pids", some.text)

    def test_joining(self) -> None:
        """
        A mount that makes each start wait is a warning, with the command that ends it.
        """
        line = "35 26 0:30 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate"
        found = joining(f"{line}\n")
        self.assertEqual(found.level, "warn")
        self.assertEqual(found.todo, "as root: mount -o remount,favordynmods /sys/fs/cgroup")
        self.assertEqual(joining(f"{line},favordynmods\n").level, "ok")

    def test_here(self) -> None:
        """
        What doctor says of this machine is what the keeper goes by.
        """
        [said] = [each for each in check_kernel() if each.what == "cgroup"]
        self.assertEqual(said.text, find_rung().text)

    def test_bubblewrap(self) -> None:
        """
        Bubblewrap is tried; where it is missing or fails it is said why.
        """
        missing = bubblewrap("no-such-bwrap")
        self.assertEqual(missing.level, "warn")
        self.assertIn("not here", missing.text)
        failing = bubblewrap("false")
        self.assertEqual((failing.level, bool(failing.todo)), ("warn", True))
        self.assertIn("status 1", failing.text)
        self.assertEqual(bubblewrap("true").level, "ok")


class LimitTests(SynchronousTestCase):
    """Limits and the clock."""

    def test_openFiles(self) -> None:
        """
        Too few open files are a warning that says how to have more.
        """
        # the hard limit can only go down, so a process of its own
        check = (
            "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 2000));"
            "from hostedge.cli.kernel_checks import open_files; print(open_files())"
        )
        done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
        self.assertIn("warn", done.stdout, done.stderr)
        self.assertIn("2000 open files: 595 connections of an edge", done.stdout)
        self.assertIn(f"LimitNOFILE={FILES}", done.stdout)

    def test_websocket(self) -> None:
        """
        Autobahn without its parts in C is worth a warning.
        """
        self.assertEqual(kernel_checks.websocket().level, "ok")
        check = "from hostedge.cli.kernel_checks import websocket; print(websocket().level)"
        done = subprocess.run(
            [sys.executable, "-c", check],
            env={**os.environ, "AUTOBAHN_USE_NVX": "0"},
            capture_output=True,
            text=True,
        )
        self.assertEqual(done.stdout, "warn\n", done.stderr)

    def test_clock(self) -> None:
        """
        The time is shown as it is.
        """
        self.assertRegex(clock().text, r"^20\d\d-\d\d-\d\d \d\d:\d\d:\d\dZ")

"""Tests of `hostedge.cli.history`; the commands as a whole are in `tests.live.test_history`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.history import change_lines, coloured, diff_lines, object_diff

APP = {"name": "hello", "runtime": "command", "command": ["run", "x " * 60], "idle": "1h"}


def entry(revision: int, key: str, before: Any, after: Any) -> dict[str, Any]:
    what = "created" if before is None else "deleted" if after is None else "changed"
    about = {"revision": revision, "time": 1_795_341_600.4, "who": "root"}
    return {**about, "key": key, "what": what, "before": before, "after": after}


class ChangesTests(SynchronousTestCase):
    """The list of changes."""

    def test_table(self) -> None:
        """
        A line a change, within 80 columns, times in UTC.
        """
        lines = list(change_lines([entry(3, f"domain/{'a' * 60}.example", None, {"name": "a"})]))
        self.assertEqual(lines[0].split(), ["REVISION", "TIME", "WHO", "CHANGE", "OBJECT"])
        self.assertTrue(lines[1].startswith("       3  2026-11-22 10:00:00Z  root  created  dom"))
        self.assertEqual([len(line) <= 80 for line in lines], [True, True])

    def test_pages(self) -> None:
        """
        Long lists come as they are read, each page with its head; an empty one says so.
        """
        read = []

        def entries() -> Any:
            for number in range(1200):
                read.append(number)
                yield entry(number, "account/demo", None, {})

        lines = change_lines(entries())
        next(lines)
        self.assertEqual(len(read), 500)
        self.assertEqual(len(list(lines)), 1202)
        self.assertEqual(list(change_lines([])), ["No change is recorded."])


class DiffTests(SynchronousTestCase):
    """What has become of objects."""

    def test_unified(self) -> None:
        """
        The form is that of a site file; only what differs is marked.
        """
        before = {"name": "hello", "idle": "1h", "environment": {"A": "1"}}
        after = {"name": "hello", "idle": "2h", "environment": {"A": "1"}}
        self.assertEqual(
            list(object_diff("app/demo/hello", before, after)),
            [
                "--- app/demo/hello",
                "+++ app/demo/hello",
                "@@ -1,4 +1,4 @@",
                " name: hello",
                "-idle: 1h",
                "+idle: 2h",
                " environment:",
                "   A: '1'",
            ],
        )

    def test_fromAndToNothing(self) -> None:
        """
        What is new comes from nowhere, what is deleted goes there; no line is too long.
        """
        lines = list(object_diff("app/demo/hello", None, APP))
        self.assertEqual(lines[:2], ["--- /dev/null", "+++ app/demo/hello"])
        self.assertTrue(all(line.startswith("+") and len(line) <= 80 for line in lines[3:]))
        lines = list(object_diff("app/demo/hello", APP, None))
        self.assertEqual(lines[:2], ["--- app/demo/hello", "+++ /dev/null"])

    def test_underTheirRevision(self) -> None:
        """
        Objects of one revision stand under one head that says when and by whom.
        """
        entries = [
            entry(4, "account/a", None, {"name": "a"}),
            entry(4, "account/b", None, {"name": "b"}),
            entry(5, "account/a", {"name": "a"}, None),
        ]
        lines = list(diff_lines(entries, "Revision"))
        heads = [line for line in lines if line.startswith("Revision")]
        at = "2026-11-22 10:00:00Z, by root"
        self.assertEqual(heads, [f"Revision 4, {at}", f"Revision 5, {at}"])
        self.assertEqual(lines.count("@@ -0,0 +1 @@"), 2)
        self.assertEqual(list(diff_lines([], "Revision")), ["Nothing is different."])

    def test_colours(self) -> None:
        """
        What is added, taken away or a head is told apart; the rest is as it is.
        """
        for line, colour in (("+++ x", "1"), ("--- x", "1"), ("+x", "32"), ("-x", "31")):
            self.assertEqual(coloured(line), f"\x1b[{colour}m{line}\x1b[0m")
        self.assertEqual(coloured(" x"), " x")

"""
Tests for `hostedge.supervise.event_log`.
"""

import os
import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.event_log import SIZE, EventLog


class EventLogTests(SynchronousTestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.log = EventLog(self.folder)
        self.path = self.folder / "apps/demo/hello.events"

    def test_appends(self):
        """
        A line each, in a file that others cannot read; nothing stays open.
        """
        before = len(os.listdir("/proc/self/fd"))
        self.log.write("demo/hello", b'{"event":"queued"}')
        self.log.write("demo/hello", b'{"event":"ready"}')
        self.assertEqual(self.path.read_text(), '{"event":"queued"}\n{"event":"ready"}\n')
        self.assertEqual(self.path.stat().st_mode & 0o007, 0)
        self.assertEqual(len(os.listdir("/proc/self/fd")), before)

    def test_bounded(self):
        """
        One older file is kept, and no file is longer than the bound.
        """
        line = b"x" * 10_000
        for _ in range(3 * SIZE // len(line)):
            self.log.write("demo/hello", line)
        older = self.path.with_name("hello.events.1")
        self.assertEqual(sorted(self.path.parent.iterdir()), [self.path, older])
        for each in (self.path, older):
            self.assertLessEqual(each.stat().st_size, SIZE)
        self.assertTrue(older.read_bytes().endswith(line + b"\n"))

    def test_links(self):
        """
        A link in the place of the file, of the account's folder or of the one above is refused:
        what it leads to stays as it is, and the line is counted.
        """
        victim = self.folder / "victim"
        victim.mkdir()
        for place in (self.path, self.path.parent, self.path.parent.parent):
            with self.subTest(place.name):
                target = victim / "file" if place is self.path else victim
                if place is self.path:
                    target.write_text("precious")
                place.parent.mkdir(parents=True, exist_ok=True)
                place.symlink_to(target)
                before, entries = self.log.dropped, sorted(victim.rglob("*"))
                self.log.write("demo/hello", b"{}")
                self.assertEqual(self.log.dropped, before + 1)
                self.assertEqual(sorted(victim.rglob("*")), entries)
                place.unlink()
                shutil.rmtree(self.folder / "apps", ignore_errors=True)
        self.assertEqual((victim / "file").read_text(), "precious")

    def test_fullDisk(self):
        """
        What cannot be written is counted, and told once.
        """
        self.path.parent.mkdir(parents=True)
        self.path.mkdir()
        self.log.write("demo/hello", b"{}")
        self.log.write("demo/hello", b"{}")
        self.assertEqual(self.log.dropped, 2)

"""
Tests for `hostedge.supervise.logs`.
"""

import os
import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.logs import app_log, last_line, open_log, read_tail, size_of


class LogTests(SynchronousTestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = app_log(self.folder, "demo", "hello")

    def write(self, text):
        log = open_log(self.path)
        os.write(log, text)
        os.close(log)

    def test_appends(self):
        """
        The folders are made, and what is there stays; others cannot read.
        """
        self.write(b"one\n")
        self.write(b"two\n")
        self.assertEqual(self.path, self.folder / "apps/demo/hello.log")
        self.assertEqual(self.path.read_bytes(), b"one\ntwo\n")
        self.assertEqual(self.path.stat().st_mode & 0o007, 0)

    def test_links(self):
        """
        A link in the log's place is refused, and what it points to stays as it is.
        """
        victim = self.folder / "victim"
        victim.write_text("precious")
        self.path.parent.mkdir(parents=True)
        self.path.symlink_to(victim)
        self.assertRaises(OSError, open_log, self.path)
        self.assertEqual(victim.read_text(), "precious")

    def test_linkedFolders(self):
        """
        Nor is a link followed in the place of an account's folder or of the one above; the
        logs' own folder may be one, as the operator likes.
        """
        elsewhere = self.folder / "elsewhere"
        (elsewhere / "demo").mkdir(parents=True)
        (self.folder / "apps").symlink_to(elsewhere)
        self.assertRaises(OSError, open_log, self.path)
        (self.folder / "apps").unlink()
        (self.folder / "apps").mkdir()
        (self.folder / "apps/demo").symlink_to(elsewhere)
        self.assertRaises(OSError, open_log, self.path)
        self.assertEqual([each.name for each in elsewhere.rglob("*")], ["demo"])
        linked = self.folder / "linked"
        linked.symlink_to(elsewhere)
        os.close(open_log(app_log(linked, "demo", "hello")))
        os.close(open_log(linked / "edge.log"))
        self.assertTrue((elsewhere / "apps/demo/hello.log").is_file())

    def test_tail(self):
        """
        What was said since a start is found, as far as it is not too long; of a log that was cut
        meanwhile all of it.
        """
        self.assertEqual(read_tail(self.path), [])
        self.write(b"before\n")
        start = size_of(self.path)
        self.write(b"one\r\ntwo")
        self.assertEqual(read_tail(self.path, start), ["one", "two"])
        self.assertEqual(read_tail(self.path, start, most=5), ["two"])
        self.path.write_bytes(b"new\n")
        self.assertEqual(read_tail(self.path, start), ["new", ""])

    def test_fifo(self):
        """
        A FIFO without a reader is refused without waiting for one; with one as well.
        """
        self.path.parent.mkdir(parents=True)
        os.mkfifo(self.path)
        self.assertRaises(OSError, open_log, self.path)
        reader = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        self.addCleanup(os.close, reader)
        self.assertRaises(OSError, open_log, self.path)

    def test_lastLine(self):
        """
        The last line that says something, of a log of any length, whatever its bytes.
        """
        self.assertEqual(last_line(self.path), "")
        self.write(b"x" * 9000 + b"\nModuleNotFoundError: \xff\n\n \n")
        self.assertEqual(last_line(self.path), "ModuleNotFoundError: �")

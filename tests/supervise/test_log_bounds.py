"""
Tests for `hostedge.supervise.log_bounds`.
"""

import os
import shutil
import tempfile
from pathlib import Path

from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.event import Event
from hostedge.supervise.log_bounds import AGAIN, EVERY, LAST_WORDS, LogBounds, copy_bytes, cut
from hostedge.supervise.logs import app_log, open_log

SIZE = 10_000


class Folder(SynchronousTestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = app_log(self.folder, "demo", "hello")

    def open(self, path=None):
        log = open_log(path or self.path)
        self.addCleanup(os.close, log)
        return log

    def older(self, number):
        return self.path.with_name(f"hello.log.{number}")


class CutTests(Folder):
    def test_goesOn(self):
        """
        What was said is in the older file, and who holds the log open goes on in the new one.
        """
        log = self.open()
        os.write(log, b"a" * (SIZE - 1) + b"b\n")
        self.assertEqual(cut(self.path, SIZE, 5), (SIZE + 1, 0))
        os.write(log, b"next\n")
        self.assertEqual(self.path.read_bytes(), b"next\n")
        self.assertEqual(self.older(1).read_bytes(), b"a" * (SIZE - 1) + b"b\n")
        self.assertEqual(self.older(1).stat().st_mode & 0o007, 0)

    def test_short(self):
        """
        A log that is short enough stays as it is.
        """
        os.write(self.open(), b"a" * SIZE)
        self.assertEqual(cut(self.path, SIZE, 5), (SIZE, 0))
        self.assertEqual(list(self.path.parent.iterdir()), [self.path])

    def test_bounded(self):
        """
        So many files of such a size are there, the last words of each, and nothing else.
        """
        log = self.open()
        for number in range(8):
            os.write(log, b"x" * 5 * SIZE + b"%d" % number * SIZE)
            there, lost = cut(self.path, SIZE, 4)
            self.assertEqual((there, lost), (6 * SIZE, 5 * SIZE))
        self.assertEqual(
            sorted(p.name for p in self.path.parent.iterdir()),
            ["hello.log", "hello.log.1", "hello.log.2", "hello.log.3"],
        )
        for older, said in ((1, b"7"), (2, b"6"), (3, b"5")):
            self.assertEqual(self.older(older).read_bytes(), said * SIZE)

    def test_lastWords(self):
        """
        Of what comes while it is copied, and is too much, the end is kept.
        """
        log = self.open()
        os.write(log, b"a" * 10 * LAST_WORDS + b"the end")
        reading = os.open(self.path, os.O_RDONLY)
        self.addCleanup(os.close, reading)
        copy = os.open(self.older(1), os.O_WRONLY | os.O_CREAT)
        self.addCleanup(os.close, copy)
        done = copy_bytes(reading, copy, 0, SIZE)
        self.assertEqual(done, SIZE + LAST_WORDS)
        copied = self.older(1).read_bytes()
        self.assertEqual(copied, b"a" * (done - 7) + b"the end")

    def test_otherThings(self):
        """
        A link or a FIFO in the log's place is refused, without waiting; a link in the place of
        the older file or in that of a folder leads nowhere.
        """
        victim = self.folder / "victim"
        victim.write_bytes(b"precious" * SIZE)
        self.path.parent.mkdir(parents=True)
        self.path.symlink_to(victim)
        self.assertRaises(OSError, cut, self.path, SIZE, 5)
        self.path.unlink()
        os.mkfifo(self.path)
        self.assertRaises(OSError, cut, self.path, SIZE, 5)
        self.path.unlink()
        os.write(self.open(), b"a" * 2 * SIZE)
        self.older(1).symlink_to(victim)
        cut(self.path, SIZE, 2)
        self.assertEqual(self.older(1).read_bytes(), b"a" * SIZE)
        moved = self.path.parent.rename(self.folder / "moved")
        self.path.parent.symlink_to(moved)
        (moved / "hello.log").write_bytes(b"b" * 2 * SIZE)
        self.assertRaises(OSError, cut, self.path, SIZE, 5)
        self.assertEqual(victim.read_bytes(), b"precious" * SIZE)
        self.assertEqual((moved / "hello.log").stat().st_size, 2 * SIZE)

    def test_nowhereToCopy(self):
        """
        Where nothing can be copied to, the log is cut all the same, and the bytes are counted.
        """
        os.write(self.open(), b"a" * 2 * SIZE)
        self.older(1).mkdir()
        self.assertEqual(cut(self.path, SIZE, 2), (2 * SIZE, 2 * SIZE))
        self.assertEqual(self.path.stat().st_size, 0)


class LogBoundsTests(Folder):
    def setUp(self):
        super().setUp()
        self.clock = Clock()
        self.jobs = []
        self.bounds = LogBounds(self.clock, self.folder, self.in_thread, SIZE, 5)
        self.addCleanup(self.bounds.stop)

    def in_thread(self, function, *arguments):
        """A thread that works when the test says so."""
        done = Deferred()
        self.jobs.append(lambda: execute(function, *arguments).chainDeferred(done))
        return done

    def work(self):
        self.jobs.pop(0)()

    def tell(self, event, generation=1, app="demo/hello"):
        self.bounds.hear(Event(0.0, app, generation, event, {}))

    def look(self, seconds=EVERY):
        self.clock.pump([0.1] * round(seconds / 0.1))

    def test_cuts(self):
        """
        The log of a running app is cut within a second, that of one without processes is not
        looked at.
        """
        os.write(self.open(), b"a" * (SIZE + 1))
        other = app_log(self.folder, "demo", "other")
        os.write(self.open(other), b"a" * (SIZE + 1))
        self.tell("launched")
        self.look()
        self.assertEqual(len(self.jobs), 1)
        self.work()
        self.assertEqual((self.path.stat().st_size, other.stat().st_size), (0, SIZE + 1))
        self.assertEqual(self.bounds.counts, {"log_cuts": 1, "log_lost_bytes": 0})

    def test_lastWords(self):
        """
        A log is looked at once more when the last process is gone; then nothing is left to do.
        """
        self.tell("launched", 1)
        self.tell("launched", 2)
        self.tell("exited", 1)
        self.look()
        os.write(self.open(), b"a" * (SIZE + 1))
        self.tell("exited", 2)
        self.work()
        self.assertEqual(self.path.stat().st_size, 0)
        self.look()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_oneAtATime(self):
        """
        However many are too long, one is copied at a time, and none twice meanwhile.
        """
        for app in ("a", "b"):
            os.write(self.open(app_log(self.folder, "demo", app)), b"a" * (SIZE + 1))
            self.tell("launched", app=f"demo/{app}")
        self.look(3.0)
        self.assertEqual(len(self.jobs), 1)
        self.work()
        self.assertEqual(len(self.jobs), 1)
        self.work()
        self.look()
        self.assertEqual(self.jobs, [])

    def test_flood(self):
        """
        One that is flooded is looked at again before the second is over.
        """
        log = self.open()
        self.tell("launched")
        os.write(log, b"a" * 3 * SIZE)
        self.look()
        self.work()
        os.write(log, b"a" * 3 * SIZE)
        self.clock.advance(AGAIN)
        self.assertEqual(len(self.jobs), 1)
        self.work()

    def test_refused(self):
        """
        What cannot be cut is left, and others are cut.
        """
        self.path.parent.mkdir(parents=True)
        self.path.symlink_to("x" * 200)
        bounds = LogBounds(self.clock, self.folder, self.in_thread, 100, 5)
        self.addCleanup(bounds.stop)
        bounds.hear(Event(0.0, "demo/hello", 1, "launched", {}))
        self.look()
        self.work()
        self.assertEqual(bounds.counts["log_cuts"], 0)
        self.look()
        self.assertEqual(len(self.jobs), 1)

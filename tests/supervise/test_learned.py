"""
Tests for `hostedge.supervise.learned`.
"""

import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise import learned
from hostedge.supervise.learned import StartTimes


class StartTimesTests(SynchronousTestCase):
    def setUp(self):
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        self.file = folder / "starts"

    def test_expect(self):
        """
        The middle one of the last twenty starts is expected.
        """
        times = StartTimes(self.file)
        self.assertEqual(times.expect("a/x"), 0.0)
        for seconds in (90.0, *range(1, 21)):
            times.note("a/x", seconds)
        times.note("a/y", 3.0)
        self.assertEqual(times.expect("a/x"), 10.5)
        self.assertEqual(times.expect("a/y"), 3.0)

    def test_nextKeeper(self):
        """
        A keeper knows what the one before has learnt, up to a line that was not finished.
        """
        times = StartTimes(self.file)
        times.note("a/x", 1.25)
        times.note("a/x", 2.25)
        with self.file.open("a") as file:
            file.write("a/x")
        self.assertEqual(StartTimes(self.file).expect("a/x"), 1.75)

    def test_fileStaysSmall(self):
        """
        What is forgotten leaves the file as well.
        """
        self.patch(learned, "LINES_MOST", 45)
        times = StartTimes(self.file)
        for number in range(100):
            times.note(f"a/{number % 2}", float(number))
        self.assertLessEqual(len(self.file.read_text().splitlines()), 46)
        self.assertEqual(StartTimes(self.file).expect("a/1"), times.expect("a/1"))

    def test_unwritable(self):
        """
        Where nothing can be written it is known until the end.
        """
        times = StartTimes(self.file / "below")
        self.file.touch()
        times.note("a/x", 2.0)
        self.assertEqual(times.expect("a/x"), 2.0)

    def test_fewApps(self):
        """
        Who has not started for longest is forgotten first.
        """
        self.patch(learned, "APPS", 2)
        times = StartTimes(self.file)
        for app in ("a/x", "a/y", "a/x", "a/z"):
            times.note(app, 2.0)
        self.assertEqual([times.expect(f"a/{each}") for each in "xyz"], [2.0, 0.0, 2.0])

"""
Tests for `hostedge.supervise.journal`.
"""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from hostedge.net.identity import process_started
from hostedge.supervise.journal import BLOCK, Entry, Journal


class JournalTests(SynchronousTestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.journal = Journal(self.folder)
        self.mine = Entry(
            boot=self.journal.boot,
            app="demo/hello",
            generation=3,
            address="unix:/run/x.sock",
            digest="d",
            inode=7,
            pid=os.getpid(),
            started=process_started(os.getpid()),
            ready=True,
            uid=os.getuid(),
        )

    def files(self):
        return sorted(path.name for path in self.folder.glob("*.json"))

    def test_roundTrip(self):
        """
        What lives is found by the next keeper as it was written last, oldest first.
        """
        self.journal.write(evolve(self.mine, generation=20))
        self.journal.write(evolve(self.mine, ready=False))
        self.journal.write(self.mine)
        found, _ = Journal(self.folder).living()
        self.assertEqual(found, [self.mine, evolve(self.mine, generation=20)])
        self.journal.forget(3)
        self.journal.forget(3)
        self.assertEqual(self.files(), ["20.json"])

    def test_cannotForget(self):
        """
        A file that cannot be removed disturbs nobody: the end of a daemon is told in any case.
        """
        (self.folder / "3.json").mkdir()
        self.journal.forget(3)
        self.assertEqual(self.files(), ["3.json"])

    def test_noProof(self):
        """
        Another boot, another start time, a pid that is gone or was never known: dropped.
        """
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        doubtful = (
            {"boot": "another"},
            {"started": self.mine.started + 1},
            {"pid": child},
            {"pid": 0},
            {"leaf": str(self.folder / "gone"), "leaf_inode": 7},
            {"leaf": str(self.folder), "leaf_inode": self.folder.stat().st_ino},
            {"leaf": str(self.folder), "leaf_inode": self.folder.stat().st_ino + 1},
        )
        for number, changes in enumerate(doubtful):
            self.journal.write(evolve(self.mine, generation=number, **changes))
        (self.folder / "77.json").write_text("{")
        (self.folder / "78.json").write_text('{"pid": 1}')
        (self.folder / "79.json").write_text("[]")
        living, gone = Journal(self.folder).living()
        self.assertEqual((living, len(gone)), ([], len(doubtful)))
        self.assertEqual(self.files(), [])

    def test_anotherUser(self):
        """
        A process that runs as neither the app's user nor ours is not what was launched.
        """
        if os.getuid():
            raise SkipTest("only root can run a process as somebody else")
        child = subprocess.Popen(["sleep", "600"], user=65534)
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        started = process_started(child.pid)
        entry = evolve(self.mine, pid=child.pid, started=started, uid=65534)
        self.assertTrue(entry.lives())
        self.assertFalse(evolve(entry, uid=65533).lives())

    def test_numbersNeverRepeat(self):
        """
        Numbers grow through any number of keepers' lives, with or without the note.
        """
        seen = []
        for _ in range(3):
            journal = Journal(self.folder)
            seen += [journal.number() for _ in range(3)]
        journal.write(evolve(self.mine, generation=seen[-1]))
        (self.folder / "numbers").unlink()
        seen.append(Journal(self.folder).number())
        self.assertEqual(seen, sorted(set(seen)))

    def test_manyNumbers(self):
        """
        A new block is reserved before the last one is used up.
        """
        numbers = [self.journal.number() for _ in range(BLOCK + 1)]
        self.assertGreater(Journal(self.folder).number(), numbers[-1])

    def test_noRoomForNumbers(self):
        """
        Where numbers cannot be noted they are given out all the same, but nothing is written, so
        that nothing is launched with them; and none comes again when there is room.
        """
        note = self.folder / "numbers"
        note.mkdir()
        first = self.journal.number()
        entry = evolve(self.mine, generation=first)
        self.assertRaises(OSError, self.journal.write, entry)
        self.assertEqual(self.files(), [])
        note.rmdir()
        self.journal.write(entry)
        self.journal.forget(first)
        self.assertGreater(Journal(self.folder).number(), first)

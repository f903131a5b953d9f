"""
Tests for `hostedge.supervise.confinement`; what the words do is in `tests.live.test_process`.
"""

import os
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.confinement import Confinement, Rlimits, View


class ConfinementTests(SynchronousTestCase):
    def test_customers(self):
        """
        Without a word from anybody: bounded, first to go when memory ends, no way up.
        """
        self.assertEqual(
            Confinement().words(),
            [
                "oom=500",
                "limit=NOFILE:4096:16384",
                "limit=CORE:0:0",
                "limit=MEMLOCK:65536:65536",
                "no-new-privileges=1",
            ],
        )

    def test_limits(self):
        """
        Each limit can be another one, or be left as it is; nothing is a limit too.
        """
        nothing = Rlimits(None, None, None, None, None)
        self.assertEqual(nothing.words(), [])
        limits = Rlimits((1, 2), 3, 0, 5, 6)
        self.assertEqual(
            limits.words(),
            [
                *("limit=NOFILE:1:2", "limit=CORE:3:3", "limit=FSIZE:0:0"),
                *("limit=MEMLOCK:5:5", "limit=NPROC:6:6"),
            ],
        )
        self.assertEqual(Confinement(None, nothing).words(), ["no-new-privileges=1"])

    def test_view(self):
        """
        Homes are hidden before the own one is put back; what is not there is not hidden.
        """
        homes = Path(tempfile.mkdtemp())
        self.addCleanup(os.rmdir, homes)
        view = View(homes, homes / "a", "/usr/bin/bwrap", "/usr/bin/python3")
        words = view.words()
        self.assertEqual(words[0], "view=/usr/bin/bwrap")
        hidden, own = words.index(f"view={homes}"), words.index(f"view={homes / 'a'}")
        self.assertEqual(words[hidden - 1], "view=--tmpfs")
        self.assertEqual((words[own - 1], own > hidden), ("view=--bind", True))
        self.assertEqual(Confinement(view=view).words()[-1], "python=/usr/bin/python3")
        gone = View(homes / "no", homes / "no" / "a").words()
        self.assertNotIn(f"view={homes / 'no'}", gone)

    def test_node(self):
        """
        A node that is installed below what is hidden is put back: apps run with its programs.
        """
        where = os.path.realpath(sys.base_prefix)
        homes = Path(where).parent
        words = View(homes, homes / "a").words()
        place = words.index(f"view={where}")
        self.assertEqual(words[place - 1], "view=--ro-bind")
        self.assertGreater(place, words.index(f"view={homes}"))

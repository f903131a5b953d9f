"""
Tests for `hostedge.runtimes.start`.
"""

import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.model.site import App
from hostedge.runtimes.start import own_bin


class OwnBinTests(SynchronousTestCase):
    def test_ownBin(self):
        """
        Only a folder with an interpreter counts as the app's own.
        """
        home = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, home)
        app = App("x", "command", None, directory="apps/x")
        self.assertIsNone(own_bin(app, home))
        folder = home / "apps/x/.venv/bin"
        folder.mkdir(parents=True)
        self.assertIsNone(own_bin(app, home))
        (folder / "python").symlink_to("/usr/bin/env")
        self.assertEqual(own_bin(app, home), folder)

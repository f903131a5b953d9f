"""
Tests for `hostedge.runtimes.command`.
"""

import shutil
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.model.site import App
from hostedge.runtimes.command import RUNTIME, Command
from hostedge.runtimes.start import NODE_BIN


class CommandTests(SynchronousTestCase):
    def test_asItStands(self):
        """
        The words are the command; nothing in them is replaced.
        """
        value = Command(("python", "chat.py", "$PORT", "~"))
        start = RUNTIME.launch(value, App("chat", "command", value), Path("/home/x"))
        self.assertEqual(start.argv, value.command)
        self.assertEqual((start.listen, start.path), ("port", (NODE_BIN,)))

    def test_ownPrograms(self):
        """
        Programs of the app's virtual environment are found before the node's.
        """
        home = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, home)
        own = home / "chat/.venv/bin"
        own.mkdir(parents=True)
        (own / "python").touch()
        value = Command(("python",), listen="socket")
        start = RUNTIME.launch(value, App("chat", "command", value, directory="chat"), home)
        self.assertEqual((start.listen, start.path), ("socket", (own, NODE_BIN)))

    def test_capacity(self):
        """
        What the owner says, or 32.
        """
        self.assertEqual(RUNTIME.capacity(Command(("x",))), 32)
        self.assertEqual(RUNTIME.capacity(Command(("x",), concurrency=2)), 2)
        self.assertEqual(RUNTIME.keep_alive(Command(("x",))), 0.0)

    def test_wrongOptions(self):
        """
        A command has a first word, and a number of requests it can take.
        """
        self.assertRaises(ValueError, Command, ())
        self.assertRaises(ValueError, Command, ("", "x"))
        self.assertRaises(ValueError, lambda: Command(("x",), concurrency=0))

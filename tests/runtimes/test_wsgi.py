"""
Tests for `hostedge.runtimes.wsgi`.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.model.site import App
from hostedge.runtimes.wsgi import KEEPALIVE, RUNTIME, Wsgi


class WsgiTests(SynchronousTestCase):
    def setUp(self):
        self.home = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.home)

    def launch(self, **options):
        value = Wsgi("hello:app", **options)
        app = App("hello", "wsgi", value, directory="apps/hello", stop_timeout=10.0)
        return RUNTIME.launch(value, app, self.home)

    def python(self, folder):
        python = self.home / folder / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.touch()
        return str(python)

    def test_arguments(self):
        """
        Threads and processes are gunicorn's, connections are kept, the listener is inherited.
        """
        start = self.launch(processes=2, threads=4)
        argv = start.argv
        self.assertEqual(argv[:3], (str(Path(sys.executable).parent / "python"), "-m", "gunicorn"))
        self.assertEqual((start.listen, argv[-1]), ("socket", "hello:app"))
        for option, value in (
            ("--worker-class", "gthread"),
            ("--workers", "2"),
            ("--threads", "4"),
            ("--keep-alive", str(KEEPALIVE)),
            ("--graceful-timeout", "9"),
        ):
            self.assertEqual(argv[argv.index(option) + 1], value)
        self.assertFalse({"--bind", "--access-logfile"} & set(argv))

    def test_interpreter(self):
        """
        The app's own virtual environment comes before the node's, a named one before both.
        """
        own = self.python("apps/hello/.venv")
        self.assertEqual(self.launch().argv[0], own)
        named = self.python("env")
        self.assertEqual(self.launch(virtualenv="env").argv[0], named)
        self.assertEqual(self.launch(virtualenv="env").path[0], Path(named).parent)

    def test_oldGunicorn(self):
        """
        An option that an older gunicorn does not know is not given to it.
        """
        self.python("apps/hello/.venv")
        self.assertNotIn("--no-control-socket", self.launch().argv)
        site = self.home / "apps/hello/.venv/lib/python3.11/site-packages"
        (site / "gunicorn/ctl").mkdir(parents=True)
        self.assertIn("--no-control-socket", self.launch().argv)

    def test_capacity(self):
        """
        Every thread of every process can work on one request.
        """
        self.assertEqual(RUNTIME.capacity(Wsgi("a:b", processes=3, threads=4)), 12)

    def test_keepAlive(self):
        """
        Connections are kept for as long as gunicorn is told to keep them.
        """
        argv = self.launch().argv
        told = float(argv[argv.index("--keep-alive") + 1])
        self.assertEqual(RUNTIME.keep_alive(Wsgi("a:b")), told)

    def test_wrongOptions(self):
        """
        What gunicorn would stumble over, or what leaves the home, is refused.
        """
        for module in ("hello", "hello:", ":app", "hello app:x", "--config=x:y", ""):
            self.assertRaises(ValueError, Wsgi, module)
        for options in (
            {"processes": 0},
            {"threads": 257},
            {"virtualenv": "/usr"},
            {"virtualenv": "a/../../b"},
        ):
            self.assertRaises(ValueError, lambda options=options: Wsgi("a:b", **options))

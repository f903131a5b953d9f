"""
Tests for `hostedge.supervise.launching`.
"""

from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from hostedge.model.site import Account, App
from hostedge.runtimes.command import Command
from hostedge.runtimes.start import Start
from hostedge.settings import Settings
from hostedge.supervise.launching import digest_of, environment
from hostedge.supervise.variables import VariableRefused

APP = App("chat", "command", Command(("python",)), environment={"B": "2", "A": "1"})
SETTINGS = Settings(Path("/e"), Path("/var/s"), Path("/homes"))


class EnvironmentTests(SynchronousTestCase):
    def make(self, listen="port", **own):
        app = evolve(APP, environment=own)
        start = Start(("x",), listen, (Path("/home/x/bin"), Path("/usr/bin")))
        return environment(SETTINGS, Account("demo"), app, 7, start, "127.0.0.1:4711")

    def test_whiteList(self):
        """
        Nothing of this process, everything a daemon needs.
        """
        made = self.make()
        self.assertRegex(made.pop("HOSTEDGE_UNIT"), r"^[0-9a-f]{32}$")
        self.assertEqual(
            made,
            {
                "HOME": "/homes/demo",
                "USER": "demo",
                "LOGNAME": "demo",
                "SHELL": "/bin/sh",
                "PATH": "/home/x/bin:/usr/bin:/usr/local/bin:/usr/bin:/bin",
                "LANG": "C.UTF-8",
                "TMPDIR": "/tmp",
                "HOSTEDGE_APP": "demo/chat",
                "HOSTEDGE_GENERATION": "7",
                "HOST": "127.0.0.1",
                "IP": "127.0.0.1",
                "PORT": "4711",
            },
        )

    def test_owner(self):
        """
        The owner may add and change, but not what the node alone knows.
        """
        made = self.make(LANG="de_DE.UTF-8", KEY="secret", PORT="1")
        self.assertEqual((made["LANG"], made["KEY"]), ("de_DE.UTF-8", "secret"))
        self.assertEqual((made["PORT"], made["HOSTEDGE_APP"]), ("4711", "demo/chat"))
        self.assertRaises(VariableRefused, self.make, HOSTEDGE_APP="other/app")

    def test_unit(self):
        """
        No two generations, and no two nodes, mark their processes the same way.
        """
        units = set()
        for state, generation in (("/a", 1), ("/a", 2), ("/b", 1)):
            settings = evolve(SETTINGS, state=Path(state))
            start = Start(("x",), "socket", ())
            made = environment(settings, Account("demo"), APP, generation, start, "")
            units.add(made["HOSTEDGE_UNIT"])
        self.assertEqual(len(units), 3)

    def test_socket(self):
        """
        Who gets a listener gets no port.
        """
        self.assertNotIn("PORT", self.make("socket"))


class DigestTests(SynchronousTestCase):
    def test_sameLaunch(self):
        """
        What does not concern the launch, and the order of variables, make no difference.
        """
        for other in (
            evolve(APP, idle=1.0, queue=1, start_timeout=1.0, stop_timeout=1.0, buffer="stream"),
            evolve(APP, environment={"A": "1", "B": "2"}),
        ):
            self.assertEqual(digest_of(other), digest_of(APP))

    def test_otherLaunch(self):
        """
        What does concern it does.
        """
        others = (
            evolve(APP, directory="other"),
            evolve(APP, runtime="wsgi"),
            evolve(APP, run=Command(("python", "x"))),
            evolve(APP, environment={"A": "1"}),
        )
        self.assertEqual(len({digest_of(app) for app in (APP, *others)}), 5)

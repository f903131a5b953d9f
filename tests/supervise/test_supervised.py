"""
Tests for `hostedge.supervise.supervised` and `hostedge.supervise.daemons` without processes: the
only runtime here cannot launch anything. With processes: `tests.live.test_daemons`.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from attrs import evolve, frozen
from twisted.internet.defer import succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.ipc import Use, Woken
from hostedge.model.site import Account, App
from hostedge.settings import Limits, Settings
from hostedge.supervise.containment import Containment
from hostedge.supervise.daemons import Daemons
from hostedge.supervise.journal import BOOT_ID, Entry, Journal
from hostedge.supervise.launching import unit_of
from hostedge.supervise.placement import Placement
from hostedge.supervise.pressure import Pressure
from hostedge.supervise.remains import UNIT

ME = os.geteuid()


class Unlaunchable:
    """A runtime whose disk is full."""

    word = "none"
    value = object
    launched = 0

    def __init__(self):
        # whose apps were launched, in order
        self.homes = []
        self.error = OSError(28, "No space left on device")

    def launch(self, value, app, home):
        self.launched += 1
        self.homes.append(home.name)
        raise self.error

    def capacity(self, value):
        return 1


@frozen
class NoEdges:
    """Nobody has linked yet."""

    def probe(self, edge, app, generation, address, host, held):
        return None

    def quiesce(self, app, generation):
        return succeed(True)

    def moved(self, app, generation, address):
        pass

    def expect(self, app, seconds):
        pass

    def retire(self, app, generation, deadline):
        pass


FULL = "the disk or the quota is full: could not be launched: [Errno 28] No space left on device"


class Case(SynchronousTestCase):
    def setUp(self):
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        self.settings = Settings(folder / "f", folder, folder, limits=Limits(hold_timeout=5.0))
        for each in (self.settings.run / "d", self.settings.journal):
            each.mkdir(parents=True)
        self.clock = Clock()
        self.runtime = Unlaunchable()
        self.sites = {
            f"{account}/{name}": (Account(account), App(name, "none", None))
            for account in ("a", "b")
            for name in ("x", "y")
        }
        self.daemons = Daemons(
            self.clock,
            self.settings,
            self.sites.get,
            NoEdges(),
            [self.runtime],
            self,
            Placement(Containment(self.clock, None), folder),
            places=2,
            random=lambda: 0.5,
            pressure=lambda: self.pressure,
            always_on=lambda: self.always_on,
        )
        self.told = []
        self.pressure = Pressure()
        self.always_on = []

    def tell(self, event, app, generation=0, **facts):
        self.told.append((event, generation, facts))

    def wake(self, name="a/x"):
        return self.daemons.wake(name, "demo.localhost")

    def after(self, seconds):
        self.clock.pump([0.25] * int(seconds * 4))

    def state(self, name="a/x"):
        return {row["app"]: row["state"] for row in self.daemons.describe("", 9)}.get(name, "gone")


class SupervisedTests(Case):
    def test_heldThroughShortPauses(self):
        """
        Who waits is kept while the next try comes before its time is up, and refused when not.
        """
        woken = self.wake()
        self.after(0.25)
        self.assertEqual(self.state(), "BACKOFF")
        self.assertNoResult(woken)
        # tries after 0, 1, 3, 7 seconds; the visitor's five are up before the last one
        self.after(4)
        answer = self.successResultOf(woken)
        self.assertEqual((answer.refusal, answer.retry), ("crash_loop", 4.0))

    def test_refusedUntilTheNextTry(self):
        """
        Who comes when the app was given up is told how long that lasts.
        """
        self.wake()
        self.after(16)
        self.assertEqual(self.state(), "FAILED")
        woken = self.wake()
        self.after(0.25)
        answer = self.successResultOf(woken)
        self.assertEqual(answer.refusal, "crash_loop")
        self.assertTrue(40 < answer.retry < 60, answer)

    def test_noSuchWord(self):
        """
        What no program can be given is a launch that failed, as any other.
        """
        self.runtime.error = ValueError("embedded null byte")
        self.wake()
        self.after(0.25)
        (row,) = self.daemons.describe("", 9)
        self.assertEqual(
            (row["state"], row["reason"]),
            ("BACKOFF", "could not be launched: embedded null byte"),
        )

    def test_why(self):
        """
        The owner is told why nothing could be launched.
        """
        self.wake()
        self.after(0.25)
        [row] = self.daemons.describe("", 9)
        self.assertEqual(row["reason"], FULL)
        self.assertEqual((row["pid"], row["in_flight"]), (0, 0))

    def test_events(self):
        """
        Each step of a failing app is told, with the reasons.
        """
        self.wake()
        self.after(16)
        events = [event for event, _, _ in self.told]
        failure = ["queued", "token", "start_failed", "backoff"]
        self.assertEqual(events, 4 * failure + ["queued", "token", "start_failed", "failed"])
        why = FULL
        self.assertEqual(self.told[0], ("queued", 0, {"waiters": 1, "by": "request"}))
        self.assertEqual(
            self.told[3], ("backoff", 0, {"failures": 1, "seconds": 1.0, "reason": why})
        )
        self.assertEqual(self.told[-1][2]["reason"], why)
        self.assertFalse(self.told[2][2]["expected"])

    def test_cancelled(self):
        """
        Who waits no longer is not answered, and an app nobody waits for comes to rest.
        """
        woken = self.wake()
        woken.addErrback(lambda _: None)
        self.after(0.25)
        woken.cancel()
        self.assertEqual(self.state(), "BACKOFF")
        self.sites.pop("a/x")
        self.daemons.changed(None)
        self.assertEqual(self.state(), "gone")


class DaemonsTests(Case):
    def test_nothingForTheUnwoken(self):
        """
        An app that was never woken is no object here, whatever is said about it.
        """
        self.daemons.ready("a/x", 1)
        self.daemons.failed("a/x", 1, "why")
        self.daemons.activity(0, [Use("a/x", 1, 3, 0.0)])
        self.daemons.changed(None)
        self.daemons.edge_came()
        self.daemons.edge_gone(0)
        self.assertEqual(self.daemons.restart("a/x"), "")
        self.assertEqual(self.daemons.describe("", 9), [])

    def test_refusals(self):
        """
        Unknown apps, unknown runtimes and suspended accounts are refused at once.
        """
        account, app = self.sites["a/x"]
        self.sites["a/z"] = account, evolve(app, runtime="cobol")
        self.sites["b/x"] = evolve(self.sites["b/x"][0], suspended=True), app
        for name, refusal in (
            ("a/nothing", "not_configured"),
            ("a/z", "not_configured"),
            ("b/x", "suspended"),
        ):
            self.assertEqual(self.successResultOf(self.wake(name)), Woken(refusal=refusal))
        self.assertEqual(self.daemons.restart("a/nothing"), "not_configured")
        self.assertEqual(self.daemons.restart("b/x"), "suspended")

    def test_oneStartOfAnAccount(self):
        """
        A start that is under way keeps the account's other apps waiting, not other accounts'.
        """
        for name in ("a/x", "a/y", "b/x"):
            self.wake(name)
        states = [self.state(name) for name in ("a/x", "a/y", "b/x")]
        self.assertEqual(states, ["STARTING", "QUEUED", "STARTING"])
        self.assertEqual(self.runtime.launched, 2)
        self.after(0.25)
        self.assertEqual((self.runtime.launched, self.state("a/y")), (3, "BACKOFF"))

    def test_shortOfMemory(self):
        """
        While memory is short nothing starts, and who waited too long leaves the line.
        """
        self.pressure = Pressure(available=0.01)
        woken = self.wake()
        woken.addErrback(lambda _: None)
        self.after(3)
        self.assertEqual((self.state(), self.runtime.launched), ("QUEUED", 0))
        self.pressure = Pressure()
        self.after(1)
        self.assertEqual(self.runtime.launched, 1)
        self.pressure = Pressure(available=0.01)
        self.wake("b/x").addErrback(lambda _: None)
        self.daemons.stop(0.0)
        self.after(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_alwaysOn(self):
        """
        What runs unasked is started when the past is cleared up, within its account's turns.
        """
        self.always_on = ["a/x", "a/y", "b/x", "b/gone"]
        self.daemons.changed(None)
        self.assertEqual(self.daemons.describe("", 9), [])
        self.daemons.adopt()
        states = [self.state(name) for name in ("a/x", "a/y", "b/x", "b/gone")]
        self.assertEqual(states, ["STARTING", "QUEUED", "STARTING", "gone"])
        self.assertEqual(self.told[0][2]["by"], "always_on")

    def test_allAtOnce(self):
        """
        When everything wakes together accounts take turns, whatever the number of their apps.
        """
        for number in range(20):
            for name in "abcdefghij" if number else "a":
                app = f"c{number}/{name}"
                self.sites[app] = Account(f"c{number}"), App(name, "none", None)
        for app in sorted(self.sites):
            self.wake(app)
        busy = [name for name in self.sites if self.state(name) == "STARTING"]
        self.assertEqual(len(busy), 2)
        self.clock.pump([0.0] * 200)
        accounts = {name.partition("/")[0] for name in self.sites}
        # two had their first turn before anybody else had asked
        self.assertEqual(set(self.runtime.homes[: len(accounts) + 2]), accounts)
        self.assertEqual(len(self.runtime.homes), len(self.sites))

    def test_startsOfAnAccount(self):
        """
        An account that may have two starts at a time has them.
        """
        for name in ("a/x", "a/y"):
            self.sites[name] = Account("a", starts=2), self.sites[name][1]
            self.wake(name)
        self.assertEqual([self.state(name) for name in ("a/x", "a/y")], ["STARTING", "STARTING"])

    def test_forgotten(self):
        """
        An app that keeps failing is forgotten when nobody asks for it any more.
        """
        self.wake()
        self.after(16)
        self.assertEqual(self.state(), "FAILED")
        self.after(600)
        self.assertEqual(self.state(), "gone")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_switchedOff(self):
        """
        An app that is switched off while it fails is known as such until it is switched on.
        """
        woken = self.wake()
        self.after(0.25)
        account, app = self.sites["a/x"]
        self.sites["a/x"] = account, evolve(app, enabled=False)
        self.daemons.changed(["app/a/x"])
        self.after(0.25)
        self.assertEqual(self.successResultOf(woken).refusal, "disabled")
        self.assertEqual(self.successResultOf(self.wake()).refusal, "disabled")
        self.assertEqual(self.state(), "DISABLED")
        self.assertEqual(self.daemons.accounts(), {"a"})
        self.sites["a/x"] = account, app
        self.daemons.changed(["app/a/x"])
        self.assertEqual(self.state(), "gone")

    def test_pages(self):
        """
        The apps are given out in order of name, in pieces.
        """
        for name in ("b/x", "a/y", "a/x"):
            self.wake(name)
        first = [row["app"] for row in self.daemons.describe("", 2)]
        self.assertEqual(first, ["a/x", "a/y"])
        self.assertEqual([row["app"] for row in self.daemons.describe("a/y", 2)], ["b/x"])

    def test_otherChanges(self):
        """
        A change of other objects does not touch an app; a change of the app tries it anew.
        """
        self.wake()
        self.after(0.25)
        account, app = self.sites["a/x"]
        self.sites["a/x"] = account, evolve(app, directory="other")
        self.daemons.changed(["app/a/y", "domain/a/x", "account/b"])
        self.assertEqual(self.state(), "BACKOFF")
        self.daemons.changed(["app/a/x"])
        self.assertEqual(self.state(), "STARTING")

    def test_stop(self):
        """
        Whoever waits is refused, nothing is started any more, and the end is told.
        """
        woken = self.wake()
        self.after(0.25)
        stopped = self.daemons.stop(3.0)
        self.successResultOf(stopped)
        self.after(0.25)
        self.assertEqual(self.successResultOf(woken).refusal, "keeper_down")
        self.assertEqual(self.successResultOf(self.wake()).refusal, "keeper_down")
        launched = self.runtime.launched
        self.after(30)
        self.assertEqual(self.runtime.launched, launched)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class AdoptTests(Case):
    """What an earlier keeper has left."""

    def test_leftBehind(self):
        """
        What a daemon that ended without a keeper has started does not live on beside the next one.
        """
        boot = BOOT_ID.read_text().strip()
        Journal(self.settings.journal).write(Entry(boot, "a/x", 7, "unix:/x", "", uid=ME))
        unit = unit_of(self.settings, 7)
        left = subprocess.Popen(["sleep", "60"], env={UNIT: unit})
        other = subprocess.Popen(["sleep", "60"], env={UNIT: unit_of(self.settings, 8)})
        for each in (left, other):
            self.addCleanup(each.wait)
            self.addCleanup(each.kill)
        # it has become what was to be started
        for each in (left, other):
            while b"sleep" not in Path(f"/proc/{each.pid}/cmdline").read_bytes():
                os.sched_yield()
        self.daemons.adopt()
        self.after(1)
        self.assertEqual(left.wait(), -signal.SIGKILL)
        self.assertIsNone(other.poll())

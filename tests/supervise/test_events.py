"""
Tests for `hostedge.supervise.events`.
"""

import json

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise import events
from hostedge.supervise.event import LINE, TEXT
from hostedge.supervise.events import BURST, KEPT, KEPT_BYTES, PATIENCE, WINDOW, Events


class EventsTests(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.clock.advance(1000.5)
        self.written = []
        self.events = Events(self.clock, lambda app, line: self.written.append((app, line)))

    def page(self, after=0, app=""):
        return json.loads(self.events.page(after, app))

    def test_tells(self):
        """
        What is known is told with time and number, what is not known is left out; the file has
        the same line.
        """
        self.events.tell("ready", "a/x", 7, ms=12.5, reason="", exit=None)
        told = {"number": 1000501, "time": 1000.5, "app": "a/x"}
        told |= {"generation": 7, "event": "ready", "ms": 12.5}
        self.assertEqual(self.page(), [told])
        self.assertEqual([(app, json.loads(line)) for app, line in self.written], [("a/x", told)])

    def test_after(self):
        """
        Who knows a number gets what came later, of one app, of an account, or the last so many;
        a number that was never given out begins at the start.
        """
        for app in ("a/x", "a/y", "b/x", "a/x"):
            self.events.tell("queued", app)
        first = self.page()[0]["number"]

        def numbers(*asked):
            return [each["number"] - first for each in self.page(*asked)]

        self.assertEqual(numbers(first), [1, 2, 3])
        self.assertEqual(numbers(first + 3), [])
        self.assertEqual(numbers(first + 50), [0, 1, 2, 3])
        self.assertEqual(numbers(0, "a/x"), [0, 3])
        self.assertEqual(numbers(0, "a/"), [0, 1, 3])
        self.assertEqual(numbers(-1, "a/"), [3])
        self.assertEqual(numbers(-9), [0, 1, 2, 3])

    def test_waits(self):
        """
        Who asks before anything happened is answered when it has, with all of that turn.
        """
        answer = self.events.next(0, "a/x")
        self.events.tell("queued", "b/x")
        self.clock.advance(0)
        self.assertNoResult(answer)
        self.events.tell("queued", "a/x")
        self.events.tell("token", "a/x")
        self.clock.advance(0)
        told = json.loads(self.successResultOf(answer))
        self.assertEqual([each["event"] for each in told], ["queued", "token"])
        at_once = self.successResultOf(self.events.next(0))
        self.assertEqual(len(json.loads(at_once)), 3)
        self.clock.advance(WINDOW)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_waitsNotForEver(self):
        """
        Where nothing happens the answer is empty, for each who asked in turn.
        """
        one = self.events.next(0)
        self.clock.advance(1)
        other = self.events.next(0)
        self.clock.advance(PATIENCE - 1)
        self.assertEqual(self.successResultOf(one), b"[]")
        self.assertNoResult(other)
        self.clock.advance(1)
        self.assertEqual(self.successResultOf(other), b"[]")

    def test_overAndOver(self):
        """
        The same thing is told a few times, then once for the rest of the minute; other apps and
        other reasons are told all the while, and who hears misses nothing.
        """
        heard = []
        self.events.hear(heard.append)
        for number in range(50):
            self.events.tell("backoff", "a/x", number, reason="it died")
        self.events.tell("backoff", "a/x", 60, reason="the disk is full")
        self.events.tell("backoff", "b/x", 61, reason="it died")
        self.assertEqual(len(self.page()), BURST + 2)
        self.clock.advance(WINDOW)
        last = self.page()[-1]
        self.assertEqual((last["generation"], last["count"]), (49, 50 - BURST))
        self.assertEqual(len(heard), 52)
        self.events.tell("backoff", "a/x", 70, reason="it died")
        self.assertEqual(self.page()[-1]["generation"], 70)

    def test_bounded(self):
        """
        Old events make room, by number and by size.
        """
        for number in range(KEPT + 10):
            self.events.tell("queued", f"a/x{number}")
        self.assertEqual(len(self.events._kept), KEPT)
        for number in range(1000):
            self.events.tell("oom", f"b/x{number}", in_flight=["x" * 10_000])
        self.assertLess(len(self.events._kept), 1000)
        self.assertLessEqual(sum(len(k.line) for k in self.events._kept), KEPT_BYTES)
        self.assertLess(len(self.events.page(0)), events.PAGE)

    def test_longFacts(self):
        """
        A reason is cut, and what makes a line too long is left out.
        """
        self.events.tell("oom", "a/x", 1, reason="x" * 1000, in_flight=["y" * LINE], pid=5)
        told = self.page()[0]
        self.assertEqual((len(told["reason"]), told["pid"]), (TEXT, 5))
        self.assertNotIn("in_flight", told)

    def test_deafHearer(self):
        """
        One who hears and fails disturbs neither the teller nor the others.
        """
        heard = []
        self.events.hear(lambda event: 1 / 0)
        self.events.hear(heard.append)
        self.events.tell("queued", "a/x")
        self.assertEqual([each.event for each in heard], ["queued"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

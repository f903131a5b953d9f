"""
Tests for `hostedge.supervise.journey`.
"""

import json

from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise import journey
from hostedge.supervise.event import Event
from hostedge.supervise.journey import Journeys


class JourneyTests(SynchronousTestCase):
    def setUp(self):
        self.said = ["before", "Traceback", "", "ImportError: no"]
        self.ended = []
        self.read = []
        self.journeys = Journeys(lambda app: 7, self.tail, self.note)

    def tail(self, app, offset):
        self.read.append((app, offset))
        return self.said

    def note(self, start, well):
        self.ended.append((start.app, well))

    def tell(self, time, event, generation=0, app="a/x", **facts):
        self.journeys.hear(Event(time, app, generation, event, facts))

    def begin(self):
        self.tell(100.0, "queued", waiters=3, by="request")
        self.tell(100.25, "token")
        self.tell(100.3, "launched", 5, pid=99)

    def test_arrives(self):
        """
        A start that comes up is known with its phases, and nothing of the log is read.
        """
        self.begin()
        self.tell(100.8, "ready", 5)
        last = self.journeys.last("a/x")
        self.assertEqual((last["ok"], last["seconds"], last["generation"]), (True, 0.8, 5))
        self.assertEqual(last["phases"], {"token": 0.25, "fork": 0.05, "first_response": 0.5})
        self.assertEqual((self.ended, self.read), ([("a/x", True)], []))
        self.assertIsNone(self.journeys.failed("a/x"))

    def test_dies(self):
        """
        One that dies is known step by step, with how it ended and what it said since its launch.
        """
        self.begin()
        self.tell(100.5, "exited", 5, exit=3, signal=None, reason="it says no", cause="")
        failed = self.journeys.failed("a/x")
        steps = [(each["step"], each["ms"]) for each in failed["steps"]]
        self.assertEqual(
            steps, [("queued", 0.0), ("token", 250.0), ("launched", 50.0), ("exited", 200.0)]
        )
        self.assertEqual((failed["exit"], failed["signal"], failed["oom"]), (3, None, False))
        self.assertEqual(failed["reason"], "it says no")
        self.assertEqual(failed["stderr"], ["before", "Traceback", "ImportError: no"])
        self.assertEqual(self.read, [("a/x", 7)])
        self.assertEqual(self.ended, [("a/x", False)])
        self.assertFalse(self.journeys.last("a/x")["ok"])

    def test_givenUp(self):
        """
        Why a start was given up is its reason, not the signal that then ended it; another start
        does not have it.
        """
        self.begin()
        self.tell(160.0, "start_timeout", 5, reason="it never listened", cause="not_bound")
        self.tell(160.1, "exited", 5, signal=15, reason="ended by signal 15", expected=True)
        failed = self.journeys.failed("a/x")
        self.assertEqual((failed["reason"], failed["cause"]), ("it never listened", "not_bound"))
        self.assertEqual(failed["signal"], 15)
        self.tell(170.0, "queued")
        self.tell(170.0, "launched", 6)
        self.tell(170.5, "exited", 6, exit=1, reason="other")
        self.assertEqual(self.journeys.failed("a/x")["reason"], "other")

    def test_unwanted(self):
        """
        A start that is ended because nobody wants it any more has not failed; nor has one that
        left the line.
        """
        self.begin()
        self.tell(101.0, "exited", 5, signal=15, expected=True)
        self.tell(102.0, "queued")
        self.tell(107.0, "idle_stop")
        self.tell(108.0, "queued")
        self.tell(108.0, "launched", 6)
        self.tell(109.0, "ready", 6)
        self.assertIsNone(self.journeys.failed("a/x"))
        self.assertEqual(self.journeys.last("a/x")["began"], 108.0)

    def test_neverLaunched(self):
        """
        One that could not be launched at all has said nothing, whatever the log has.
        """
        self.tell(100.0, "queued")
        self.tell(100.1, "start_failed", 5, reason="the disk is full", cause="disk_quota")
        failed = self.journeys.failed("a/x")
        self.assertEqual([each["step"] for each in failed["steps"]], ["queued", "exited"])
        self.assertEqual((failed["generation"], failed["cause"]), (5, "disk_quota"))
        self.assertEqual(self.read, [("a/x", 7)])

        self.tell(110.0, "queued")
        self.tell(110.1, "exited", 6, pid=0, reason="no such folder")
        self.assertEqual(self.journeys.failed("a/x")["reason"], "no such folder")

    def test_killedForMemory(self):
        """
        That memory ran out on the way is said beside the reason of the end.
        """
        self.begin()
        self.tell(101.0, "oom", 5, kills=1)
        self.tell(101.1, "exited", 5, pid=99, exit=1, reason="no module", cause="x")
        failed = self.journeys.failed("a/x")
        self.assertEqual((failed["oom"], failed["cause"]), (True, "x"))
        self.assertEqual(failed["reason"], "no module")

    def test_leftTheLine(self):
        """
        What waited and was given up is no part of the next start.
        """
        self.tell(100.0, "queued")
        self.tell(101.0, "token")
        self.tell(200.0, "queued")
        self.tell(200.5, "launched", 6)
        self.tell(201.0, "ready", 6)
        self.assertEqual(self.journeys.last("a/x")["seconds"], 1.0)
        self.assertEqual(self.journeys._under_way, {})

    def test_otherGenerations(self):
        """
        What happens to the generation that still serves is no step of the next one's start.
        """
        self.begin()
        self.tell(100.4, "exited", 4, signal=15, expected=True)
        self.tell(100.4, "exited", 9, app="b/x")
        self.tell(100.8, "ready", 5)
        self.assertEqual(self.journeys.last("a/x")["seconds"], 0.8)

    def test_bounded(self):
        """
        So many apps are kept and no more; what is sent of one fits a message, whatever it said.
        """
        self.said = ["\U0001f4a5" * 70_000] * 30
        for number in range(journey.KEPT + 5):
            self.tell(1.0, "launched", number + 1, app=f"a/x{number}")
            self.tell(2.0, "exited", number + 1, app=f"a/x{number}", exit=1)
        self.assertEqual(len(self.journeys._failed), journey.KEPT)
        self.assertIsNone(self.journeys.failed("a/x0"))
        self.assertEqual(self.journeys._under_way, {})
        last = self.journeys.failed(f"a/x{journey.KEPT}")
        self.assertLess(len(json.dumps(last)), 64_000)
        self.assertEqual(len(last["stderr"]), 3)

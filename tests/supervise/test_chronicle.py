"""
Tests for `hostedge.supervise.chronicle`.
"""

import json
import shutil
import tempfile
from pathlib import Path

from twisted.internet.defer import Deferred, execute, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise.chronicle import NAMED, SETTLED, Chronicle
from hostedge.supervise.logs import app_log


class ChronicleTests(SynchronousTestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.clock = Clock()
        self.asked = []
        self.chronicle = Chronicle(self.clock, self.folder, execute, self.in_flight)
        self.addCleanup(self.chronicle.stop)

    def in_flight(self, app, generation):
        self.asked.append((app, generation))
        self.answer = Deferred()
        return self.answer

    def events(self):
        return json.loads(self.chronicle.page(0))

    def test_failedStart(self):
        """
        Of a start that failed all is there: events, the file, the journey with the log's last
        words since the launch, counts.
        """
        log = app_log(self.folder, "a", "x")
        log.parent.mkdir(parents=True)
        log.write_text("of another start\n")
        self.chronicle.tell("queued", "a/x", waiters=1, by="request")
        self.chronicle.tell("launched", "a/x", 3, pid=9)
        with log.open("a") as said:
            said.write("oh no\n")
        self.chronicle.tell("exited", "a/x", 3, exit=1, reason="exit status 1: oh no")
        self.assertEqual([e["event"] for e in self.events()], ["queued", "launched", "exited"])
        written = (log.parent / "x.events").read_text().splitlines()
        self.assertEqual([json.loads(line) for line in written], self.events())
        self.assertEqual(self.chronicle.failed("a/x")["stderr"], ["oh no"])
        self.assertIsNone(self.chronicle.failed("a/y"))
        described = self.chronicle.described({"app": "a/x", "state": "BACKOFF"})
        self.assertEqual((described["state"], described["start"]["ok"]), ("BACKOFF", False))
        counts = self.chronicle.counts()
        self.assertEqual(counts["starts"]["failed"], 1)
        self.assertEqual(counts["logs"]["events_dropped"], 0)

    def test_killedForMemory(self):
        """
        Edges are asked what it worked on, once they know of its end; no more than some requests
        are named.
        """
        self.chronicle.tell("oom", "a/x", 3, pid=9)
        self.assertEqual((self.asked, self.events()), ([], []))
        self.clock.advance(SETTLED)
        self.assertEqual(self.asked, [("a/x", 3)])
        self.answer.callback([{"path": f"/{n}"} for n in range(NAMED + 5)])
        [told] = self.events()
        self.assertEqual((told["event"], told["pid"]), ("oom", 9))
        self.assertEqual(len(told["in_flight"]), NAMED)
        self.chronicle.tell("oom", "a/x", 4, in_flight=[])
        self.assertEqual(len(self.events()), 2)

    def test_nobodyKnows(self):
        """
        Where edges cannot be asked, the log says so, and it is told all the same.
        """
        chronicle = Chronicle(self.clock, self.folder, execute, lambda *_: fail(ValueError()))
        chronicle.tell("oom", "a/x", 3)
        self.clock.advance(SETTLED)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.assertEqual(json.loads(chronicle.page(0))[0]["in_flight"], [])

"""What `hostedge.observe.failures` lets through to the log."""

from __future__ import annotations

import io

from twisted.internet.task import Clock
from twisted.logger import LegacyLogObserverWrapper, LogEvent, Logger, LogPublisher
from twisted.python.log import FileLogObserver
from twisted.trial.unittest import SynchronousTestCase

from hostedge.observe.counters import make_counters
from hostedge.observe.failures import PLACES, Failures


class FailuresTests(SynchronousTestCase):
    """A log as an edge has it: Twisted's lines of text behind it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.counters = make_counters()
        self.file = io.StringIO()
        writing = LegacyLogObserverWrapper(FileLogObserver(self.file).emit)
        failures = Failures(writing, self.clock.seconds, self.counters)
        self.log = Logger("edge", observer=LogPublisher(failures))

    def fail(self, format: str = "request {id} failed", **fields: object) -> None:
        try:
            raise OSError(24, "Too many open files")
        except OSError:
            self.log.failure(format, **fields)

    def written(self) -> str:
        text = self.file.getvalue()
        self.file.seek(0)
        self.file.truncate()
        return text

    def test_flood(self) -> None:
        """Of two hundred at once one is written, whole; all are counted, the next one says it."""
        for number in range(200):
            self.fail(id=number)
        text = self.written()
        self.assertEqual(text.count("Traceback"), 1)
        self.assertIn("request 0 failed", text)
        self.assertIn("Too many open files", text)
        self.assertEqual(self.counters["failures"], 200)
        self.clock.advance(1.0)
        self.fail(id=200)
        text = self.written()
        self.assertIn("request 200 failed (199 more like it before this)", text)
        self.clock.advance(1.0)
        self.fail(id=201)
        self.assertNotIn("more like it", self.written())

    def test_places(self) -> None:
        """What fails elsewhere is written though here it is a flood."""
        for _ in range(3):
            self.fail(id=1)
            self.fail("{selectable} failed", selectable="a socket")
        text = self.written()
        self.assertEqual(text.count("Traceback"), 2)
        self.assertIn("a socket failed", text)

    def test_others(self) -> None:
        """What is no failure passes, as often as it comes."""
        for _ in range(5):
            self.log.info("step {step}", step="calm")
        self.assertEqual(self.written().count("step calm"), 5)
        self.assertEqual(self.counters["failures"], 0)

    def test_shared(self) -> None:
        """The event that others get as well is left as it was."""
        kept: list[LogEvent] = []
        self.log = Logger(
            "edge",
            observer=LogPublisher(kept.append, Failures(kept.append, lambda: 1.0, self.counters)),
        )
        self.fail()
        self.fail()
        self.assertEqual([event["log_format"] for event in kept], ["request {id} failed"] * 3)

    def test_bounded(self) -> None:
        """Texts that are put together at run time take no more room than there is for places."""
        for number in range(3 * PLACES):
            self.fail(f"number {number}")
        self.assertEqual(self.written().count("Traceback"), PLACES + 1)
        self.assertEqual(self.counters["failures"], 3 * PLACES)

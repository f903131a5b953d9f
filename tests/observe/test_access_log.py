"""Lines of the access log, and the file they end in."""

from __future__ import annotations

import json
import os
from pathlib import Path

from attrs import define, evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.observe.access_log import FLUSH_EVERY, LOOK_EVERY, MAX_PATH, AccessLog, format_line
from hostedge.observe.counters import make_counters


@define
class Ended:
    """An exchange that has ended."""

    method: bytes = b"GET"
    target: bytes = b"/a?b=1"
    query: bytes | None = b"b=1"
    host: str = "demo.localhost"
    scheme: bytes = b"https"
    protocol: str = "HTTP/2"
    client: str = "127.0.0.1"
    id: str = "the-id"
    revision: int = 7
    upstream: str = "demo/hello#1"
    queued: float = 0.0
    connected: float = 0.0
    first_byte: float = 0.002
    status: int = 200
    sent: int = 1024
    total: float = 0.0025
    cause: str = ""
    complete: bool = True
    whole: bool = True


class LineTests(SynchronousTestCase):
    """What a line says."""

    def test_line(self) -> None:
        """All that is known of a request is in one object."""
        said = json.loads(format_line(Ended(), 1_700_000_000.25))
        self.assertEqual(said["time"], "2023-11-14T22:13:20.250Z")
        self.assertEqual((said["path"], said["query"]), ("/a", "b=1"))
        self.assertEqual(said["seconds"]["total"], 0.0025)
        self.assertEqual((said["status"], said["bytes"], said["revision"]), (200, 1024, 7))
        self.assertEqual((said["protocol"], said["state"]), ("HTTP/2", "--"))
        self.assertNotIn("whole", said)

    def test_refusedAndBroken(self) -> None:
        """A refusal names its cause; an answer that was broken off says so."""
        said = json.loads(format_line(Ended(cause="queue_full", whole=False), 0.0))
        self.assertEqual((said["cause"], said["whole"]), ("queue_full", False))
        self.assertEqual(said["state"], "RQ")

    @given(st.binary(max_size=3000))
    def test_noInjection(self, target: bytes) -> None:
        """Whatever a client sends, it is one line of valid JSON, and no path passes the cap."""
        line = format_line(Ended(target=target), 0.0)
        self.assertEqual(line.count("\n"), 1)
        self.assertTrue(line.isascii())
        self.assertLessEqual(len(json.loads(line)["path"]), MAX_PATH)


class AccessLogTests(SynchronousTestCase):
    """The file."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.clock = Clock()
        self.counters = make_counters()
        self.log = AccessLog(self.path, self.clock, self.counters)
        self.addCleanup(self.log.close)

    def test_batched(self) -> None:
        """Lines are written together, at the latest after a fifth of a second."""
        for _ in range(3):
            self.log.record(Ended())
        self.assertFalse(self.path.exists())
        self.clock.advance(FLUSH_EVERY)
        self.assertEqual(self.path.read_text().count("\n"), 3)

    def test_muchIsWrittenAtOnce(self) -> None:
        """A full batch does not wait."""
        for _ in range(400):
            self.log.record(Ended())
        self.assertGreater(self.path.stat().st_size, 65536)

    def test_rotation(self) -> None:
        """After a rename the next lines go to a new file."""
        self.log.record(Ended())
        self.clock.advance(FLUSH_EVERY)
        os.rename(self.path, f"{self.path}.1")
        self.clock.advance(LOOK_EVERY)
        self.log.record(evolve(Ended(), id="second"))
        self.clock.advance(FLUSH_EVERY)
        self.assertIn('"second"', self.path.read_text())

    def test_whatCannotBeWrittenIsCounted(self) -> None:
        """A path that cannot be opened, or a full disk, costs lines and nothing else."""
        for path in (self.path / "no" / "such", Path("/dev/full")):
            counters = make_counters()
            log = AccessLog(path, self.clock, counters)
            log.record(Ended())
            log.record(Ended())
            log.close()
            self.assertEqual(counters["access_log_lost"], 2)

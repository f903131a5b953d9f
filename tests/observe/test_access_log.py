"""Lines of the access log, and the file they end in."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import cast, get_args

from attrs import define, evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.answering import Answering
from hostedge.http.exchange import Part
from hostedge.http.h1_exchange import H1Exchange
from hostedge.http.h2_exchange import H2Exchange
from hostedge.observe.access_log import (
    FLUSH_EVERY,
    LOOK_EVERY,
    MAX_PATH,
    PARTS,
    SAMPLE_EVERY,
    SAMPLED,
    AccessLog,
    format_line,
)
from hostedge.observe.counters import make_counters
from tests.http.h2_parts import H2Scene, frame, request
from tests.http.parts import EchoLeaf, Scene, Waiting


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
    retries: int = 0
    spent: dict[str, float] | None = None
    first_byte: float = 0.002
    status: int = 200
    sent: int = 1024
    received: int = 0
    total: float = 0.0025
    cause: str = ""
    complete: bool = True
    whole: bool = True
    trace: bytes = b""
    turned_away: bool = False


class LineTests(SynchronousTestCase):
    """What a line says."""

    def test_line(self) -> None:
        """All that is known of a request is in one object."""
        said = json.loads(format_line(Ended(), 1_700_000_000.25))
        self.assertEqual(said["time"], "2023-11-14T22:13:20.250Z")
        self.assertEqual((said["path"], said["query"]), ("/a", "b=1"))
        self.assertEqual(
            said["seconds"],
            {
                "total": 0.0025,
                "first_byte": 0.002,
            },
        )
        self.assertEqual(said["attempts"], 1)
        self.assertNotIn("received", said)
        self.assertEqual(json.loads(format_line(Ended(received=7), 0.0))["received"], 7)
        self.assertEqual((said["status"], said["bytes"], said["revision"]), (200, 1024, 7))
        self.assertEqual((said["protocol"], said["state"]), ("HTTP/2", "--"))
        self.assertNotIn("whole", said)
        self.assertNotIn("trace", said)
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        lines = f"\r\ntraceparent: 00-{trace}-00f067aa0ba902b7-01\r\ntracestate: a=b-c".encode()
        self.assertEqual(json.loads(format_line(Ended(trace=lines), 0.0))["trace"], trace)

    def test_timings(self) -> None:
        """Each part of a request's time stands by itself, whichever of the others there are."""
        whole = {part: 0.001 * place for place, part in enumerate(PARTS, 1)}
        times = json.loads(format_line(Ended(spent=whole), 0.0))["seconds"]
        self.assertEqual(times, {"total": 0.0025, "first_byte": 0.002, **whole})
        for part in PARTS:
            times = json.loads(format_line(Ended(spent={part: 1.5}), 0.0))["seconds"]
            self.assertEqual((times[part], sum(times.values())), (1.5, 1.5 + 0.0045))
        self.assertEqual(PARTS, get_args(Part))

    def test_attempts(self) -> None:
        """What was sent once more says so; what went nowhere was not tried."""
        for ended, attempts in (
            (Ended(), 1),
            (Ended(retries=2), 3),
            (Ended(upstream=""), 0),
            (Ended(upstream="", retries=1), 2),
        ):
            self.assertEqual(json.loads(format_line(ended, 0.0))["attempts"], attempts)

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


class Still:
    """A producer that has nothing to say."""

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def stopProducing(self) -> None: ...


class TimesTests(SynchronousTestCase):
    """What the protocols measure of a request."""

    def test_http1(self) -> None:
        """A head and a body that come in pieces take time; what comes at once takes none."""
        leaf = EchoLeaf()
        scene = Scene(lambda exchange: leaf)
        protocol, _ = scene.connect()
        protocol.handshake = 0.25
        pieces = (
            *(b"POST / HTTP/1.1\r\nHo", b"st: a.test\r\nContent-Length: 4\r\n\r\n", b"bo", b"dy"),
            b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\nGET /b HTT",
            b"P/1.1\r\nHost: a.test\r\n\r\n",
        )
        for piece in pieces:
            protocol.dataReceived(piece)
        first, second, third, fourth = (cast(H1Exchange, each) for each in scene.recorded)
        assert first.spent is not None and fourth.spent is not None
        self.assertEqual(list(first.spent), ["tls", "header", "body"])
        self.assertGreater(min(first.spent.values()), 0)
        self.assertEqual((first.spent["tls"], first.received), (0.25, 4))
        for each in (second, third):
            self.assertEqual((each.spent, each.received), (None, 0))
        self.assertEqual(list(fourth.spent), ["header"])

    def test_http2(self) -> None:
        """The same, by streams."""
        leaf = EchoLeaf()
        scene = H2Scene(lambda exchange: leaf)
        protocol = scene.meet()[0]
        protocol.handshake = 0.25
        head = request(1, "POST", "/", end=False)
        for piece in (head[:12], head[12:], frame("DATA", 0, 1, b"bo"), frame("DATA", 1, 1, b"dy")):
            protocol.dataReceived(piece)
        protocol.dataReceived(request(3, "GET", "/") + request(5, "GET", "/"))
        first, second, third = (cast(H2Exchange, each) for each in scene.recorded)
        assert first.spent is not None
        self.assertEqual(list(first.spent), ["tls", "header", "body"])
        self.assertGreater(min(first.spent.values()), 0)
        self.assertEqual((first.spent["tls"], first.received), (0.25, 4))
        for each in (second, third):
            self.assertIsNone(each.spent)

    def test_inPieces(self) -> None:
        """An answer that comes in pieces takes time of its own, by either protocol."""
        leaf = Waiting()
        first = Scene(leaf)
        first.connect()[0].dataReceived(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        second = H2Scene(leaf)
        second.meet()[0].dataReceived(request(1, "GET", "/"))
        for exchange in leaf.exchanges:
            exchange.begin(200, [], None)
            exchange.register_producer(Still())
            exchange.write(b"x")
            exchange.finish()
        for scene in (first, second):
            line = cast(Answering, scene.recorded[0])
            assert line.spent is not None
            self.assertGreater(line.spent["answer"], 0)
            self.assertLessEqual(line.spent["answer"], line.total)


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

    def test_floodsAreSampled(self) -> None:
        """
        Of a thousand that ask for names that nobody has one is written, and later one that says how
        many it stands for; what else is asked meanwhile has its lines, and each cause its own.
        """
        for cause in sorted(SAMPLED):
            for number in range(1000):
                self.log.record(evolve(Ended(), host=f"{number}.test", cause=cause))
        self.log.record(Ended())
        for _ in range(3):
            self.log.record(evolve(Ended(), cause="queue_full"))
        self.clock.advance(SAMPLE_EVERY)
        self.log.record(evolve(Ended(), host="last.test", cause="unknown_host"))
        self.log.flush()
        lines = [json.loads(line) for line in self.path.read_text().splitlines()]
        self.assertEqual(
            [line.get("cause", "") for line in lines],
            [*sorted(SAMPLED), "", *["queue_full"] * 3, "unknown_host"],
        )
        self.assertEqual([line.get("omitted", 0) for line in lines], [0] * (len(lines) - 1) + [999])
        self.assertEqual(self.counters["access_log_omitted"], 999 * len(SAMPLED))

    def test_headsThatAreRefused(self) -> None:
        """
        Heads that are refused as such are sampled like that, by their cause; the same cause of a
        request that got further has all its lines. What has no request line has none here.
        """
        refused = Ended(status=400, cause="bad_path", turned_away=True)
        for _ in range(10):
            self.log.record(refused)
            self.log.record(evolve(refused, cause="method"))
            self.log.record(evolve(refused, method=b"", cause="bad_request"))
        for _ in range(2):
            self.log.record(evolve(refused, turned_away=False))
        self.clock.advance(SAMPLE_EVERY)
        self.log.record(refused)
        self.log.flush()
        lines = [json.loads(line) for line in self.path.read_text().splitlines()]
        self.assertEqual(
            [(line["cause"], line.get("omitted", 0)) for line in lines],
            [("bad_path", 0), ("method", 0), *[("bad_path", 0)] * 2, ("bad_path", 9)],
        )
        self.assertEqual(self.counters["access_log_omitted"], 18)

    @given(st.binary(min_size=1, max_size=40))
    def test_anyMethod(self, method: bytes) -> None:
        """A method that nobody knows is told as one string of valid JSON."""
        line = format_line(Ended(method=method, turned_away=True), 0.0)
        self.assertEqual(json.loads(line)["method"].encode("latin-1"), method)
        self.assertEqual(line.count("\n"), 1)

    def test_clockThatIsSetBack(self) -> None:
        """A clock that goes back silences nobody."""
        self.clock.advance(100)
        self.log.record(evolve(Ended(), cause="source_busy"))
        self.clock.rightNow -= 50
        self.log.record(evolve(Ended(), cause="source_busy"))
        self.log.flush()
        self.assertEqual(self.path.read_text().count("\n"), 2)

    def test_whatCannotBeWrittenIsCounted(self) -> None:
        """A path that cannot be opened, or a full disk, costs lines and nothing else."""
        for path in (self.path / "no" / "such", Path("/dev/full")):
            counters = make_counters()
            log = AccessLog(path, self.clock, counters)
            log.record(Ended())
            log.record(Ended())
            log.close()
            self.assertEqual(counters["access_log_lost"], 2)

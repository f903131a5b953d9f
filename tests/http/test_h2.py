"""A client's HTTP/2 connection: case files at every split, windows, time, limits, ends."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.client import LINGER, LINGER_SIZE
from hostedge.http.exchange import Exchange, Leaf
from hostedge.http.h2 import FAREWELL, MAX_UNSENT
from hostedge.http.h2_engine import CONNECTION_WINDOW, FIRST_WINDOW, GOODBYE, WINDOW
from hostedge.http.h2_outflow import MOST_WAITING
from hostedge.wire.h2_frame import MAX_CONCURRENT_STREAMS
from tests.http.h2_parts import (
    HELLO,
    PREFACE,
    H2Scene,
    Heard,
    asked,
    block,
    frame,
    read_case,
    request,
)
from tests.http.parts import EchoLeaf, Waiting, with_limits

CASES = Path(__file__).parent.parent / "cases" / "h2"
# inputs of so many bytes are cut at some positions
LONG = 1500


class Forked:
    """A router: what is asked for below `/wait` is answered never, all else at once."""

    def __init__(self) -> None:
        self.echo = EchoLeaf()
        self.waiting = Waiting()

    def __call__(self, exchange: Exchange) -> Leaf:
        return self.waiting if exchange.path == b"/wait" else self.echo

    @property
    def reached(self) -> int:
        return len(self.echo.exchanges) + len(self.waiting.exchanges)


def _shut() -> bytes:
    """Settings of a client whose windows are shut."""
    return frame("SETTINGS", 0, 0, b"\0\4" + bytes(4))


class CaseTests(SynchronousTestCase):
    """Each file is one input and what has to come of it."""

    def outcome(self, pieces: list[bytes]) -> tuple[list[str], dict[str, int], int]:
        router = Forked()
        scene = H2Scene(router)
        struck: list[str] = []
        scene.entrance.strike = struck.append
        protocol, client, heard = scene.meet(b"")
        for piece in pieces:
            protocol.dataReceived(piece)
        scene.hear(client, heard)
        self.assertEqual(client.ended, bool(heard.goodbyes))
        # a line for each answer, also to what is refused for its head
        statuses = [each[-1] for each in heard.statuses.values() if each[-1] >= 200]
        logged = [each for each in scene.recorded if each.begun]  # type: ignore[attr-defined]
        self.assertEqual(sorted(each.status for each in logged), sorted(statuses))  # type: ignore[attr-defined]
        counters = scene.changed_counters()
        kinds = [counters.pop(name) for name in list(counters) if name.startswith("h2_flood_")]
        self.assertEqual(sum(kinds), counters.get("h2_floods", 0))
        del counters["http_connections"], counters["h2_connections"]
        # floods, and nothing else, are held against their source
        self.assertEqual(struck, [protocol.client] * counters.get("h2_floods", 0))
        return heard.words(), counters, router.reached

    @staticmethod
    def faults(counters: dict[str, int]) -> dict[str, int]:
        """Without what depends on what else comes in the same breath."""
        others = ("http_requests", "h2_cancelled", "h2_refused_streams", "http_client_gone")
        return {name: count for name, count in counters.items() if name not in others}

    @staticmethod
    def cuts(raw: bytes) -> list[int]:
        """Every position; of long inputs those around some of the borders of frames."""
        if len(raw) < LONG:
            return list(range(1, len(raw)))
        borders, at = [], 24 if raw.startswith(b"PRI") else 0
        while at < len(raw):
            borders.append(at)
            at += 9 + int.from_bytes(raw[at : at + 3], "big")
        some = (*borders[:10], *borders[:: len(borders) // 10 + 1], *borders[-10:])
        around = {border + by for border in some for by in range(-10, 11)}
        return sorted(cut for cut in around if 0 < cut < len(raw))

    def test_cases(self) -> None:
        """In one piece and cut at every position, a case has its outcome; a fault counts once."""
        paths = sorted(CASES.glob("*.case"))
        self.assertGreater(len(paths), 140)
        for path in paths:
            raw, (*wanted, names) = read_case(path)
            words, counters, reached = self.outcome([raw])
            self.assertEqual(words, wanted, path.name)
            self.assertEqual(sorted(counters), names.split()[1:], path.name)
            faults = self.faults(counters)
            self.assertLessEqual(sum(faults.values()), 1, path.name)
            # what was reset in the same breath has reached nobody
            came = counters.get("http_requests", 0) - counters.get("h2_cancelled", 0)
            # nor what asks for a WebSocket where there are none, or announces too much
            for unseen in ("refused_protocol", "refused_too_large"):
                came -= len({"http_requests", unseen} & counters.keys()) // 2
            self.assertEqual(reached, came, path.name)
            bytewise = [raw[i : i + 1] for i in range(len(raw))]
            for pieces in (bytewise, *([raw[:cut], raw[cut:]] for cut in self.cuts(raw))):
                got, counters, _ = self.outcome(pieces)
                self.assertEqual(got, wanted, (path.name, len(pieces[0])))
                self.assertEqual(self.faults(counters), faults, (path.name, len(pieces[0])))
        self.assertEqual(self.flushLoggedErrors(), [])


class ConnectionTests(SynchronousTestCase):
    """One connection, step by step."""

    def setUp(self) -> None:
        self.leaf = Waiting()
        self.scene = H2Scene(self.leaf)
        self.protocol, self.client, self.heard = self.scene.meet()

    def tell(self, *frames: bytes) -> list[tuple[str, int, int, bytes]]:
        self.protocol.dataReceived(b"".join(frames))
        return self.scene.hear(self.client, self.heard)

    def hear(self) -> list[tuple[str, int, int, bytes]]:
        return self.scene.hear(self.client, self.heard)

    # answers

    def test_oneWriteForATurn(self) -> None:
        """All that comes of one read leaves in one write, also for many streams."""
        writes: list[bytes] = []
        self.client.write = writes.append  # type: ignore[method-assign]
        self.leaf.answer = lambda exchange: exchange.respond(200, [], b"ok")  # type: ignore[method-assign]
        self.protocol.dataReceived(b"".join(request(n) for n in (1, 3, 5)))
        self.assertEqual(len(writes), 1)
        self.heard.take(writes[0])
        self.assertEqual(self.heard.bodies, {1: b"ok", 3: b"ok", 5: b"ok"})

    def test_answersInAnyOrder(self) -> None:
        """A request that waits holds up no other one."""
        self.tell(request(1), request(3))
        first, second = self.leaf.exchanges
        second.respond(200, [(b"X-Upper", b"Kept")], b"second")
        self.hear()
        self.assertEqual((self.heard.bodies, self.heard.ended), ({3: b"second"}, {3}))
        self.assertIn((b"x-upper", b"Kept"), self.heard.fields[3])
        first.respond(404, [], b"first")
        self.hear()
        self.assertEqual(self.heard.words(), ["1 404 first", "3 200 second"])
        self.assertEqual([each.status for each in self.scene.recorded], [200, 404])  # type: ignore[attr-defined]

    def test_headHasNoBody(self) -> None:
        """HEAD, 204 and 304 end with their heads; a length is said only for HEAD."""
        self.tell(request(1, "HEAD"), request(3), request(5))
        head, nothing, same = self.leaf.exchanges
        head.respond(200, [], b"not sent")
        nothing.respond(204, [], b"")
        same.begin(304, [], None)
        same.finish()
        frames = self.hear()
        self.assertEqual([kind for kind, *_ in frames], ["HEADERS"] * 3)
        self.assertEqual(self.heard.ended, {1, 3, 5})
        self.assertIn((b"content-length", b"8"), self.heard.fields[1])
        self.assertNotIn(b"content-length", dict(self.heard.fields[3]))

    def test_headOfAStreamLeavesFirst(self) -> None:
        """An empty piece sends the head alone; the end comes by itself if nothing was said."""
        self.tell(request(1))
        (exchange,) = self.leaf.exchanges
        exchange.begin(200, [], None)
        exchange.write(b"")
        self.assertEqual([f[:2] for f in self.hear()], [("HEADERS", 0x4)])
        exchange.write(b"event")
        exchange.write(b"")
        self.assertEqual([f[:2] for f in self.hear()], [("DATA", 0)])
        exchange.finish()
        self.assertEqual(self.hear(), [("DATA", 1, 1, b"")])

    def test_promisedLengthEndsTheStream(self) -> None:
        """The last promised byte carries the end, and one more is an abort of the stream."""
        self.tell(request(1), request(3), request(5))
        for exchange, size in zip(self.leaf.exchanges, (3, 2, 4), strict=True):
            exchange.begin(200, [], 3)
            exchange.write(b"x" * size)
            exchange.finish()
        self.hear()
        self.assertEqual((self.heard.ended, self.heard.reset[3]), ({1}, "INTERNAL_ERROR"))
        self.assertEqual(self.heard.reset[5], "INTERNAL_ERROR")
        self.assertEqual(self.scene.counters["http_aborted"], 2)
        self.assertTrue(self.client.connected)

    def test_largeAnswerHead(self) -> None:
        """A head over one frame goes on in others, and nothing comes between."""
        self.tell(request(1), request(3))
        for exchange in self.leaf.exchanges:
            exchange.respond(200, [(b"x", b"y" * 40_000)], b"ok")
        kinds = [kind for kind, *_ in self.hear()]
        self.assertEqual(kinds, ["HEADERS", "CONTINUATION", "CONTINUATION", "DATA"] * 2)
        self.assertIn((b"x", b"y" * 40_000), self.heard.fields[3])

    def test_tableOfAClientThatHasNone(self) -> None:
        """A client that takes no table is told that there is none, once."""
        self.tell(frame("SETTINGS", 0, 0, bytes.fromhex("000100000000")))
        self.heard.decoder.max_allowed_table_size = 0
        for number in (1, 3):
            self.tell(request(number))
            self.leaf.exchanges[-1].respond(200, [], b"ok")
            payload = self.hear()[0][3]
            self.assertEqual(payload[:1] == b"\x20", number == 1)

    def test_earlyAnswer(self) -> None:
        """An answer to half a request is whole; the rest is not wanted and nobody is blamed."""
        self.tell(request(1, "POST", end=False), frame("DATA", 0, 1, b"x" * 100))
        self.leaf.exchanges[0].respond(403, [], b"no")
        frames = self.hear()
        self.assertEqual([f[0] for f in frames], ["HEADERS", "DATA", "RST_STREAM"])
        self.assertEqual(self.heard.reset, {1: "NO_ERROR"})
        # still on its way
        self.tell(frame("DATA", 0, 1, b"y" * 100), frame("DATA", 1, 1, b"z"), request(3))
        self.assertEqual((len(self.leaf.exchanges), self.heard.goodbyes), (2, []))

    def test_expectation(self) -> None:
        """100 is sent when the body is wanted, not before, and not after the answer has begun."""
        post = block(asked("POST", "/", ("expect", "100-continue"), ("content-length", "2")))
        self.leaf.answer = self.leaf.exchanges.append  # type: ignore[method-assign]
        self.tell(frame("HEADERS", 0x4, 1, post), frame("HEADERS", 0x4, 3, post))
        self.assertEqual(self.heard.statuses, {})
        first, second = self.leaf.exchanges
        first.pause_body()
        first.receive(self.leaf)
        self.assertEqual(self.hear(), [])
        first.resume_body()
        second.respond(200, [], b"")
        self.hear()
        self.assertEqual(self.heard.statuses, {1: [100], 3: [200]})
        self.tell(frame("DATA", 1, 1, b"ab"))
        self.assertEqual(self.leaf.heard, [b"ab", "end"])

    def test_routerThatFails(self) -> None:
        """A fault of ours is 500 for one stream, a line in the log, and nothing to the others."""
        self.scene.entrance.router = lambda exchange: {}[1] if exchange.path == b"/b" else self.leaf  # type: ignore[assignment,return-value,index]
        self.tell(request(1, "GET", "/b"), request(3))
        self.assertEqual(self.heard.words(), ["1 500 internal"])
        self.assertEqual((len(self.leaf.exchanges), len(self.flushLoggedErrors(KeyError))), (1, 1))

    # bodies of requests

    def test_bodyWaitsForItsReader(self) -> None:
        """Windows open as the leaf reads; what it does not read stays within the first window."""
        self.leaf.answer = self.leaf.exchanges.append  # type: ignore[method-assign]
        self.tell(request(1, "POST", end=False))
        piece = b"x" * 16_384
        sent = 0
        while sent + len(piece) <= FIRST_WINDOW:
            self.tell(frame("DATA", 0, 1, piece))
            sent += len(piece)
        self.assertEqual((self.heard.updates.get(1), self.heard.updates[0]), (None, 983_041))
        (exchange,) = self.leaf.exchanges
        exchange.receive(self.leaf)
        self.hear()
        self.assertEqual(self.leaf.heard, [piece * 3])
        # it is read, so more may be on its way
        self.assertEqual(self.heard.updates[1], 3 * 16_384 + WINDOW - FIRST_WINDOW)

    def test_connectionWindowGrowsBack(self) -> None:
        """A body larger than all windows arrives, piece by piece, and nothing is lost."""
        self.tell(request(1, "POST", end=False))
        room = {0: CONNECTION_WINDOW, 1: FIRST_WINDOW}
        self.heard.updates = {}
        for _ in range(300):
            self.assertGreaterEqual(min(room.values()), 10_000)
            self.tell(frame("DATA", 0, 1, b"x" * 10_000))
            for key in room:
                room[key] += self.heard.updates.pop(key, 0) - 10_000
        self.tell(frame("DATA", 1, 1))
        self.assertEqual((len(self.leaf.heard), self.leaf.heard[-1]), (301, "end"))

    def test_overrunWindow(self) -> None:
        """A stream over its window is reset; the others go on."""
        self.leaf.answer = self.leaf.exchanges.append  # type: ignore[method-assign]
        self.tell(request(1, "POST", end=False), request(3))
        self.tell(*[frame("DATA", 0, 1, b"x" * 16_384)] * 4)
        self.assertEqual(self.heard.reset, {1: "FLOW_CONTROL_ERROR"})
        self.assertEqual(self.scene.counters["http_client_gone"], 1)
        self.leaf.exchanges[1].respond(200, [], b"")
        self.hear()
        self.assertEqual(self.heard.statuses, {3: [200]})

    def test_overrunConnection(self) -> None:
        """All streams together over the connection's window end it."""
        self.leaf.answer = self.leaf.exchanges.append  # type: ignore[method-assign]
        for number in range(1, 80, 2):
            self.tell(request(number, "POST", end=False))
            self.tell(*[frame("DATA", 0, number, b"x" * 16_000)] * 4)
        self.assertEqual(self.heard.goodbyes[0][0], "FLOW_CONTROL_ERROR")

    def test_pausedBody(self) -> None:
        """A paused body comes in order afterwards; its end as well."""
        self.tell(request(1, "POST", end=False), frame("DATA", 0, 1, b"ab"))
        (exchange,) = self.leaf.exchanges
        exchange.pause_body()
        self.tell(frame("DATA", 0, 1, b"cd"), frame("DATA", 1, 1, b"ef"))
        self.assertEqual(self.leaf.heard, [b"ab"])
        exchange.resume_body()
        self.assertEqual(self.leaf.heard, [b"ab", b"cdef", "end"])

    def test_bodyInSmallPieces(self) -> None:
        """However small the pieces of a body are that waits, it is told in few."""
        self.leaf.answer = self.leaf.exchanges.append  # type: ignore[method-assign]
        self.tell(request(1, "POST", end=False))
        for _ in range(60):
            self.tell(frame("DATA", 0, 1, b"x") * 1000)
        self.tell(frame("DATA", 1, 1, b"end"))
        self.leaf.exchanges[0].receive(self.leaf)
        self.assertEqual(self.leaf.heard, [b"x" * 60_000 + b"end", "end"])

    def test_emptyFramesInManyRequests(self) -> None:
        """A client that begins each body with an empty frame is no flood."""
        for number in range(1, 61, 2):
            empty, data = frame("DATA", 0, number), frame("DATA", 1, number, b"hello")
            self.tell(request(number, "POST", end=False), empty, data)
        self.assertEqual((len(self.leaf.exchanges), self.heard.goodbyes), (30, []))

    def test_receiverThatFails(self) -> None:
        """A leaf that fails while it reads costs its own stream."""

        def fail(data: bytes) -> None:
            raise RuntimeError("it fails")

        self.tell(request(1, "POST", end=False), request(3))
        self.leaf.body_data = fail  # type: ignore[method-assign]
        self.tell(frame("DATA", 0, 1, b"x"))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.assertEqual(self.heard.statuses, {1: [500]})
        self.leaf.exchanges[1].respond(200, [], b"")
        self.hear()
        self.assertEqual(self.heard.statuses[3], [200])

    def test_goodbyeIsFinal(self) -> None:
        """A fault after the goodbye names no later stream than that did; it was not looked at."""
        self.tell(request(1))
        self.protocol.engine.close()
        self.protocol.flush()
        self.tell(request(5), request(7), frame("PING", 0, 0, b"short"))
        self.assertEqual(self.heard.goodbyes, [("NO_ERROR", 1), ("FRAME_SIZE_ERROR", 1)])

    def test_handshakeWhileDraining(self) -> None:
        """A connection that is made while the edge drains hears goodbye at once."""
        self.scene.entrance.draining = True
        protocol, client, heard = self.scene.meet()
        self.assertEqual(heard.goodbyes[:1], [("NO_ERROR", 2**31 - 1)])

    def test_streamingBothWays(self) -> None:
        """A request whose answer has begun may be silent as long as it likes."""
        self.tell(request(1, "POST", end=False))
        (exchange,) = self.leaf.exchanges
        exchange.begin(200, [], None)
        for _ in range(60):
            exchange.write(b"event")
            self.hear()
            self.scene.pass_time(1)
        self.assertEqual(self.heard.reset, {})

    def test_bodyThatIsAllThere(self) -> None:
        """What came with its end at once has a length, although none was said."""
        self.tell(request(1, "POST", end=False), frame("DATA", 1, 1, b"abc"))
        self.tell(request(3, end=False), frame("DATA", 1, 3))
        self.tell(request(5, "POST", end=False))
        self.assertEqual([each.length for each in self.leaf.exchanges], [3, 0, None])

    def test_undrainedBody(self) -> None:
        """A body that nobody asks for is read away once the answer has begun."""
        self.leaf.answer = lambda exchange: exchange.begin(200, [], None)  # type: ignore[method-assign]
        self.tell(request(1, "POST", end=False))
        for _ in range(20):
            self.tell(frame("DATA", 0, 1, b"x" * 16_000))
        self.assertGreater(self.heard.updates[1], 200_000)

    def test_bodyTooLarge(self) -> None:
        """A body that grows over the limit is refused, and its receiver told."""
        self.scene.entrance.limits = with_limits(body_size=10)
        self.tell(request(1, "POST", end=False), frame("DATA", 0, 1, b"x" * 8))
        self.tell(frame("DATA", 0, 1, b"x" * 8))
        self.assertEqual(self.heard.words(), ["1 413 too_large", "1 reset NO_ERROR"])
        self.assertEqual(self.leaf.heard, [b"x" * 8, "gone"])
        self.assertEqual(self.scene.counters["refused_too_large"], 1)

    def test_leafsLimits(self) -> None:
        """A stream has the limits of what answers it; so has what comes with its head."""
        self.scene.entrance.limits = with_limits(body_size=10)
        self.leaf.limits = with_limits(body_size=20, body_timeout=5, write_timeout=100)
        self.tell(request(1, "POST", end=False), frame("DATA", 1, 1, b"x" * 20))
        self.tell(request(3, "POST", end=False), frame("DATA", 1, 3, b"x" * 21))
        self.assertEqual(self.leaf.heard, [b"x" * 20, "end"])
        self.assertEqual(self.heard.words(), ["3 413 too_large"])
        self.tell(request(5, "POST", end=False), frame("DATA", 0, 5, b"x" * 9))
        self.scene.pass_time(11)
        self.hear()
        self.assertEqual(self.heard.statuses, {3: [413], 5: [408]})
        self.leaf.exchanges[0].respond(200, [], b"x" * 100_000)
        self.client.unsent = 5000
        self.scene.pass_time(90)
        self.assertFalse(self.client.aborted, "neither the stream nor the connection")
        self.scene.pass_time(30)
        self.assertTrue(self.client.aborted)

    def test_largeForTheLeaf(self) -> None:
        """One that is too large for it gets no 100 Continue, and comes to no leaf; 0 is any."""
        large = ("POST", "/", ("content-length", "9999"), ("expect", "100-continue"))
        self.scene.entrance.limits = with_limits(body_size=20)
        for number, limits in ((1, with_limits(body_size=10)), (3, None)):
            self.leaf.limits = limits
            self.tell(request(number, *large, end=False))
        self.leaf.limits = with_limits(body_size=0)
        self.tell(request(5, *large, end=False))
        self.assertEqual(self.heard.statuses, {1: [413], 3: [413], 5: [100]})
        self.assertEqual(len(self.leaf.exchanges), 1)
        self.assertEqual([each.cause for each in self.scene.recorded], ["too_large"] * 2)

    def test_requestThatTakesTooLong(self) -> None:
        """Where a leaf bounds the whole time, a stream is over then; others do not notice."""
        self.leaf.limits = with_limits(request_timeout=2)
        self.tell(request(1), request(3))
        self.leaf.limits = None
        self.tell(request(5))
        self.leaf.exchanges[1].begin(200, [], None)
        self.leaf.exchanges[1].write(b"part")
        self.scene.pass_time(1.5)
        self.assertEqual(self.heard.reset, {})
        self.scene.pass_time(2)
        self.hear()
        self.assertEqual(self.heard.statuses, {1: [504], 3: [200]})
        self.assertEqual(self.heard.reset, {3: "INTERNAL_ERROR"})
        self.leaf.exchanges[2].respond(200, [], b"ok")
        self.hear()
        self.assertEqual(self.heard.statuses[5], [200])
        self.assertEqual(self.scene.counters["refused_request_timeout"], 2)

    # windows of answers

    def test_shutWindowStopsTheProducer(self) -> None:
        """While a client takes nothing, its producer is paused; nothing else happens."""
        self.tell(request(1))
        (exchange,) = self.leaf.exchanges
        producer = Counting(exchange)
        exchange.begin(200, [], None)
        exchange.register_producer(producer)
        producer.resumeProducing()
        self.hear()
        self.assertEqual(len(self.heard.bodies[1]), 65_535)
        self.assertTrue(producer.paused)
        written = producer.written
        self.assertLess(written, 65_535 + 2 * 65_536)
        self.scene.pass_time(20)
        self.assertEqual((producer.written, self.hear()), (written, []))
        # the window of the stream alone opens nothing, both do
        self.tell(frame("WINDOW_UPDATE", 0, 1, (100_000).to_bytes(4, "big")))
        self.assertEqual(len(self.heard.bodies[1]), 65_535)
        self.tell(frame("WINDOW_UPDATE", 0, 0, (100_000).to_bytes(4, "big")))
        self.assertEqual(len(self.heard.bodies[1]), 165_535)
        self.assertGreater(producer.written, written)
        self.assertEqual(self.heard.bodies[1], bytes(producer.sent[:165_535]))

    def test_windowBySettings(self) -> None:
        """A larger first window opens streams that wait; a smaller one shuts them."""
        self.tell(frame("SETTINGS", 0, 0, bytes.fromhex("000400000000")), request(1), request(3))
        for exchange in self.leaf.exchanges:
            exchange.respond(200, [], b"x" * 30)
        self.hear()
        self.assertEqual((self.heard.bodies, len(self.heard.statuses)), ({}, 2))
        self.tell(frame("SETTINGS", 0, 0, bytes.fromhex("00040000000a")))
        self.assertEqual(self.heard.bodies, {1: b"x" * 10, 3: b"x" * 10})
        self.tell(frame("SETTINGS", 0, 0, bytes.fromhex("000400000005")))
        self.tell(frame("WINDOW_UPDATE", 0, 1, (6).to_bytes(4, "big")))
        self.assertEqual(len(self.heard.bodies[1]), 11)
        self.tell(frame("SETTINGS", 0, 0, bytes.fromhex("000400000100")))
        self.assertEqual(self.heard.ended, {1, 3})

    def test_oneByteAtATime(self) -> None:
        """A client whose window is one byte gets one byte for each update."""
        self.tell(frame("SETTINGS", 0, 0, bytes.fromhex("000400000001")), request(1))
        self.leaf.exchanges[0].respond(200, [], b"abcdef")
        self.hear()
        for size in range(1, 6):
            self.assertEqual(self.heard.bodies[1], b"abcdef"[:size])
            self.tell(frame("WINDOW_UPDATE", 0, 1, (1).to_bytes(4, "big")))
        self.assertEqual((self.heard.bodies[1], self.heard.ended), (b"abcdef", {1}))

    def test_streamsTakeTurns(self) -> None:
        """Large answers share what the connection carries, frame by frame."""
        self.tell(frame("SETTINGS", 0, 0, bytes.fromhex("000400100000")), *map(request, (1, 3, 5)))
        for exchange in self.leaf.exchanges:
            exchange.respond(200, [], b"x" * 100_000)
        self.hear()
        self.tell(frame("WINDOW_UPDATE", 0, 0, (98_304).to_bytes(4, "big")))
        sizes = [len(self.heard.bodies[number]) for number in (1, 3, 5)]
        self.assertEqual(sum(sizes), 65_535 + 98_304)
        order = [f[2] for f in self.tell(frame("WINDOW_UPDATE", 0, 0, (98_304).to_bytes(4, "big")))]
        self.assertEqual(sorted(set(order[:3])), [1, 3, 5])
        self.tell(frame("WINDOW_UPDATE", 0, 0, (98_304).to_bytes(4, "big")))
        self.assertEqual(self.heard.ended, {1, 3, 5})

    def test_fullTransport(self) -> None:
        """While the kernel takes nothing, heads still queue up and bodies do not."""
        self.protocol.pauseProducing()
        self.tell(request(1), request(3))
        for exchange in self.leaf.exchanges:
            exchange.respond(200, [], b"body")
        self.assertEqual([f[0] for f in self.hear()], ["HEADERS", "HEADERS"])
        self.protocol.resumeProducing()
        self.hear()
        self.assertEqual(self.heard.bodies, {1: b"body", 3: b"body"})

    def test_clientThatOnlyTalks(self) -> None:
        """One that does not read what it asks for is not read from either."""
        self.protocol.pauseProducing()
        self.client.unsent = MAX_UNSENT + 1
        self.tell(frame("PING", 0, 0, bytes(8)))
        self.assertEqual(self.client.producerState, "paused")
        self.client.unsent = 0
        self.protocol.resumeProducing()
        self.assertEqual(self.client.producerState, "producing")

    # time

    def test_silentClient(self) -> None:
        """One that says nothing, or only half a greeting, is not waited for."""
        for hello in (b"", HELLO[:10], HELLO[:24], HELLO[:30]):
            protocol, client, _ = self.scene.meet(hello)
            self.scene.pass_time(self.scene.limits.header_timeout - 1)
            self.assertTrue(client.connected)
            self.scene.pass_time(3 + LINGER + 1)
            self.assertFalse(client.connected, len(hello))
        self.assertEqual(self.scene.counters["refused_header_timeout"], 4)

    def test_headThatTrickles(self) -> None:
        """The time for a head is absolute: bytes that trickle in do not move it."""
        head = request(1)
        for octet in head[:-1]:
            self.protocol.dataReceived(bytes((octet,)))
            self.scene.pass_time(1)
            if self.client.ended:
                break
        self.assertTrue(self.client.ended)
        self.assertEqual(self.scene.counters["refused_header_timeout"], 1)
        self.assertEqual(self.leaf.exchanges, [])

    def test_headsOneAfterTheOther(self) -> None:
        """Many heads, each cut somewhere, each have their own time."""
        data = b"".join(request(number) for number in range(1, 41, 2))
        cut = len(request(1)) // 2
        self.protocol.dataReceived(data[:cut])
        for start in range(cut, len(data), len(request(1))):
            self.scene.pass_time(1)
            self.protocol.dataReceived(data[start : start + len(request(1))])
        self.assertEqual((len(self.leaf.exchanges), self.client.ended), (20, False))

    def test_idle(self) -> None:
        """Without a request a connection ends politely, however often the client pings."""
        for _ in range(6):
            self.scene.pass_time(29)
            self.tell(frame("PING", 0, 0, bytes(8)))
        self.assertTrue(self.client.connected)
        self.scene.pass_time(12)
        self.hear()
        self.assertEqual(self.heard.goodbyes, [("NO_ERROR", 0)])
        self.assertFalse(self.client.connected)

    def test_hardPressed(self) -> None:
        """While the edge is hard pressed idle connections end soon, and all get fewer streams."""
        entrance = self.scene.entrance
        entrance.h2_idle, entrance.narrow = 5.0, True
        entrance.relieve()
        _, transport, later = self.scene.meet(b"")
        self.scene.hear(transport, later)
        self.hear()
        for heard in (self.heard, later):
            self.assertEqual(heard.settings[MAX_CONCURRENT_STREAMS], 50)
        self.scene.pass_time(4)
        self.assertTrue(self.client.connected)
        self.scene.pass_time(2)
        self.hear()
        self.assertEqual(self.heard.goodbyes, [("NO_ERROR", 0)])

    def test_busyIsNotIdle(self) -> None:
        """A stream that is answered slowly keeps the connection."""
        self.tell(request(1))
        self.scene.pass_time(600)
        self.leaf.exchanges[0].respond(200, [], b"late")
        self.hear()
        self.assertEqual(self.heard.bodies, {1: b"late"})
        self.assertTrue(self.client.connected)

    def test_bodyThatStops(self) -> None:
        """A body that stops, or trickles, is refused; other streams do not notice."""
        self.tell(request(1, "POST", end=False), request(3))
        for _ in range(40):
            self.scene.pass_time(1)
            self.tell(frame("DATA", 0, 1, b"x"))
        self.assertEqual(self.heard.words(), ["1 408 body_timeout", "1 reset NO_ERROR"])
        self.assertEqual(self.leaf.heard[-1], "gone")
        self.leaf.exchanges[1].respond(200, [], b"")
        self.assertTrue(self.client.connected)

    def test_pausedBodyIsNotLate(self) -> None:
        """While a body is paused the client owes nothing."""
        self.tell(request(1, "POST", end=False))
        self.leaf.exchanges[0].pause_body()
        self.scene.pass_time(100)
        self.assertEqual(self.heard.words(), [])

    def test_answerThatNobodyTakes(self) -> None:
        """A stream whose window stays shut is reset in the end; the others live on."""
        self.tell(request(1), request(3))
        exchange = self.leaf.exchanges[0]
        exchange.begin(200, [], None)
        exchange.write(b"x" * 100_000)
        for _ in range(7):
            self.scene.pass_time(10)
            self.tell(frame("WINDOW_UPDATE", 0, 1, (1).to_bytes(4, "big")))
        self.hear()
        self.assertEqual(self.heard.reset, {1: "CANCEL"})
        self.assertEqual(self.leaf.heard, ["end", "end", "gone"])
        self.assertEqual(self.scene.counters["http_write_stalled"], 1)
        self.assertTrue(self.client.connected)

    def test_finishedAnswerThatNobodyTakes(self) -> None:
        """The same when the leaf has long finished."""
        self.tell(request(1))
        self.leaf.exchanges[0].respond(200, [], b"x" * 100_000)
        self.scene.pass_time(80)
        self.hear()
        self.assertEqual(self.heard.reset, {1: "CANCEL"})

    def test_answersThatNobodyTakes(self) -> None:
        """
        What may wait of all answers has a bound, whoever puts it there: those on which most waits
        are reset and their leaves told; the others arrive.
        """
        protocol, client, heard = self.scene.meet(PREFACE + _shut())
        size = MOST_WAITING // 10
        for number in range(1, 31, 2):
            protocol.dataReceived(request(number))
        exchanges = self.leaf.exchanges
        for exchange in exchanges[:-1]:
            exchange.begin(200, [], None)
            exchange.write(b"x" * size)
        exchanges[-1].respond(200, [], b"small")
        self.scene.hear(client, heard)
        reset = len(heard.reset)
        self.assertEqual(reset, 5)
        self.assertEqual(set(heard.reset.values()), {"ENHANCE_YOUR_CALM"})
        self.assertEqual(self.scene.counters["h2_shed"], reset)
        self.assertEqual(self.leaf.heard.count("gone"), reset)
        self.assertLessEqual(protocol.engine.waiting, MOST_WAITING)
        protocol.dataReceived(frame("SETTINGS", 0, 0, b"\0\4" + (1 << 30).to_bytes(4)))
        protocol.dataReceived(frame("WINDOW_UPDATE", 0, 0, (1 << 30).to_bytes(4)))
        self.scene.hear(client, heard)
        self.assertEqual(sum(map(len, heard.bodies.values())), (14 - reset) * size + 5)
        self.assertFalse(client.ended)

    def test_connectionThatNobodyReads(self) -> None:
        """A connection on which the kernel gets rid of nothing is cut."""
        self.tell(request(1))
        self.leaf.exchanges[0].respond(200, [], b"x")
        self.client.unsent = 10
        self.scene.pass_time(90)
        self.assertTrue(self.client.aborted)
        self.assertEqual(self.scene.counters["http_write_stalled"], 1)

    # ends

    def test_clientCancels(self) -> None:
        """A request that a leaf has is cancelled there; one that none has seen is none."""
        self.tell(request(1))
        self.tell(frame("RST_STREAM", 0, 1, bytes.fromhex("00000008")))
        self.assertEqual(self.leaf.heard, ["end", "gone"])
        self.assertEqual(self.scene.counters["http_client_gone"], 1)
        self.leaf.exchanges[0].respond(200, [], b"late")
        self.assertEqual(self.hear(), [])
        self.tell(request(3), frame("RST_STREAM", 0, 3, bytes.fromhex("00000008")))
        self.assertEqual((len(self.leaf.exchanges), self.scene.counters["h2_cancelled"]), (1, 1))
        self.assertEqual([each.status for each in self.scene.recorded], [499])  # type: ignore[attr-defined]

    def test_connectionLost(self) -> None:
        """All that was asked hears that nobody waits, once each."""
        self.tell(request(1), request(3))
        self.client.loseConnection()
        self.assertEqual(self.leaf.heard, ["end", "end", "gone", "gone"])
        self.assertEqual(self.scene.entrance.connections, set())
        for exchange in self.leaf.exchanges:
            exchange.respond(200, [], b"late")
        self.assertEqual(len(self.scene.recorded), 2)

    def test_drain(self) -> None:
        """A goodbye in two steps: what is on its way is still answered, what comes later is not."""
        self.tell(request(1))
        drained = self.scene.entrance.drain()
        self.hear()
        self.assertEqual(self.heard.goodbyes, [("NO_ERROR", 2**31 - 1)])
        self.tell(request(3))
        self.tell(frame("PING", 1, 0, GOODBYE))
        self.assertEqual(self.heard.goodbyes[1:], [("NO_ERROR", 3)])
        self.tell(request(5), frame("DATA", 0, 5, b"x"))
        self.assertEqual(len(self.leaf.exchanges), 2)
        for exchange in self.leaf.exchanges:
            self.assertNoResult(drained)
            exchange.respond(200, [], b"ok")
        self.hear()
        self.assertEqual(self.heard.ended, {1, 3})
        self.assertTrue(self.client.half_closed)
        self.assertNoResult(drained)
        self.client.loseConnection()
        self.assertIsNone(self.successResultOf(drained))

    def test_drainOfADeafClient(self) -> None:
        """The second step does not wait for long."""
        drained = self.scene.entrance.drain()
        # not even its kernel says that it is there
        self.client.undelivered = FAREWELL
        self.scene.pass_time(3)
        self.hear()
        self.assertEqual(len(self.heard.goodbyes), 2)
        self.scene.pass_time(LINGER + 1)
        self.assertIsNone(self.successResultOf(drained))

    def test_stages(self) -> None:
        """A connection is active while a stream is, and is read from while a head is not whole."""
        self.assertEqual(self.protocol.stage, "idle")
        self.tell(request(1))
        self.assertEqual(self.protocol.stage, "active")
        self.leaf.exchanges[0].respond(200, [], b"ok")
        self.assertEqual(self.protocol.stage, "idle")
        self.tell(request(3)[:12])
        self.assertEqual(self.protocol.stage, "reading")
        self.scene.pass_time(12)
        self.assertEqual(self.protocol.stage, "closing")
        self.assertEqual(self.scene.entrance.h2_answers, [0, 0, 1, 0, 0, 0])

    def test_endOfAnEntrance(self) -> None:
        """What drain still waits for can be broken off."""
        self.tell(request(1))
        self.scene.entrance.drain()
        self.scene.entrance.end()
        self.assertTrue(self.client.aborted)
        self.assertEqual(self.leaf.heard, ["end", "gone"])

    def test_clientSaysGoodbye(self) -> None:
        """A client's goodbye ends the connection once its requests are answered."""
        self.tell(request(1), frame("GOAWAY", 0, 0, bytes(8)))
        self.assertTrue(self.client.connected)
        self.leaf.exchanges[0].respond(200, [], b"ok")
        self.hear()
        self.assertEqual(self.heard.ended, {1})
        self.assertTrue(self.client.half_closed)
        self.scene.pass_time(LINGER + 1)
        self.assertFalse(self.client.connected)

    def test_lastAnswerArrives(self) -> None:
        """While the kernel still has some of it, the socket that would take it along stays."""
        limit = self.scene.limits.write_timeout
        self.tell(request(1), frame("GOAWAY", 0, 0, bytes(8)))
        self.leaf.exchanges[0].respond(200, [], b"ok")
        for size in (300_000, 200_000, 100_000):
            self.client.undelivered = size
            self.scene.pass_time(limit - 10)
            self.tell(frame("WINDOW_UPDATE", 0, 0, b"\0\0\1\0"))
            self.assertTrue(self.client.connected)
        self.client.undelivered = 0
        self.scene.pass_time(LINGER + 1)
        self.assertFalse(self.client.connected)
        self.assertFalse(self.client.aborted)

    def test_lastAnswerIsNotTaken(self) -> None:
        """But not for ever, however much waits: what has come to rest is broken off."""
        for end in (frame("GOAWAY", 0, 0, bytes(8)), frame("PING", 0, 0, b"x")):
            protocol, client, _ = self.scene.meet(HELLO)
            protocol.dataReceived(request(1))
            self.leaf.exchanges[-1].respond(200, [], b"ok")
            protocol.dataReceived(end)
            client.unsent = client.undelivered = 100_000
            self.scene.pass_time(self.scene.limits.write_timeout - 5)
            self.assertFalse(client.aborted)
            self.scene.pass_time(15)
            self.assertTrue(client.aborted)

    def test_enoughRequests(self) -> None:
        """After so many requests a connection is renewed, and none is lost."""
        self.scene.entrance.limits = with_limits(connection_requests=3)
        self.protocol, self.client, self.heard = self.scene.meet()
        self.leaf.answer = lambda exchange: exchange.respond(200, [], b"ok")  # type: ignore[method-assign]
        for number in (1, 3, 5, 7):
            self.tell(request(number))
        self.assertEqual(self.heard.goodbyes, [("NO_ERROR", 2**31 - 1)])
        self.assertEqual(self.heard.ended, {1, 3, 5, 7})
        self.scene.pass_time(3 + LINGER)
        self.assertFalse(self.client.connected)

    def test_oldConnection(self) -> None:
        """A connection that is old enough is renewed as well."""
        self.leaf.answer = lambda exchange: exchange.respond(200, [], b"ok")  # type: ignore[method-assign]
        for number in range(1, 120, 2):
            self.scene.pass_time(80)
            if not self.client.connected:
                break
            self.tell(request(number))
        self.hear()
        self.assertEqual([last for _, last in self.heard.goodbyes][:1], [2**31 - 1])
        self.assertFalse(self.client.connected)

    def test_lingeringIsBounded(self) -> None:
        """After a fault the client may read why; one that goes on sending is cut off."""
        self.tell(frame("DATA", 0, 0, b"x"))
        self.assertTrue(self.client.half_closed)
        for _ in range(LINGER_SIZE // 16384 + 1):
            self.protocol.dataReceived(b"x" * 16384)
        self.assertFalse(self.client.connected)

    def test_faultTellsTheLeaves(self) -> None:
        """A connection that breaks takes its requests with it."""
        self.tell(request(1))
        self.tell(frame("PING", 0, 0, b"x"))
        self.assertEqual(self.leaf.heard, ["end", "gone"])
        self.assertEqual(self.heard.goodbyes, [("FRAME_SIZE_ERROR", 1)])

    def test_nothingIsKept(self) -> None:
        """After all streams have ended nothing of them is left."""
        self.leaf.answer = lambda exchange: exchange.respond(200, [], b"ok")  # type: ignore[method-assign]
        for number in range(1, 2001, 2):
            self.tell(request(number, "POST", end=False), frame("DATA", 1, number, b"abc"))
        self.assertEqual(len(self.heard.ended), 1000)
        engine = self.protocol.engine
        self.assertEqual((engine.streams, engine._out.waiting, engine._reset), ({}, 0, {}))


class Counting:
    """A producer that writes 16 KiB pieces until it is stopped."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.paused = False
        self.sent = bytearray()

    @property
    def written(self) -> int:
        return len(self.sent)

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False
        while not self.paused:
            piece = bytes(((self.written >> 14) & 0xFF,)) * 16_384
            self.sent += piece
            self.exchange.write(piece)

    def stopProducing(self) -> None:
        self.paused = True


class HeardTests(SynchronousTestCase):
    """The tests' own ears."""

    def test_framesAfterTheEnd(self) -> None:
        """Data on a stream that has ended would be noticed."""
        heard = Heard()
        heard.take(frame("HEADERS", 0x5, 1, b"\x88"))
        self.assertRaises(AssertionError, heard.take, frame("DATA", 0, 1, b"x"))

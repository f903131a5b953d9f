"""The engine against the `h2` library as its client, in any order."""

from __future__ import annotations

from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.exchange import Exchange
from hostedge.http.h2_budget import Budget
from hostedge.http.h2_engine import FIRST_WINDOW, Engine, Terms
from hostedge.http.h2_outflow import Stream
from hostedge.wire.h2_frame import CANCEL
from hostedge.wire.header_block import make_block
from tests.http.h2_parts import H2Scene, frame
from tests.http.parts import with_limits


class Hearing:
    """An owner that notes what it is told."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.streams: dict[int, Stream] = {}

    def head(
        self, stream: Stream, fields: list[tuple[bytes, bytes]], size: int, last: bool
    ) -> None:
        self.streams[stream.id] = stream
        self.heard.append(("head", stream.id, dict(fields)[b":path"], last))

    def body(self, stream: Stream, data: bytes, last: bool) -> None:
        self.heard.append(("body", stream.id, data, last))

    def trailers(self, stream: Stream, fields: list[tuple[bytes, bytes]]) -> bool:
        return all(name[:1] != b":" for name, _ in fields)

    def gone(self, stream: Stream) -> None:
        self.heard.append(("gone", stream.id))

    def refused(self) -> None:
        self.heard.append(("refused",))


def make_client() -> H2Connection:
    client = H2Connection(H2Configuration(client_side=True, header_encoding=None))
    client.initiate_connection()
    return client


def fields(path: str, method: str = "GET", **more: str) -> list[tuple[str, str]]:
    about = [(":method", method), (":scheme", "http"), (":authority", "a.test"), (":path", path)]
    return about + list(more.items())


class EngineTests(SynchronousTestCase):
    """Bytes and events, without a transport."""

    def setUp(self) -> None:
        self.owner = Hearing()
        self.engine = Engine(self.owner, Terms())
        self.client = make_client()
        self.events: list[Any] = []
        self.pass_on()

    def pass_on(self) -> None:
        """Carry bytes both ways until there are none."""
        while True:
            asked, told = self.client.data_to_send(), self.engine.take()
            if not asked and not told:
                return
            self.engine.feed(asked, 0.0)
            self.events += self.client.receive_data(told)

    def test_settings(self) -> None:
        """The client learns our bounds, and both have confirmed."""
        told = self.client.remote_settings
        self.assertEqual((told.max_concurrent_streams, told.max_header_list_size), (100, 32_768))
        self.assertFalse(self.engine.unfinished)
        self.assertEqual(self.engine.broken, "")

    def test_otherTerms(self) -> None:
        """Fewer streams are told once; what is open stays, what comes above it is refused."""
        for number in (1, 3, 5):
            self.client.send_headers(number, fields("/a", "POST"))
        self.pass_on()
        self.engine.agree(Terms(streams=2, window=FIRST_WINDOW))
        self.engine.agree(Terms(streams=2, window=FIRST_WINDOW))
        # it has not heard it yet
        self.client.send_headers(7, fields("/late"), end_stream=True)
        self.pass_on()
        self.assertEqual(self.client.remote_settings.max_concurrent_streams, 2)
        self.assertEqual(self.owner.heard[-1], ("refused",))
        for stream in self.owner.streams.values():
            self.engine.answer(stream, make_block(200, []), True)
        self.pass_on()
        self.assertEqual((self.engine.streams, self.engine.broken), ({}, ""))

    def test_windows(self) -> None:
        """A window grows when somebody reads, but not while terms are narrow; it shrinks slowly."""
        self.client.send_headers(1, fields("/a", "POST"))
        self.pass_on()
        stream = self.owner.streams[1]

        def send(size: int) -> int:
            """What may be on its way after so much has come and been read."""
            for _ in range(size // 10_000):
                self.client.send_data(1, bytes(10_000))
                self.pass_on()
                self.engine.read(stream, 10_000)
            self.pass_on()
            return self.client.local_flow_control_window(1)

        self.engine.agree(Terms(window=FIRST_WINDOW))
        self.assertLessEqual(send(200_000), FIRST_WINDOW)
        self.engine.agree(Terms())
        self.assertGreater(send(200_000), FIRST_WINDOW)
        self.engine.agree(Terms(window=FIRST_WINDOW))
        self.assertLessEqual(send(400_000), FIRST_WINDOW)
        self.assertEqual(stream.receive_window, self.client.local_flow_control_window(1))

    def test_requestsAndAnswers(self) -> None:
        """Heads, bodies and ends, on two streams."""
        self.client.send_headers(1, fields("/a", "POST"))
        self.client.send_headers(3, fields("/b"), end_stream=True)
        self.client.send_data(1, b"body", end_stream=True, pad_length=20)
        self.pass_on()
        self.assertEqual(
            self.owner.heard,
            [("head", 1, b"/a", False), ("head", 3, b"/b", True), ("body", 1, b"body", True)],
        )
        for number, stream in self.owner.streams.items():
            self.engine.answer(stream, make_block(200, [(b"a", b"b")]), False)
            self.engine.send(stream, b"answer %d" % number, True)
        self.pass_on()
        bodies = {e.stream_id: e.data for e in self.events if isinstance(e, DataReceived)}
        self.assertEqual(bodies, {1: b"answer 1", 3: b"answer 3"})
        self.assertEqual(self.engine.streams, {})

    def test_trailersAndInformation(self) -> None:
        """Trailers end a request and are dropped; 1xx comes before an answer."""
        self.client.send_headers(1, fields("/a", "POST"))
        self.client.send_data(1, b"x")
        self.client.send_headers(1, [("sum", "1")], end_stream=True)
        self.pass_on()
        self.assertEqual(self.owner.heard[1:], [("body", 1, b"x", False), ("body", 1, b"", True)])
        self.engine.answer(self.owner.streams[1], make_block(103, [(b"link", b"</a>")]), False)
        self.engine.answer(self.owner.streams[1], make_block(200, []), True)
        self.pass_on()
        self.assertEqual(self.engine.streams, {})

    def test_smallFramesBehindALargeAnswer(self) -> None:
        """A client that has got much may say much: the updates of a large download are no flood."""
        padded = frame("DATA", 0x8, 1, b"\xff" + b"x" + b"\0" * 255) * 1000
        for size, broken in ((0, "frames around nothing"), (2_000_000, "")):
            self.setUp()
            self.client.send_headers(1, fields("/a", "POST"))
            self.client.increment_flow_control_window(1 << 24)
            self.client.increment_flow_control_window(1 << 24, 1)
            self.pass_on()
            stream = self.owner.streams[1]
            self.engine.answer(stream, make_block(200, []), False)
            self.engine.send(stream, bytes(size), False)
            self.pass_on()
            for _ in range(40):
                self.engine.feed(padded, 0.0)
                self.engine.read(stream, 1000)
            self.assertEqual(self.engine.broken, broken)

    def test_resets(self) -> None:
        """Either side ends a stream; what is on its way then breaks nothing."""
        for number in (1, 3):
            self.client.send_headers(number, fields("/a", "POST"))
        self.pass_on()
        self.engine.reset(self.owner.streams[1], CANCEL)
        self.client.send_data(1, b"on its way")
        self.client.reset_stream(3)
        self.pass_on()
        self.assertEqual(self.owner.heard[2:], [("gone", 3)])
        self.assertEqual([e.stream_id for e in self.events if isinstance(e, StreamReset)], [1])
        self.engine.send(self.owner.streams[3], b"late", False)
        self.assertEqual((self.engine.broken, self.engine.streams), ("", {}))

    def test_refusedStreamsAreNoFault(self) -> None:
        """A stream too many is refused by itself; the tables stay the same on both sides."""
        engine = Engine(self.owner, Terms(streams=1))
        client = make_client()
        client.receive_data(engine.take())
        # the limit is known by now; ask for more anyway
        client.remote_settings._settings[3].append(9)
        client.remote_settings.acknowledge()
        for number in (1, 3, 5):
            client.send_headers(number, fields("/a", x=f"value-{number}"), end_stream=True)
        engine.feed(client.data_to_send(), 0.0)
        self.assertEqual(self.owner.heard, [("head", 1, b"/a", True), ("refused",), ("refused",)])
        engine.answer(self.owner.streams[1], make_block(200, []), True)
        engine.take()
        client.send_headers(7, fields("/b", x="value-3"), end_stream=True)
        engine.feed(client.data_to_send(), 0.0)
        self.assertEqual(self.owner.heard[3:], [("head", 7, b"/b", True)])


class Asked:
    """One request of the machine's client, and the leaf that answers it."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.got = b""
        self.whole = self.gone = self.paused = False
        self.told = b""
        self.done = ""

    def body_data(self, data: bytes) -> None:
        assert not self.whole and not self.gone
        self.got += data

    def body_end(self) -> None:
        assert not self.whole and not self.gone
        self.whole = True

    def client_gone(self) -> None:
        assert not self.gone
        self.gone = True

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        self.paused = True


class AnyOrder(RuleBasedStateMachine):
    """
    A client of the `h2` library and leaves that do what they want, whenever they want.

    Whatever happens, an answer belongs to its request and is whole, or visibly is not.
    """

    limits = None

    def __init__(self) -> None:
        super().__init__()
        self.leaves: dict[int, Asked] = {}
        self.scene = H2Scene(self.route, with_limits(h2_streams=5))  # type: ignore[arg-type]
        self.protocol, self.transport, _ = self.scene.meet(b"")
        self.client = make_client()
        self.client.update_settings({4: 3000})
        self.sent: dict[int, bytes] = {}
        self.open: set[int] = set()
        self.answers: dict[int, bytes] = {}
        self.statuses: dict[int, bytes] = {}
        self.ended: set[int] = set()
        self.reset: set[int] = set()
        self.carry()

    def route(self, exchange: Exchange) -> AnyOrder:
        return self

    def answer(self, exchange: Exchange) -> None:
        number = int(exchange.path[1:])
        assert number not in self.leaves, "one request, one exchange"
        self.leaves[number] = Asked(exchange)
        exchange.receive(self.leaves[number])

    def carry(self, cut: int = 0) -> None:
        # floods are tested elsewhere
        self.protocol.engine._budget = Budget()
        for _ in range(4):
            data = self.client.data_to_send()
            for piece in (data[:cut], data[cut:]):
                if piece:
                    self.protocol.dataReceived(piece)
            told = self.transport.value()
            self.transport.clear()
            for event in self.client.receive_data(told):
                self.hear(event)
        assert not self.protocol.engine.broken, self.protocol.engine.broken

    def hear(self, event: Any) -> None:
        if isinstance(event, ResponseReceived):
            assert event.stream_id not in self.statuses, "one request, one answer"
            self.statuses[event.stream_id] = dict(event.headers)[b"x-number"]
            self.answers[event.stream_id] = b""
        elif isinstance(event, DataReceived):
            self.answers[event.stream_id] += event.data
        elif isinstance(event, StreamEnded):
            self.ended.add(event.stream_id)
            self.open.discard(event.stream_id)
        elif isinstance(event, StreamReset):
            self.reset.add(event.stream_id)
            self.open.discard(event.stream_id)

    # the client

    @precondition(lambda self: len(self.open) < 5)
    @rule(body=st.booleans(), cut=st.integers(0, 60))
    def ask(self, body: bool, cut: int) -> None:
        number = self.client.get_next_available_stream_id()
        method = "POST" if body else "GET"
        self.client.send_headers(number, fields(f"/{number}", method), end_stream=not body)
        self.sent[number] = b""
        self.open.add(number)
        self.carry(cut)

    def _sending(self) -> list[int]:
        return [n for n in self.open if self._may_send(n)]

    def _may_send(self, number: int) -> bool:
        state = self.client.streams[number].state_machine.state.name
        return state in ("OPEN", "HALF_CLOSED_REMOTE")

    @precondition(lambda self: self._sending())
    @rule(data=st.data(), size=st.integers(0, 3000), last=st.booleans(), cut=st.integers(0, 3000))
    def send(self, data: Any, size: int, last: bool, cut: int) -> None:
        number = data.draw(st.sampled_from(sorted(self._sending())))
        size = min(size, self.client.local_flow_control_window(number))
        if not size and not last:
            return
        piece = bytes((number & 0xFF,)) * size
        self.sent[number] += piece
        self.client.send_data(number, piece, end_stream=last)
        self.carry(cut)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def cancel(self, data: Any) -> None:
        number = data.draw(st.sampled_from(sorted(self.open)))
        self.client.reset_stream(number, 8)
        self.open.discard(number)
        self.reset.add(number)
        self.carry()

    @precondition(lambda self: self.open)
    @rule(data=st.data(), size=st.integers(1, 50_000))
    def open_window(self, data: Any, size: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.open)))
        self.client.increment_flow_control_window(size, number)
        self.client.increment_flow_control_window(size)
        self.carry()

    @rule(size=st.integers(0, 5000))
    def change_windows(self, size: int) -> None:
        self.client.update_settings({4: size})
        self.carry()

    @rule(full=st.booleans())
    def fill(self, full: bool) -> None:
        if full:
            self.protocol.pauseProducing()
        else:
            self.protocol.resumeProducing()
        self.carry()

    # the leaves

    def _answering(self) -> list[int]:
        return [n for n, leaf in self.leaves.items() if not leaf.done and not leaf.gone]

    @precondition(lambda self: self._answering())
    @rule(data=st.data(), size=st.integers(0, 40_000), known=st.booleans())
    def begin(self, data: Any, size: int, known: bool) -> None:
        number = data.draw(st.sampled_from(self._answering()))
        leaf = self.leaves[number]
        about = [(b"x-number", b"%d" % number)]
        if not leaf.told and not leaf.exchange.begun:  # type: ignore[attr-defined]
            if known:
                leaf.told = bytes((number & 0xFF,)) * size
                leaf.done = "whole"
                leaf.exchange.respond(200, about, leaf.told)
                self.carry()
                return
            leaf.exchange.begin(200, about, None)
            leaf.exchange.register_producer(leaf)
        if not leaf.paused:
            piece = bytes((number & 0xFF,)) * size
            leaf.told += piece
            leaf.exchange.write(piece)
        self.carry()

    @precondition(lambda self: self._answering())
    @rule(data=st.data(), whole=st.booleans())
    def end(self, data: Any, whole: bool) -> None:
        number = data.draw(st.sampled_from(self._answering()))
        leaf = self.leaves[number]
        if not leaf.exchange.begun:  # type: ignore[attr-defined]
            return
        leaf.done = "whole" if whole else "broken"
        if whole:
            if number in self.open:
                # the library takes an empty last frame for a fault where a window has become
                # less than nothing, which RFC 9113 section 6.9.1 allows
                self.client.increment_flow_control_window(1 << 16, number)
                self.carry()
            leaf.exchange.finish()
        else:
            leaf.exchange.abort()
        self.carry()

    @precondition(lambda self: self._answering())
    @rule(data=st.data(), pause=st.booleans())
    def pause(self, data: Any, pause: bool) -> None:
        leaf = self.leaves[data.draw(st.sampled_from(self._answering()))]
        if pause:
            leaf.exchange.pause_body()
        else:
            leaf.exchange.resume_body()
        self.carry()

    # what must hold

    def teardown(self) -> None:
        if self.protocol.engine.broken:
            # what has failed is told already
            return
        self.protocol.resumeProducing()
        for _ in range(60):
            self.client.increment_flow_control_window(1 << 20)
            for number in list(self.open):
                self.client.increment_flow_control_window(1 << 20, number)
            self.carry()
            for leaf in self.leaves.values():
                if not leaf.done and not leaf.gone and leaf.exchange.begun:  # type: ignore[attr-defined]
                    leaf.done = "whole"
                    leaf.exchange.finish()
                leaf.exchange.resume_body()
            self.carry()
        for number, leaf in self.leaves.items():
            assert self.sent[number].startswith(leaf.got), "a body belongs to its request"
            got = self.answers.get(number, b"")
            assert leaf.told.startswith(got), "an answer belongs to its request"
            assert self.statuses.get(number, b"%d" % number) == b"%d" % number
            if number in self.ended:
                assert got == leaf.told and leaf.done == "whole"
            if leaf.done == "whole":
                assert number in self.ended or number in self.reset
            if leaf.done == "broken":
                assert number in self.reset and number not in self.ended
        open_now = [leaf for leaf in self.leaves.values() if not leaf.done and not leaf.gone]
        assert len(self.protocol.engine.streams) == len(open_now)
        assert len(self.scene.recorded) == len(self.leaves) - len(open_now)
        assert not self.transport_ended()
        if not open_now:
            assert self.protocol.engine._out.waiting == 0

    def transport_ended(self) -> bool:
        return self.protocol.transport.disconnecting  # type: ignore[no-any-return]


class AnyOrderTests(SynchronousTestCase):
    """The machine, as trial sees it."""

    def test_anyOrder(self) -> None:
        """No answer is lost, doubled or mixed up, in whatever order things happen."""
        run_state_machine_as_test(AnyOrder, settings=settings(stateful_step_count=40))

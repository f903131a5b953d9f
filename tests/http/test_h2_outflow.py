"""What waits, and what may go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.h2_outflow import BATCH, CROWDED, HIGH, LOW, Outflow, Stream, grown
from hostedge.wire.h2_frame import MAX_WINDOW
from tests.http.h2_parts import Heard, frame

HEAD = frame("HEADERS", 0x4, 1, b"\x88")


class OutflowTests(SynchronousTestCase):
    """One connection's."""

    def setUp(self) -> None:
        self.out = Outflow()
        self.out.window = MAX_WINDOW

    def take(self) -> list[tuple[str, int, int, bytes]]:
        self.out.fill()
        heard = Heard()
        heard.statuses = {number: [200] for number in range(1, 2000, 2)}
        return heard.take(self.out.take())

    def test_batches(self) -> None:
        """A large body leaves in batches; the transport can say stop after each."""
        stream = Stream(1, MAX_WINDOW, 0)
        self.out.send(stream, b"x" * (3 * BATCH), True)
        self.assertEqual(sum(len(f[3]) for f in self.take()), BATCH)
        self.out.held = True
        self.assertEqual(self.take(), [])
        self.out.held = False
        self.assertEqual([len(self.take()), len(self.take()), len(self.take())], [4, 4, 0])
        self.assertEqual(self.out.finished, [stream])

    def test_turns(self) -> None:
        """One that sends much does not hold up one that sends little."""
        large, small = Stream(1, MAX_WINDOW, 0), Stream(3, MAX_WINDOW, 0)
        self.out.send(large, b"x" * (10 * BATCH), True)
        self.out.send(small, b"small", True)
        order = [f[2] for f in self.take()]
        self.assertIn(3, order[:2])

    def test_stopAndRelief(self) -> None:
        """A stream is stopped above the one mark, and relieved below the other, once."""
        stream = Stream(1, 0, 0)
        self.out.send(stream, b"x" * (HIGH - 1), False)
        self.assertFalse(self.out.stop(stream))
        self.out.send(stream, b"x", False)
        self.assertTrue(self.out.stop(stream))
        stream.send_window = HIGH - LOW - 1
        self.out.opened(stream)
        self.take()
        self.assertEqual(self.out.relieved, [])
        stream.send_window = 1
        self.out.opened(stream)
        self.take()
        self.assertEqual((self.out.relieved, stream.stopped), ([stream], False))

    def test_crowd(self) -> None:
        """When many wait, no other may begin; it goes on when enough of theirs was sent."""
        streams = []
        for number in range(1, 2 * (CROWDED // 1000) + 4, 2):
            stream = Stream(number, 0, 0)
            self.out.send(stream, b"x" * 1000, False)
            self.assertEqual(self.out.stop(stream), self.out.waiting >= CROWDED)
            streams.append(stream)
        late = Stream(9999, 0, 0)
        self.assertTrue(self.out.stop(late))
        for stream in streams[:8]:
            self.assertEqual(self.out.relieved, [])
            self.out.forget(stream)
            if self.out.waiting < CROWDED:
                break
        self.assertIn(late, self.out.relieved)
        self.assertFalse(late.stopped)

    def test_forgotten(self) -> None:
        """Nothing is left of a stream that ended otherwise."""
        stream = Stream(1, 10, 0)
        self.out.send(stream, b"x" * 100_000, True)
        self.out.forget(stream)
        self.assertEqual((self.take(), self.out.waiting), ([], 0))

    def test_windowsHaveAnEnd(self) -> None:
        """A window over its end is none."""
        self.assertEqual(grown(MAX_WINDOW - 1, 1), MAX_WINDOW)
        self.assertIsNone(grown(MAX_WINDOW, 1))

    @given(
        st.lists(
            st.tuples(
                st.sampled_from([1, 3, 5]),
                st.sampled_from(["send", "window", "shrink", "connection", "hold", "go", "take"]),
                st.sampled_from([0, 1, 5, 1000, 16_384, 20_000, 100_000]),
            ),
            max_size=60,
        )
    )
    def test_nothingIsLost(self, steps: list[tuple[int, str, int]]) -> None:
        """In whatever order windows open and pieces come, each stream's bytes arrive in order."""
        out = Outflow()
        streams = {number: Stream(number, 1000, 0) for number in (1, 3, 5)}
        sent = {number: b"" for number in streams}
        heard = Heard()
        heard.statuses = {number: [200] for number in streams}
        for index, (number, step, size) in enumerate(steps):
            stream = streams[number]
            if step == "send":
                piece = bytes((index,)) * size
                sent[number] += piece
                out.send(stream, piece, False)
            elif step == "window" or step == "shrink":
                stream.send_window += size if step == "window" else -size
                out.opened(stream)
            elif step == "connection":
                out.window += size
            elif step == "take":
                out.fill()
                heard.take(out.take())
            else:
                out.held = step == "hold"
            self.assertEqual(out.waiting, sum(len(each.waiting) for each in streams.values()))
            self.assertGreaterEqual(out.window, 0)
        out.held = False
        out.window = MAX_WINDOW
        for stream in streams.values():
            stream.send_window = MAX_WINDOW
            out.opened(stream)
            out.send(stream, b"", True)
        while out.frames or out.waiting or len(out.finished) < 3:
            out.fill()
            heard.take(out.take())
        for number in streams:
            self.assertEqual(heard.bodies.get(number, b""), sent[number])
        self.assertEqual(heard.ended, set(streams))

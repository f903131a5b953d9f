"""Frames as the `hyperframe` library reads them."""

from __future__ import annotations

from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)
from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire import h2_frame


def read(data: bytes) -> list[Frame]:
    frames = []
    while data:
        one, size = Frame.parse_frame_header(memoryview(data[:9]))
        one.parse_body(memoryview(data[9 : 9 + size]))
        frames.append(one)
        data = data[9 + size :]
    return frames


class FrameTests(SynchronousTestCase):
    """What we send."""

    def one(self, data: bytes, kind: type) -> Frame:
        (frame,) = read(data)
        self.assertIsInstance(frame, kind)
        return frame

    def test_settings(self) -> None:
        """Settings, and the answer to them."""
        frame = self.one(h2_frame.settings_frame({3: 100, 6: 32768}), SettingsFrame)
        self.assertEqual(frame.settings, {3: 100, 6: 32768})
        self.assertIn("ACK", self.one(h2_frame.SETTINGS_ACK, SettingsFrame).flags)

    def test_numbers(self) -> None:
        """Frames that say a number or two."""
        update = self.one(h2_frame.window_update(5, 70_000), WindowUpdateFrame)
        self.assertEqual((update.stream_id, update.window_increment), (5, 70_000))
        reset = self.one(h2_frame.rst_stream(7, h2_frame.CANCEL), RstStreamFrame)
        self.assertEqual((reset.stream_id, reset.error_code), (7, 8))
        goodbye = self.one(h2_frame.goaway(9, h2_frame.ENHANCE_YOUR_CALM), GoAwayFrame)
        self.assertEqual((goodbye.last_stream_id, goodbye.error_code), (9, 11))
        ping = self.one(h2_frame.ping(b"12345678", h2_frame.ACK), PingFrame)
        self.assertEqual((ping.opaque_data, set(ping.flags)), (b"12345678", {"ACK"}))

    def test_data(self) -> None:
        """A piece of a body, the last one marked."""
        frame = self.one(h2_frame.data_head(3, True, 11) + b"abc", DataFrame)
        self.assertEqual(
            (frame.stream_id, frame.data, set(frame.flags)), (11, b"abc", {"END_STREAM"})
        )

    def test_headers(self) -> None:
        """A block of any size: END_STREAM on the first frame, END_HEADERS on the last."""
        for size in (1, 16_384, 16_385, 32_768, 50_000):
            first, *others = read(h2_frame.header_frames(1, b"x" * size, True))
            self.assertIsInstance(first, HeadersFrame)
            self.assertIn("END_STREAM", first.flags)
            for other in others:
                self.assertIsInstance(other, ContinuationFrame)
            ends = ["END_HEADERS" in each.flags for each in (first, *others)]
            self.assertEqual(ends, [False] * len(others) + [True])
            self.assertEqual(sum(len(each.data) for each in (first, *others)), size)

    def test_unpadded(self) -> None:
        """What is left of a payload; more padding than there is breaks the connection."""
        padded, prioritised = h2_frame.PADDED, h2_frame.PRIORITISED
        for payload, flags, skipped, wanted in (
            *((b"abc", 0, 0, b"abc"), (b"\2abc\0\0", padded, 0, b"abc"), (b"\1\0", padded, 0, b"")),
            *((b"12345abc", prioritised, 5, b"abc"), (b"\x0112345abc\0", padded, 5, b"abc")),
        ):
            self.assertEqual(h2_frame.unpadded(payload, flags, skipped), wanted)
        for payload, flags, skipped in ((b"", padded, 0), (b"\4abc", padded, 0), (b"1234", 0, 5)):
            fault = self.assertRaises(
                h2_frame.ConnectionFault, h2_frame.unpadded, payload, flags, skipped
            )
            self.assertEqual(fault.code, h2_frame.PROTOCOL_ERROR)

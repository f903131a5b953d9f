"""Frames that pass as they came."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Frame, Opcode

from hostedge.wire.frame import begins_plain, mask_small, plain_frames
from hostedge.ws.ends import unmask

MOST = 1 << 20


def frame(opcode: int, payload: bytes, masked: bool, fin: bool = True) -> bytes:
    """By a library of another make."""
    return Frame(Opcode(opcode), payload, fin).serialize(mask=masked)


def run(data: bytes, masked: bool = False, most: int = MOST) -> int:
    return plain_frames(data, masked, most, unmask)


class PlainFrameTests(SynchronousTestCase):
    """What is one, and what is not."""

    def test_sizes(self) -> None:
        """At every border of the length's form."""
        for size in (0, 1, 125, 126, 127, 65535, 65536, 70000):
            for masked in (False, True):
                for opcode in (1, 2):
                    data = frame(opcode, b"x" * size, masked)
                    self.assertEqual(run(data, masked), len(data), size)
                    self.assertEqual(run(data[:-1], masked), 0, size)

    @given(st.lists(st.tuples(st.sampled_from((1, 2)), st.text(max_size=300))), st.booleans())
    def test_many(self, messages: list[tuple[int, str]], masked: bool) -> None:
        """A run is as long as there are whole frames, wherever it is cut."""
        frames = [frame(opcode, text.encode(), masked) for opcode, text in messages]
        data = b"".join(frames)
        self.assertEqual(run(data, masked), len(data))
        borders = {sum(map(len, frames[:n])) for n in range(len(frames) + 1)}
        for cut in range(len(data)):
            self.assertEqual(run(data[:cut], masked), max(b for b in borders if b <= cut))

    def test_others(self) -> None:
        """Fragments, control frames, reserved bits, the wrong mask: none of them is plain."""
        first = frame(2, b"one", False)
        for data in (
            frame(1, b"x", False, fin=False),
            frame(0, b"x", False),
            frame(8, b"\x03\xe8", False),
            frame(9, b"", False),
            frame(10, b"", False),
            b"\xc1\x01x",
            b"\x83\x00",
            frame(2, b"x" * 10, True),
        ):
            self.assertEqual(run(first + data), len(first), data)
        self.assertEqual(run(frame(2, b"x" * 10, False), True), 0)

    def test_longForms(self) -> None:
        """A length that would fit in fewer bytes."""
        self.assertEqual(run(b"\x82\x7e\x00\x05hello"), 0)
        self.assertEqual(run(b"\x82\x7f" + (5).to_bytes(8) + b"hello"), 0)
        self.assertEqual(run(b"\x82\x7f" + (1 << 63).to_bytes(8) + b"hello"), 0)

    def test_text(self) -> None:
        """Text has to be UTF-8, masked or not; bytes need not be."""
        for bad in (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80"):
            for masked in (False, True):
                self.assertEqual(run(frame(1, bad, masked), masked), 0, bad)
                self.assertGreater(run(frame(2, bad, masked), masked), 0, bad)

    def test_begins(self) -> None:
        """The rest of a run is worth waiting for while it may become a plain frame of 64 KiB."""
        for masked in (False, True):
            for size in (0, 1, 125, 126, 65535):
                data = frame(1, b"x" * size, masked)
                for cut in {*range(1, min(len(data), 20)), len(data) - 1}:
                    self.assertTrue(begins_plain(data[:cut], masked), (size, cut))
                self.assertFalse(begins_plain(data, masked))
            self.assertFalse(begins_plain(frame(2, b"x" * 65536, masked)[:20], masked))
            self.assertFalse(begins_plain(frame(1, b"x", masked, fin=False)[:2], masked))
            self.assertFalse(begins_plain(b"", masked))
        self.assertFalse(begins_plain(frame(8, b"xx", True)[:3], True))
        self.assertFalse(begins_plain(frame(1, b"xx", False)[:3], True))

    def test_most(self) -> None:
        """A frame past the limit ends the run."""
        small, large = frame(2, b"x" * 10, False), frame(2, b"x" * 11, False)
        self.assertEqual(run(small + large, most=10), len(small))

    @given(st.binary(max_size=64), st.booleans())
    def test_anything(self, data: bytes, masked: bool) -> None:
        """No bytes are too strange."""
        self.assertLessEqual(run(data, masked), len(data))


class MaskTests(SynchronousTestCase):
    """Masks."""

    def test_mask(self) -> None:
        """Twice is nothing; both ways of masking do the same."""
        for size in (0, 1, 3, 4, 5, 125, 2048, 2049, 10_000):
            key, payload = os.urandom(4), os.urandom(size)
            masked = mask_small(key, payload)
            self.assertEqual(unmask(key, masked), payload)
            self.assertEqual(bytes(b ^ key[i % 4] for i, b in enumerate(payload)), masked)

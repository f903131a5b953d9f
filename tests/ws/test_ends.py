"""One end of a WebSocket."""

from __future__ import annotations

import zlib
from typing import Any

from attrs import evolve
from autobahn.websocket.utf8validator import Utf8Validator
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Frame, Opcode

from hostedge.settings import Limits
from hostedge.ws.ends import DEAF, FEED, End, Utf8, unmask
from hostedge.ws.shaken import Shaken
from tests.ws.alone import Alone, read_code, read_events
from tests.ws.heard import Heard

SHAKEN = Shaken(Clock(), Limits())
# limits of frame and message, and who judges by them
LIMITS = tuple(
    (Shaken(Clock(), evolve(Limits(), websocket_frame=f, websocket_message=m)), Alone(f, m))
    for f, m in ((1 << 20, 1 << 21), (1000, 1500), (1500, 1000))
)
DEFLATE = b"permessage-deflate"
WORDS = ("", "a", "grüße", "€" * 42, "x" * 125, "x" * 126, "ä" * 450, "x" * 1001, "x" * 66_000)


def frame(opcode: int, payload: bytes, fin: bool = True) -> bytes:
    return Frame(Opcode(opcode), payload, fin).serialize(mask=True)


def raw(
    opcode: int, payload: bytes, masked: bool, fin: bool = True, rsv: int = 0, form: int = 0
) -> bytes:
    """A frame that may break any rule; `form`: the bytes of its length, 0 as it has to be."""
    size = len(payload)
    form = form or (1 if size < 126 else 2 if size < 1 << 16 else 8)
    if form == 1:
        length, more = min(size, 125), b""
    else:
        length, more = (126 if form == 2 else 127), size.to_bytes(8)[-form:]
    key = b"\x01\x82\x33\xf4" if masked else b""
    head = bytes((fin << 7 | rsv << 4 | opcode, masked << 7 | length)) + more + key
    return head + (unmask(key, payload) if masked else payload)


@st.composite
def streams(draw: Any, masked: bool, deflate: bool) -> bytes:
    """Messages of all kinds, and now and then something that must not be."""
    packer = zlib.compressobj(wbits=-12)
    words = st.sampled_from(WORDS).map(str.encode)
    whole: list[bytes] = []

    def control() -> bytes:
        return raw(draw(st.sampled_from((9, 10))), draw(st.binary(max_size=125)), masked)

    for _ in range(draw(st.integers(0, 8))):
        what = draw(st.integers(0, 11))
        payload = draw(words)
        if what < 4:
            whole.append(raw(1 + what % 2, payload, masked))
        elif what < 6:
            whole.append(control())
        elif what < 9:
            rsv = 0
            if deflate and what == 8:
                payload = packer.compress(payload) + packer.flush(zlib.Z_SYNC_FLUSH)
                payload, rsv = payload[:-4], 4
            at = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=4)))
            borders = list(zip([0, *at], [*at, len(payload)], strict=True))
            for number, (start, stop) in enumerate(borders):
                opcode = 0 if number else 1 + what % 2
                last = number + 1 == len(borders)
                part = payload[start:stop]
                whole.append(raw(opcode, part, masked, last, 0 if number else rsv))
                if not last and draw(st.booleans()):
                    whole.append(control())
        elif what == 9:
            close = st.sampled_from((b"", b"\x03\xe8", b"\x0f\xa0bye"))
            whole.append(raw(8, draw(close), masked))
        else:
            whole.append(
                raw(
                    draw(st.integers(0, 15)),
                    draw(st.sampled_from((b"", b"x", b"\xff", b"\xe2\x82", b"x" * 126))),
                    masked is draw(st.sampled_from((True, True, False))),
                    draw(st.booleans()),
                    draw(st.sampled_from((0, 0, 0, 1, 2, 4))),
                    draw(st.sampled_from((0, 0, 1, 2, 8))),
                )
            )
    return b"".join(whole)


def coupled(offers: bytes = b"") -> tuple[End, Heard]:
    """A client's end, and what it says."""
    end, _ = SHAKEN.client(offers)
    heard = Heard()
    end.couple(StringTransport(), heard, heard)  # type: ignore[arg-type]
    return end, heard


class Utf8Tests(SynchronousTestCase):
    """The validator that stands in for Autobahn's."""

    @given(st.lists(st.one_of(st.binary(max_size=6), st.text(max_size=4).map(str.encode))))
    def test_sameVerdict(self, pieces: list[bytes]) -> None:
        """Valid, and whole, where Autobahn's own says so; piece by piece."""
        mine, its = Utf8(), Utf8Validator()
        its.reset()
        for piece in pieces:
            valid, whole = its.validate(piece)[:2]
            self.assertEqual(mine.validate(piece)[:2], (valid, valid and whole), pieces)
            if not valid:
                return


class BothEndsTests(SynchronousTestCase):
    """Two ends, of which one hears bytes and the other passes on what it may."""

    @given(st.data())
    def test_asAutobahnAlone(self, data: Any) -> None:
        """
        Cut anywhere, with pauses, compressed on either side or not: what arrives is what
        Autobahn alone would have delivered, and it ends for the same reason.
        """
        masked, mine, its = (data.draw(st.booleans()) for _ in range(3))
        stream = data.draw(streams(masked, mine))
        cuts = data.draw(st.lists(st.integers(0, len(stream)), max_size=8).map(sorted))
        shaken, alone = data.draw(st.sampled_from(LIMITS))
        pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        pauses = data.draw(st.lists(st.booleans(), min_size=len(pieces), max_size=len(pieces)))
        self.compare(pieces, pauses, masked, (mine, its), shaken, alone)

    @given(streams(True, False).filter(lambda stream: len(stream) < 3000))
    def test_byteByByte(self, stream: bytes) -> None:
        """Also when each byte comes by itself."""
        pieces = [stream[at : at + 1] for at in range(len(stream))]
        self.compare(pieces, [False] * len(pieces), True, (False, False), *LIMITS[0])

    def compare(
        self,
        pieces: list[bytes],
        pauses: list[bool],
        masked: bool,
        deflate: tuple[bool, bool],
        shaken: Shaken,
        alone: Alone,
    ) -> None:
        """Let one end hear the pieces, which paused it may; compare what came of them."""
        made = [
            shaken.client(DEFLATE if deflate[not masked] else b"")[0],
            shaken.app(DEFLATE if deflate[masked] else b""),
        ]
        one, other = made if masked else reversed(made)
        assert one is not None and other is not None
        heard = Heard()
        one.couple(StringTransport(), other, heard)
        other.couple(StringTransport(), one, heard)
        for piece, pause in zip(pieces, pauses, strict=True):
            if pause:
                one.pauseProducing()
            one.dataReceived(piece)
            if pause:
                one.resumeProducing()
        events = read_events(other.transport.value(), masked, deflate[1])
        for ended in heard.log:
            if ended == "broke":
                ended = ("failed", read_code(one.transport.value(), not masked))
            events.append(ended)
        self.assertEqual(events, alone.hears(b"".join(pieces), masked, deflate[0]))


class EndTests(SynchronousTestCase):
    """What comes, and what becomes of it."""

    @given(st.lists(st.binary(max_size=40), max_size=6), st.booleans())
    def test_anything(self, pieces: list[bytes], deflate: bool) -> None:
        """No bytes make it raise."""
        end, _ = coupled(b"permessage-deflate" if deflate else b"")
        for piece in pieces:
            end.dataReceived(piece)

    @given(st.lists(st.tuples(st.integers(0, 255), st.binary(max_size=20)), max_size=6))
    def test_anyFrames(self, frames: list[tuple[int, bytes]]) -> None:
        """Nor do frames that are hardly wrong."""
        end, heard = coupled(b"permessage-deflate")
        for first, payload in frames:
            whole = frame(2, payload)
            end.dataReceived(bytes((first,)) + whole[1:])
        self.assertLessEqual(heard.ends, 1)

    def test_paused(self) -> None:
        """What comes all the same waits, in order, and nothing is taken as it is."""
        end, heard = coupled()
        end.pauseProducing()
        self.assertEqual(end.transport.producerState, "paused")
        for word in (b"one", b"two"):
            end.dataReceived(frame(1, word))
        self.assertEqual((heard.log, heard.transport.value()), ([], b""))
        end.resumeProducing()
        self.assertEqual(end.transport.producerState, "producing")
        words = [("begin", False), (b"one", True), ("begin", False), (b"two", True)]
        self.assertEqual(heard.log, words)
        end.dataReceived(frame(1, b"three"))
        self.assertIn(b"\x85", heard.transport.value())

    def test_deaf(self) -> None:
        """Who goes on sending after a breach is cut off after a megabyte."""
        end, heard = coupled()
        end.dataReceived(b"\xff\xff" + b"x" * 20)
        self.assertEqual(heard.log, ["broke"])
        for _ in range(DEAF // FEED):
            end.dataReceived(b"x" * FEED)
        self.assertEqual(heard.log, ["broke"])
        end.dataReceived(b"x")
        self.assertEqual(heard.log, ["broke", "too much"])

    def test_afterClose(self) -> None:
        """Nothing counts after a close frame, not even in the same bytes."""
        end, heard = coupled()
        end.dataReceived(frame(8, b"\x03\xe8bye") + frame(1, b"x") + frame(9, b"") + b"\xff\xff")
        end.dataReceived(frame(1, b"x"))
        self.assertEqual(heard.log, [("close", 1000, b"bye")])

    def test_controlFrames(self) -> None:
        """Pings and pongs go to the other end, also within a message."""
        end, heard = coupled()
        end.dataReceived(frame(1, b"a", False) + frame(9, b"1") + frame(10, b"2"))
        self.assertEqual(
            heard.log, [("begin", False), (b"a", False), ("ping", b"1"), ("pong", b"2")]
        )

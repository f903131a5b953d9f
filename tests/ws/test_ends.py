"""One end of a WebSocket."""

from __future__ import annotations

from autobahn.websocket.utf8validator import Utf8Validator
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Frame, Opcode

from hostedge.settings import Limits
from hostedge.ws.ends import DEAF, FEED, End, Utf8
from hostedge.ws.shaken import Shaken
from tests.ws.heard import Heard

SHAKEN = Shaken(Clock(), Limits())


def frame(opcode: int, payload: bytes, fin: bool = True) -> bytes:
    return Frame(Opcode(opcode), payload, fin).serialize(mask=True)


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

"""How `hostedge.net.file_body` sends a file."""

import gc
import io
import os
from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from hostedge.http.exchange import MOUTHFUL
from hostedge.net.descriptors import Files
from hostedge.net.file_body import PIECE, PIECES_PER_TURN, FileBody, Part
from tests.mappings.exchanges import KeptExchange

SIZE = PIECE * PIECES_PER_TURN * 2 + 1234
CONTENT = os.urandom(1 << 16) * (SIZE // (1 << 16) + 1)


class FileBodyTests(SynchronousTestCase):
    """Pieces, pauses, turns and ends."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_bytes(CONTENT[:SIZE])
        self.turns: list[Callable[[], None]] = []
        self.files = Files()

    def body(
        self,
        *parts: Part,
        tail: bytes = b"",
        room: int = 1 << 40,
        kind: type[KeptExchange] = KeptExchange,
    ) -> tuple[FileBody, KeptExchange, io.FileIO]:
        file = io.FileIO(os.open(self.path, os.O_RDONLY))
        self.addCleanup(file.close)
        exchange = kind(room=room)
        exchange.begin(200, [], None)
        return FileBody(exchange, file, parts, tail, self.turns.append, self.files), exchange, file

    def run_turns(self) -> None:
        while self.turns:
            self.turns.pop(0)()

    def test_whole(self) -> None:
        """
        The file comes complete and once, a few pieces a turn, and is closed.
        """
        body, exchange, file = self.body(Part(0, SIZE))
        verifyObject(IPushProducer, body)
        body.start()
        self.assertEqual(exchange.writes, PIECES_PER_TURN)
        self.assertEqual(len(self.turns), 1)
        self.run_turns()
        self.assertEqual(exchange.body, CONTENT[:SIZE])
        self.assertEqual(exchange.over, "finished")
        self.assertTrue(file.closed)

    def test_parts(self) -> None:
        """
        Parts come in their order, each behind its head, and the tail at the end.
        """
        body, exchange, _file = self.body(
            Part(5, 7, b"<a>"), Part(PIECE, 3 * PIECE, b"<b>"), tail=b"<end>"
        )
        body.start()
        self.run_turns()
        self.assertEqual(
            exchange.body, b"<a>" + CONTENT[5:7] + b"<b>" + CONTENT[PIECE : 3 * PIECE] + b"<end>"
        )

    @given(st.lists(st.integers(1, PIECE * 2), min_size=1, max_size=20))
    def test_slowClient(self, rooms: list[int]) -> None:
        """
        Nothing is read while the client does not take it, and nothing is lost or doubled.
        """
        body, exchange, _file = self.body(Part(0, SIZE), room=1)
        body.start()
        for room in rooms:
            self.run_turns()
            if exchange.over:
                break
            before = exchange.writes
            self.assertTrue(exchange.paused)
            self.run_turns()
            self.assertEqual(exchange.writes, before)
            exchange.read_on(room)
        if not exchange.over:
            exchange.room = 1 << 40
            if exchange.paused:
                exchange.read_on(1 << 40)
            self.run_turns()
        self.assertEqual(exchange.body, CONTENT[:SIZE])

    def test_resumedWhileWaiting(self) -> None:
        """
        A client that catches up before our turn does not get a second turn.
        """
        body, exchange, _file = self.body(Part(0, SIZE), room=PIECE * PIECES_PER_TURN + 1)
        body.start()
        body.pauseProducing()
        body.resumeProducing()
        body.resumeProducing()
        self.assertEqual(exchange.writes, PIECES_PER_TURN)
        self.assertEqual(len(self.turns), 1)

    def test_clientGone(self) -> None:
        """
        When nobody waits any more the file is closed, and a turn that still comes does nothing.
        """
        for end in ("lose_client", "stop"):
            body, exchange, file = self.body(Part(0, SIZE))
            body.start()
            if end == "stop":
                body.stopProducing()
            else:
                exchange.lose_client()
            self.assertTrue(file.closed)
            before = exchange.writes
            self.run_turns()
            body.resumeProducing()
            self.assertEqual(exchange.writes, before)

    def test_counted(self) -> None:
        """
        A file counts while it is open: until it is sent, nobody waits, or it is forgotten.
        """
        one, two, three = (self.body(Part(0, SIZE), room=PIECE) for _ in range(3))
        for body, _, _ in (one, two, three):
            body.start()
        self.assertEqual(self.files.count, 3)
        one[1].read_on(1 << 40)
        self.run_turns()
        two[0].client_gone()
        two[0].stopProducing()
        self.assertEqual(self.files.count, 1)
        three[1].producer = three[1].receiver = None
        del three, body
        gc.collect()
        self.assertEqual(self.files.count, 0)

    def test_crowded(self) -> None:
        """
        A client that has much unread already gets it by the mouthful, and still all of it.
        """
        body, exchange, _file = self.body(Part(0, SIZE))
        exchange.crowded = True
        body.start()
        self.assertEqual(len(exchange.body), PIECES_PER_TURN * MOUTHFUL)
        exchange.crowded = False
        self.run_turns()
        self.assertEqual(exchange.body, CONTENT[:SIZE])

    def test_goneInsideAWrite(self) -> None:
        """
        The client may be lost by the very write that it was sent.
        """

        class Losing(KeptExchange):
            def write(self, data: bytes) -> None:
                super().write(data)
                body.stopProducing()

        body, exchange, file = self.body(Part(0, SIZE), kind=Losing)
        body.start()
        self.assertTrue(file.closed)
        self.assertEqual(exchange.writes, 1)
        self.assertEqual(self.turns, [])

    def test_cutOff(self) -> None:
        """
        A file that gets shorter meanwhile breaks the answer off: never a clean end.
        """
        body, exchange, file = self.body(Part(0, SIZE), room=PIECE)
        body.start()
        os.truncate(self.path, PIECE)
        exchange.read_on(1 << 40)
        self.assertEqual(exchange.over, "aborted")
        self.assertTrue(file.closed)

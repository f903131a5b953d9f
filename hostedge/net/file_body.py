"""
Sends parts of an open file as the body of an answer.

In:  `mappings.static` starts one for each answer that is too large for one write.
Out: pieces to the exchange, none while its client reads too slowly.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence

from attrs import frozen
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from hostedge.http.exchange import MOUTHFUL, Exchange
from hostedge.net.descriptors import Files

PIECE = 65_536
# A disk may be slow and every other request of the edge waits meanwhile: so many pieces, and
# then the others have their turn. A client on a fast line would never pause us.
PIECES_PER_TURN = 4


@frozen
class Part:
    """Bytes `start` to `end` of the file, the latter not included, after some bytes of ours."""

    start: int
    end: int
    head: bytes = b""


@implementer(IPushProducer)
class FileBody:
    """
    Owns the file, and closes it when the answer ends in whatever way.

    The file is a `FileIO` and no bare descriptor: should the exchange be dropped without a
    word, the file is closed with it.
    """

    def __init__(
        self,
        exchange: Exchange,
        file: io.FileIO,
        parts: Sequence[Part],
        tail: bytes,
        next_turn: Callable[[Callable[[], None]], None],
        files: Files,
    ) -> None:
        self._exchange = exchange
        self._file = file
        self._parts = list(reversed(parts))
        self._tail = tail
        self._next_turn = next_turn
        self._files = files
        files.count += 1
        self._offset = parts[0].start
        self._head = parts[0].head
        self._paused = self._waiting = False

    def start(self) -> None:
        """Send as much as the client takes; the exchange's answer has begun."""
        self._exchange.receive(self)
        self._exchange.register_producer(self)
        self._send()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        if self._paused:
            self._paused = False
            self._send()

    def stopProducing(self) -> None:
        self._close()

    def body_data(self, data: bytes) -> None:
        """A file needs nothing of a request's body."""

    def body_end(self) -> None:
        """Nor its end."""

    def client_gone(self) -> None:
        self._close()

    def _close(self) -> None:
        if not self._file.closed:
            self._files.count -= 1
            self._file.close()

    def __del__(self) -> None:
        self._close()

    def _send(self) -> None:
        if self._waiting:
            return
        for _ in range(PIECES_PER_TURN):
            if self._paused or self._file.closed:
                return
            if not self._send_piece():
                return
        if not self._paused and not self._file.closed:
            self._waiting = True
            self._next_turn(self._my_turn)

    def _my_turn(self) -> None:
        self._waiting = False
        self._send()

    def _send_piece(self) -> bool:
        """Send one piece; False when there is no more, or the file was cut off meanwhile."""
        part = self._parts[-1]
        most = MOUTHFUL if self._exchange.crowded else PIECE
        try:
            data = os.pread(self._file.fileno(), min(most, part.end - self._offset), self._offset)
        except OSError:
            data = b""
        if not data:
            self._close()
            self._exchange.abort()
            return False
        # everything is in order before `write`: it may call us again, or stop us
        self._offset += len(data)
        data, self._head = self._head + data, b""
        last = False
        if self._offset == part.end:
            self._parts.pop()
            last = not self._parts
            if last:
                data += self._tail
                self._close()
            else:
                self._offset = self._parts[-1].start
                self._head = self._parts[-1].head
        self._exchange.write(data)
        if last:
            self._exchange.finish()
        return not last

"""
Answers that are longer than memory should hold: sent piece by piece, as fast as they are read.

In:  calls of the API whose answer is a copy of the store, or many lines.
Out: pieces into the request; none is made while the client does not read.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from threading import Lock
from typing import BinaryIO

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.web.server import Request
from zope.interface import implementer

from hostedge.api.parts import InThread

PIECE = 64 * 1024


@implementer(IPushProducer)
class Stream:
    """The way of pieces into one answer; ends when they end or the client is gone."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._paused: Deferred[None] | None = None
        self._gone = False

    async def send(self, pieces: AsyncGenerator[bytes, None]) -> None:
        """Write until there are no more; the caller finishes the request."""
        self._request.registerProducer(self, True)
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    if self._gone:
                        return
                    self._request.write(piece)
                    if self._paused is not None:
                        await self._paused
        finally:
            if not self._gone:
                self._request.unregisterProducer()

    def pauseProducing(self) -> None:
        if self._paused is None:
            self._paused = Deferred()

    def resumeProducing(self) -> None:
        paused, self._paused = self._paused, None
        if paused is not None:
            paused.callback(None)

    def stopProducing(self) -> None:
        self._gone = True
        self.resumeProducing()


class Lines:
    """Lines that are made in threads, handed out in pieces; one thread at a time."""

    def __init__(self, lines: Iterator[str], in_thread: InThread) -> None:
        self._lines = lines
        self._in_thread = in_thread
        self._lock = Lock()
        self._closed = False

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """All lines; what the lines hold open is closed in the end, come what may."""
        try:
            while piece := await self._in_thread(self._piece):
                yield piece
        finally:
            # not awaited: a cancelled call ends now, its thread when it is done
            self._in_thread(self._close)

    def _piece(self) -> bytes:
        with self._lock:
            done: list[str] = []
            size = 0
            while size < PIECE and not self._closed:
                line = next(self._lines, None)
                if line is None:
                    break
                done.append(line)
                size += len(line)
            return "".join(done).encode()

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            close: Callable[[], None] | None = getattr(self._lines, "close", None)
            if close is not None:
                close()


async def file_pieces(file: BinaryIO) -> AsyncGenerator[bytes, None]:
    """A file that was written a moment ago: its pages are in memory, so no thread is needed."""
    with file:
        while piece := file.read(PIECE):
            yield piece

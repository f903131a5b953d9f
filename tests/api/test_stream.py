"""Tests of `hostedge.api.stream`."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.trial.unittest import SynchronousTestCase

from hostedge.api.stream import PIECE, Lines, Stream, file_pieces


class Consumer:
    """The request, as a stream sees it; pauses after every piece."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.producer: Any = None

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        assert streaming
        self.producer = producer

    def unregisterProducer(self) -> None:
        self.producer = None

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.producer.pauseProducing()


class Source:
    """Lines, with a note about how far they were read and whether they were closed."""

    def __init__(self, lines: int) -> None:
        self.made = 0
        self.closed = False
        self._lines = lines

    def __iter__(self) -> Iterator[str]:
        try:
            for number in range(self._lines):
                self.made += 1
                yield f"{number:07}\n"
        finally:
            self.closed = True


class StreamTests(SynchronousTestCase):
    """Pieces go out as fast as they are read, no faster."""

    def send(self, lines: int) -> tuple[Consumer, Source, Deferred[None]]:
        consumer, source = Consumer(), Source(lines)
        pieces = Lines(iter(source), maybeDeferred).pieces()
        return consumer, source, Deferred.fromCoroutine(Stream(consumer).send(pieces))

    def test_backpressure(self) -> None:
        """
        While the reader is slow, one piece waits and no other is made.
        """
        consumer, source, done = self.send(30_000)
        self.assertEqual([len(piece) for piece in consumer.written], [PIECE])
        self.assertEqual(source.made, PIECE // 8)
        self.assertNoResult(done)
        consumer.producer.resumeProducing()
        self.assertEqual(source.made, 2 * PIECE // 8)
        consumer.producer.resumeProducing()
        consumer.producer.resumeProducing()
        consumer.producer.resumeProducing()
        self.successResultOf(done)
        self.assertEqual(
            b"".join(consumer.written), "".join(f"{n:07}\n" for n in range(30_000)).encode()
        )
        self.assertIsNone(consumer.producer)
        self.assertTrue(source.closed)

    def test_readerGone(self) -> None:
        """
        When the reader leaves, the source is closed and nothing more is written.
        """
        consumer, source, done = self.send(30_000)
        consumer.producer.stopProducing()
        self.successResultOf(done)
        self.assertEqual(len(consumer.written), 1)
        self.assertTrue(source.closed)

    def test_cancelled(self) -> None:
        """
        A call that is cancelled while it waits closes its source too.
        """
        _, source, done = self.send(30_000)
        done.addErrback(lambda _: None)
        done.cancel()
        self.assertTrue(source.closed)

    def test_brokenSource(self) -> None:
        """
        An exception of the source is the caller's; the stream is taken off the request.
        """

        def broken() -> Iterator[str]:
            yield "x" * PIECE
            raise KeyError("row")

        consumer = Consumer()
        sending = Stream(consumer).send(Lines(broken(), maybeDeferred).pieces())
        done = Deferred.fromCoroutine(sending)
        consumer.producer.resumeProducing()
        self.failureResultOf(done, KeyError)
        self.assertIsNone(consumer.producer)

    def test_files(self) -> None:
        """
        A file is sent to its last byte and closed.
        """
        file = BytesIO(b"x" * (PIECE + 1))
        consumer = Consumer()
        done = Deferred.fromCoroutine(Stream(consumer).send(file_pieces(file)))
        consumer.producer.resumeProducing()
        consumer.producer.resumeProducing()
        self.successResultOf(done)
        self.assertEqual([len(piece) for piece in consumer.written], [PIECE, 1])
        self.assertTrue(file.closed)

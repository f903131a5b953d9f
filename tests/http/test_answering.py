"""What exchanges of both protocols do alike."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.answering import CLIENT_GONE, Answering
from tests.http.h2_parts import H2Scene, request
from tests.http.parts import Scene, Waiting

POST = b"POST / HTTP/1.1\r\nHost: a.test\r\nAccept: text/html\r\nContent-Length: 9\r\n\r\n"


class Receiver:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def body_data(self, data: bytes) -> None:
        self.heard.append(data)

    def body_end(self) -> None:
        self.heard.append("end")

    def client_gone(self) -> None:
        self.heard.append("gone")


class AnsweringTests(SynchronousTestCase):
    """An exchange whose body has not come yet, by either protocol."""

    def exchanges(self) -> Iterator[tuple[Answering, Scene]]:
        leaf = Waiting()
        first = Scene(leaf)
        first.connect()[0].dataReceived(POST)
        second = H2Scene(leaf)
        accept = ("accept", "text/html")
        second.meet()[0].dataReceived(request(1, "POST", "/", accept, end=False))
        yield from zip(leaf.exchanges, (first, second), strict=True)

    def test_refused(self) -> None:
        """A cause becomes its answer, in the form that the client takes; and only once."""
        for exchange, scene in self.exchanges():
            self.assertIsInstance(exchange, Answering)
            exchange.refuse("no_server")
            exchange.refuse("internal")
            (line,) = scene.recorded
            self.assertEqual((line.status, line.cause, line.whole), (503, "no_server", True))
            self.assertEqual(scene.counters["refused_no_server"], 1)
            self.assertEqual(scene.counters["refused_internal"], 0)

    def test_refusedTooLate(self) -> None:
        """What has begun is broken off instead, and counted for the same cause."""
        for exchange, scene in self.exchanges():
            exchange.begin(200, [], None)
            exchange.refuse("upstream_died")
            (line,) = scene.recorded
            self.assertEqual((line.status, line.cause, line.whole), (200, "upstream_died", False))
            self.assertEqual(scene.counters["refused_upstream_died"], 1)

    def test_clientIsGone(self) -> None:
        """The receiver hears it, once; nobody was answered."""
        for exchange, scene in self.exchanges():
            receiver = Receiver()
            exchange.receive(receiver)
            exchange.lose_client()
            exchange.lose_client()
            exchange.resume_body()
            self.assertEqual(receiver.heard, ["gone"])
            (line,) = scene.recorded
            self.assertEqual((line.status, line.whole), (CLIENT_GONE, False))

    def test_goneMeanwhile(self) -> None:
        """An answer that had begun keeps its status."""
        for exchange, scene in self.exchanges():
            exchange.begin(200, [], None)
            exchange.lose_client()
            self.assertEqual((scene.recorded[0].status, scene.recorded[0].whole), (200, False))

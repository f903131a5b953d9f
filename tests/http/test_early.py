"""Bodies that are asked for once the app has started."""

from __future__ import annotations

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from tests.http.network import received
from tests.http.test_app_backend import CONTINUE, EXPECTING, OK, Answer, AppCase


class EarlyTests(AppCase):
    """An app that sleeps, and a client that waits for `100 Continue`."""

    def test_onceItRuns(self) -> None:
        """Nothing is asked of the client before; while it sends it has no place."""
        protocol, client = self.scene.connect()
        protocol.dataReceived(EXPECTING)
        self.assertEqual((client.value(), len(self.keeper.asked)), (b"", 1))
        self.wake()
        self.assertEqual(client.value(), CONTINUE)
        self.assertEqual((self.backend.places.taken, len(self.backend.places)), (0, 0))
        self.assertTrue(self.played.nobody_waits)
        protocol.dataReceived(b"x")
        self.assertTrue(received(self.played.accept()).endswith(b"\r\n\r\nx"))
        self.answer()
        self.assertIn(b" 200 OK\r\n", client.value())
        self.assertEqual(self.backend.places.taken, 0)

    def test_whatItWaitedFor(self) -> None:
        """That the app had to start is in the log, and what it had to wait for besides."""
        self.test_onceItRuns()
        (exchange,) = self.scene.recorded
        spent = exchange.spent or {}
        self.assertGreater(spent["start"], 0.0)
        self.assertIn("queue", spent)
        self.assertEqual(self.backend.traffic.queue_seconds, spent["queue"])

    def test_whoDoesNotWait(self) -> None:
        """A body that comes all the same is not lost."""
        client = self.ask(EXPECTING + b"x")
        self.assertEqual(client.value(), b"")
        self.wake()
        self.assertTrue(received(self.played.accept()).endswith(b"\r\n\r\nx"))
        self.answer(OK)
        self.assertIn(b" 200 OK\r\n", client.value())

    def test_startFails(self) -> None:
        """The client keeps its body."""
        client = self.ask(EXPECTING)
        self.keeper.waiting.pop().callback(Answer(0, "", "crash_loop", 60.0))
        self.assertEqual(self.reason(client), (503, b"crash_loop"))

    def test_clientGoes(self) -> None:
        """Who has gone is in no line."""
        protocol, _ = self.scene.connect()
        protocol.dataReceived(EXPECTING)
        self.assertEqual(len(self.backend.places), 1)
        protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual((len(self.backend.places), self.means.waiting.taken), (0, 0))
        self.assertTrue(self.keeper.waiting[0].called)

    def test_runs(self) -> None:
        """An app that runs has nobody wait."""
        self.backend.moved(1, self.played.address)
        self.assertEqual(self.ask(EXPECTING).value(), CONTINUE)

"""When an app answers."""

from __future__ import annotations

import os
import socket

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import UpstreamFailed
from hostedge.http.probe import LINGER, Probe, pause
from tests.http.network import Network, PlayedApp, is_ended, make_means, received


class ProbeTests(SynchronousTestCase):
    """Held listeners and polled ports."""

    def setUp(self) -> None:
        self.network = Network()
        self.means = make_means(self.network)
        self.played = PlayedApp()
        self.addCleanup(self.played.close)

    def test_held(self) -> None:
        """One request waits in the backlog, however long, until the app answers anything."""
        answered = Probe(self.means, self.played.address, "a.test", True).start()
        self.network.pass_time(200)
        self.assertNoResult(answered)
        served = self.played.accept()
        self.assertIn(b"OPTIONS / HTTP/1.1\r\nHost: a.test\r\n", received(served))
        served.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 5\r\n\r\n")
        self.network.turn()
        self.successResultOf(answered)
        # the body that it has promised does not come
        self.network.pass_time(LINGER)
        self.assertTrue(is_ended(served))

    def test_answerIsTaken(self) -> None:
        """An app that has begun to answer can finish, and hears of no broken connection."""
        answered = Probe(self.means, self.played.address, "a.test", True).start()
        served = self.played.accept()
        received(served)
        served.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        self.network.turn()
        self.successResultOf(answered)
        self.assertFalse(is_ended(served))
        served.sendall(b"67890")
        served.shutdown(socket.SHUT_WR)
        self.network.turn()
        self.assertTrue(is_ended(served))
        # an end in the middle is nobody's failure any more
        answered = Probe(self.means, self.played.address, "a.test", True).start()
        served = self.played.accept()
        served.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        self.network.turn()
        self.successResultOf(answered)
        served.close()
        self.network.pass_time(LINGER)
        self.successResultOf(answered)

    def test_heldAndGone(self) -> None:
        """A connection that ends without an answer is a failure, and so is nonsense."""
        for text, cause in ((b"", "upstream_died"), (b"hello\r\n", "bad_response")):
            answered = Probe(self.means, self.played.address, "a.test", True).start()
            served = self.played.accept()
            received(served)
            served.sendall(text)
            served.close()
            self.network.turn()
            self.assertEqual(self.failureResultOf(answered, UpstreamFailed).value.cause, cause)

    def test_heldAndFull(self) -> None:
        """A held listener that has no room for the probe has been found by others first."""
        filling = [socket.socket(socket.AF_UNIX) for _ in range(100)]
        for one in filling:
            self.addCleanup(one.close)
            one.setblocking(False)
            one.connect_ex(self.played.path)
        answered = Probe(self.means, self.played.address, "a.test", True).start()
        self.network.pass_time(1)
        self.assertNoResult(answered)
        while not self.played.nobody_waits:
            self.played.accept()
        self.network.pass_time(0.5)
        self.played.accept().sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        self.network.turn()
        self.successResultOf(answered)

    def test_polled(self) -> None:
        """A port is tried until it accepts and is answered."""
        self.played.close()
        answered = Probe(self.means, self.played.address, "a.test", False).start()
        self.network.pass_time(2)
        self.assertNoResult(answered)
        tries = self.means.counters["upstream_connects"]
        self.assertGreater(tries, 5)
        other = PlayedApp()
        self.addCleanup(other.close)
        self.played.listener = other.listener
        os.rename(other.path, self.played.path)
        self.network.pass_time(0.5)
        served = other.accept()
        served.close()
        self.network.pass_time(0.5)
        other.accept().sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        self.network.turn()
        self.successResultOf(answered)
        self.assertEqual([c for c in self.network.getDelayedCalls() if c.active()][1:], [])

    def test_cancelled(self) -> None:
        """A probe that nobody wants leaves nothing behind."""
        answered = Probe(self.means, self.played.address, "a.test", True).start()
        served = self.played.accept()
        answered.cancel()
        self.failureResultOf(answered, CancelledError)
        self.network.turn()
        self.assertTrue(is_ended(served))

    def test_pause(self) -> None:
        """Often at first, then less."""
        self.assertEqual([pause(t) for t in (0.0, 2.0, 9.0)], [0.025, 0.05, 0.25])

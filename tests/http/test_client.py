"""What the connections of both protocols do alike."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.internet.address import IPv4Address
from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.client import LINGER_SIZE, ClientConnection
from tests.http.h2_parts import H2Scene
from tests.http.parts import ClientEnd, EchoLeaf, Scene, with_limits


class ClientTests(SynchronousTestCase):
    """A client's connection, by either protocol."""

    def clients(self) -> Iterator[tuple[ClientConnection, ClientEnd, Scene]]:
        leaf = EchoLeaf()
        limits = with_limits(write_timeout=20.0)
        first, second = Scene(lambda _: leaf, limits), H2Scene(lambda _: leaf, limits)
        yield *first.connect(), first
        connection, transport = second.meet()[:2]
        yield connection, transport, second

    def test_facts(self) -> None:
        """It knows who the client is, is counted once, and watched until its end."""
        for connection, transport, scene in self.clients():
            self.assertEqual(connection.client, transport.getPeer().host)
            self.assertEqual(connection.client_port, transport.getPeer().port)
            self.assertEqual(connection.local_port, transport.getHost().port)
            self.assertEqual(scene.counters["http_connections"], 1)
            self.assertIn(connection, scene.entrance.connections)
            transport.loseConnection()
            self.assertNotIn(connection, scene.entrance.connections)

    def test_nothingIsTaken(self) -> None:
        """Who takes nothing for as long as is allowed is ended and counted; who takes, is not."""
        for connection, transport, scene in self.clients():
            connection._written += 100
            transport.unsent = 100
            connection.deadline = 0.0
            scene.wheel.hasten(connection)
            scene.pass_time(15)
            transport.unsent = 90
            scene.pass_time(15)
            self.assertFalse(transport.aborted)
            scene.pass_time(20)
            self.assertTrue(transport.aborted)
            self.assertEqual(scene.counters["http_write_stalled"], 1)

    def test_lingering(self) -> None:
        """What comes after a refusal is read for a while, and not without end."""
        for connection, transport, _ in self.clients():
            connection.dataReceived(b"\0" * 200)
            self.assertTrue(transport.half_closed)
            connection.dataReceived(b"x" * LINGER_SIZE)
            self.assertFalse(transport.aborted)
            connection.dataReceived(b"x")
            self.assertTrue(transport.aborted)

    def test_renewal(self) -> None:
        """After how many requests it is renewed is not the same for all, a tenth more or less."""
        most = set()
        for connection, _, scene in self.clients():
            for port in range(4000, 4201):
                another = type(connection)(scene.entrance)
                another.makeConnection(ClientEnd(peerAddress=IPv4Address("TCP", "192.0.2.1", port)))
                most.add(another._most)
        self.assertEqual((min(most), max(most), len(most)), (9000, 11_000, 201))

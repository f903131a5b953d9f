"""Connections that are kept, and what they are kept for."""

from __future__ import annotations

import socket

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.exchange import Fields
from hostedge.http.upstream import Upstream, UpstreamConnection
from hostedge.settings import Limits
from tests.http.network import Network, PlayedApp, is_ended, make_means, received


class Asker:
    """Takes a connection, sends what it is told to, notes what it hears."""

    def __init__(self) -> None:
        self.connection: UpstreamConnection | None = None
        self.heard: list[object] = []

    def connected_to(self, connection: UpstreamConnection) -> None:
        self.connection = connection

    def connect_failed(self, cause: str) -> None:
        self.heard.append(cause)

    def informed(self, fields: Fields) -> None:
        self.heard.append(("hints", fields))

    def response_begins(
        self, status: int, fields: Fields, length: int | None, data: bytes, whole: bool
    ) -> None:
        self.heard.append((status, length, data, whole))

    def response_data(self, data: bytes, whole: bool) -> None:
        self.heard.append((data, whole))

    def upstream_failed(self, cause: str, answered: bool) -> None:
        self.heard.append((cause, answered))


class Upgraded:
    """Who has the bytes after an upgrade."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def dataReceived(self, data: bytes) -> None:
        raise AssertionError("nothing was sent")

    def connection_lost(self) -> None:
        self.heard.append("lost")

    def cut(self, cause: str) -> None:
        self.heard.append(cause)


class UpstreamTests(SynchronousTestCase):
    """One address."""

    def setUp(self) -> None:
        self.network = Network()
        self.app = PlayedApp()
        self.addCleanup(self.app.close)
        self.means = make_means(self.network)
        self.upstream = self.means.upstream(self.app.address)
        self.addCleanup(self.upstream.cut, "upstream_died")

    def ask(self, upstream: Upstream | None = None) -> Asker:
        asker = Asker()
        (upstream or self.upstream).connect(asker, Limits())
        if asker.connection is not None:
            asker.connection.send(b"GET / HTTP/1.1\r\n\r\n", asker, False, True, Limits())
        return asker

    def test_lastUsedFirst(self) -> None:
        """The connection that was used last is taken first, so that the others can end."""
        askers = [self.ask(), self.ask()]
        for asker in askers:
            self.app.accept().sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            self.network.turn()
            self.assertEqual(asker.heard, [(200, 0, b"", True)])
        self.assertIs(self.upstream.take(False), askers[1].connection)
        self.assertIs(self.upstream.take(False), askers[0].connection)
        self.assertIsNone(self.upstream.take(False))

    def test_endedByTheApp(self) -> None:
        """An idle connection that the app ends is not given to anybody."""
        self.ask()
        served = self.app.accept()
        served.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        self.network.turn()
        received(served)
        served.close()
        self.network.turn()
        self.assertIsNone(self.upstream.take(False))
        self.assertEqual(self.upstream.open, set())

    def test_notKept(self) -> None:
        """After `Connection: close`, and with HTTP/1.0, a connection is not used again."""
        for text in (
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        ):
            self.ask()
            served = self.app.accept()
            served.sendall(text)
            self.network.turn()
            self.assertTrue(is_ended(served))
            self.assertIsNone(self.upstream.take(False))

    def test_tcp(self) -> None:
        """TCP addresses, also by name, connect in their own time; patience ends."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            for address in (f"127.0.0.1:{port}", f"localhost:{port}"):
                upstream = self.means.upstream(address)
                asker = Asker()
                upstream.connect(asker, Limits())
                self.network.turn()
                self.assertIsNotNone(asker.connection)
                upstream.cut("upstream_died")
        self.network.turn()
        asker = self.ask(upstream)
        self.network.turn()
        self.assertEqual(asker.heard, ["upstream_refused"])

    def test_slowConnect(self) -> None:
        """A connection that is not made within its time has failed; one given up says nothing."""
        far, here = self.means.upstream("192.0.2.1:9"), self.means.upstream("127.0.0.1:9")
        patient, gone, near = Asker(), Asker(), Asker()
        for asker, upstream in ((patient, far), (gone, far), (near, here)):
            connection = UpstreamConnection(upstream, asker, Limits())
            connection._attempt = never = _Never(connection)
            connection.deadline = self.means.wheel.now + 4.0
            self.means.wheel.watch(connection)
            if asker is gone:
                connection.forget_caller()
                self.assertTrue(never.given_up)
        self.network.pass_time(5)
        self.assertEqual((patient.heard, gone.heard), (["connect_timeout"], []))
        self.assertEqual(near.heard, ["queue_full"], "here it can only be a backlog")

    def test_patience(self) -> None:
        """Each caller's own; to this machine never more than a second."""
        network, asker = self.network, Asker()
        for address, limits, patience in (
            ("192.0.2.1:1", Limits(), 4.0),
            ("192.0.2.1:1", evolve(Limits(), connect_timeout=20.0), 20.0),
            ("127.0.0.1:1", evolve(Limits(), connect_timeout=20.0), 1.0),
            ("[::1]:1", Limits(), 1.0),
            ("localhost:1", evolve(Limits(), connect_timeout=0.5), 0.5),
        ):
            given: list[float] = []
            upstream = self.means.upstream(address)
            begin = UpstreamConnection.begin
            self.patch(
                UpstreamConnection, "begin", lambda *args, given=given: given.append(args[3])
            )
            upstream.connect(asker, limits)
            self.patch(UpstreamConnection, "begin", begin)
            network.turn()
            self.assertEqual(given, [patience], address)

    def test_cutRequests(self) -> None:
        """What was upgraded is let be where requests are cut, and cut where all is."""
        asker, upgraded = self.ask(), self.ask()
        successor = Upgraded()
        upgraded.connection.hand_over(successor)
        self.upstream.cut("upstream_died", upgraded=False)
        self.assertEqual((asker.heard, successor.heard), ([("upstream_died", True)], []))
        self.upstream.cut("suspended")
        self.assertEqual(successor.heard, ["suspended"])
        self.assertEqual(len(asker.heard), 1)
        upgraded.connection.transport.abortConnection()

    def test_idleLife(self) -> None:
        """As the node says, unless it is known how long an app keeps it."""
        means = make_means(self.network, evolve(Limits(), upstream_keepalive=9.0))
        self.assertEqual(means.upstream("unix:/x").idle_life, 9.0)
        self.assertEqual(means.upstream("unix:/x", kept=20.0).idle_life, 19.0)

    def test_closed(self) -> None:
        """A closed upstream ends its idle connections now, busy ones when they are done."""
        asker = self.ask()
        served = self.app.accept()
        self.upstream.close()
        served.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        self.network.turn()
        self.assertEqual(len(asker.heard), 1)
        self.assertTrue(is_ended(served))

    def test_pausedIsNotLate(self) -> None:
        """A response that is held back is not late, whatever was on its way already."""
        asker = self.ask()
        served = self.app.accept()
        served.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na")
        self.network.turn()
        asker.connection.pause()
        asker.connection.dataReceived(b"b")
        self.network.pass_time(self.means.limits.response_timeout + 10)
        self.assertEqual(asker.heard, [(200, 4, b"a", False), (b"b", False)])
        asker.connection.resume()
        self.network.pass_time(self.means.limits.response_timeout + 10)
        self.assertEqual(asker.heard[2:], [("response_timeout", True)])

    def test_cut(self) -> None:
        """What is cut fails at once, without hope of a second try."""
        asker = self.ask()
        self.upstream.cut("suspended")
        self.assertEqual(asker.heard, [("suspended", True)])

    def test_cutBeforeItIsMade(self) -> None:
        """Also while a connection is being made, or its name looked up."""
        lookup: Deferred[str] = Deferred()
        means = evolve(self.means, resolve=lambda name: lookup)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            for address in (f"127.0.0.1:{port}", f"app.test:{port}"):
                upstream = means.upstream(address)
                asker = Asker()
                self.assertTrue(upstream.connect(asker, Limits()).pending)
                upstream.cut("suspended")
                self.assertEqual(asker.heard, [("suspended", True)])
                self.assertEqual(upstream.open, set())
            lookup.callback("127.0.0.1")
            self.network.turn()
            self.assertEqual(asker.heard, [("suspended", True)])
            self.assertIsNone(asker.connection)

    def test_openIsWhatThereIs(self) -> None:
        """Connections that fail, or that nobody waits for any more, are not counted."""
        upstream = evolve(self.means, resolve=lambda name: Deferred()).upstream("app.test:1")
        upstream.connect(Asker(), Limits()).forget_caller()
        refused = self.means.upstream(self.app.address + ".not")
        refused.connect(Asker(), Limits())
        self.assertEqual((upstream.open, refused.open), (set(), set()))

    def test_learn(self) -> None:
        """An app that says how long it waits is believed, within reason."""
        for said, wanted in ((b"timeout=15, max=100", 14.0), (b"timeout=1", 0.5), (b"x", 0.5)):
            self.upstream.learn(said)
            self.assertEqual(self.upstream.idle_life, wanted)
        self.upstream.learn(b"timeout=86400")
        self.assertEqual(self.upstream.idle_life, 60.0)


class _Never:
    """An attempt that the network never answers."""

    def __init__(self, connection: UpstreamConnection) -> None:
        self.connection = connection
        self.given_up = False

    def give_up(self) -> None:
        self.given_up = True
        self.connection.connection_failed(TimeoutError())

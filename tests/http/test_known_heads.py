"""Heads that have come before: what is found out about them a second time is the same."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.h1 import H1, HOPE
from hostedge.http.known_heads import LONGEST, MOST
from tests.http.parts import ClientEnd, Scene, Waiting, with_limits

GET = b"GET /a/../b?c HTTP/1.1\r\nHost: A.test:80\r\nX-A: b\r\n\r\n"
# of each of these something would be lost
NOT_KEPT = (
    b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: X-A\r\nX-A: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX_A: b\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\r",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n\x00",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\na",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n",
    b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
    # of one client alone
    b"GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nauthorization: Basic YQ==\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: %b\r\n\r\n" % bytes(LONGEST).replace(b"\0", b"x"),
)


class KnownHeadsTests(SynchronousTestCase):
    """An entrance, and who comes in."""

    def setUp(self) -> None:
        self.leaf = Waiting()
        self.scene = Scene(self.leaf)
        self.known = self.scene.entrance.known_heads

    def connect(self) -> tuple[H1, ClientEnd]:
        return self.scene.connect()

    def ask(self, protocol: H1, data: bytes) -> None:
        protocol.dataReceived(data)
        if self.leaf.exchanges:
            self.leaf.exchanges[-1].respond(200, [], b"")

    def teach(self) -> None:
        """Have the one head known."""
        protocol, _ = self.connect()
        for _ in range(2):
            self.ask(protocol, GET)
        self.assertIn(GET, self.known)
        self.leaf.exchanges.clear()

    def test_sameFacts(self) -> None:
        """Who sends the same bytes, on whatever connection, asks for the same; and is counted."""
        for kept in ([], [GET], [GET]):
            protocol, client = self.connect()
            self.ask(protocol, GET)
            self.assertEqual([*self.known], kept)
            self.ask(protocol, GET)
            self.assertEqual(client.value().count(b"HTTP/1.1 200 OK"), 2)
        self.assertEqual([*self.known], [GET])
        found = {
            (x.method, x.target, x.path, x.query, x.host, x.authority, *x.fields, x.length)
            for x in self.leaf.exchanges
        }
        fields = (b"Host", b"A.test:80"), (b"X-A", b"b")
        wanted = (b"GET", b"/a/../b?c", b"/b", b"c", "a.test", b"A.test:80", *fields, 0)
        self.assertEqual(found, {wanted})
        self.assertEqual(self.leaf.heard, ["end"] * 6)
        self.assertEqual(self.scene.counters["http_requests"], 6)

    def test_onlyBetweenRequests(self) -> None:
        """The same bytes within a head, a body or behind a request are what they are there."""
        self.teach()
        protocol, _ = self.connect()
        protocol.dataReceived(GET)
        protocol.dataReceived(GET)
        self.assertEqual(len(self.leaf.exchanges), 1)
        protocol, client = self.connect()
        protocol.dataReceived(b"GET / HTTP/1.1\r\n")
        protocol.dataReceived(GET)
        self.assertTrue(client.value().startswith(b"HTTP/1.1 400"), client.value())
        protocol, _ = self.connect()
        protocol.dataReceived(
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(GET)
        )
        protocol.dataReceived(GET)
        self.assertIn(GET, self.leaf.heard)

    def test_notKept(self) -> None:
        """What asks for more than an answer, what is refused, and what nobody else will send."""
        for data in NOT_KEPT:
            answers = []
            for _ in range(3):
                protocol, client = self.connect()
                self.ask(protocol, data)
                self.leaf.exchanges.clear()
                answers.append(client.value())
            self.assertNotIn(data, self.known)
            self.assertEqual(answers, answers[:1] * 3)

    def test_afterAnEmptyLine(self) -> None:
        """One may stand before a request, known or not, and is not counted for the next."""
        self.teach()
        protocol, client = self.connect()
        for data in (GET, b"\r\n", GET, b"\r", b"\n" + GET, GET + b"\r\n", GET):
            protocol.dataReceived(data)
            if self.leaf.exchanges:
                self.leaf.exchanges.pop().respond(200, [], b"")
        self.assertEqual(client.value().count(b"HTTP/1.1 200 OK"), 5)
        protocol.dataReceived(GET + b"\r\n")
        self.leaf.exchanges.pop().respond(200, [], b"")
        protocol.dataReceived(b"\r\n" + GET)
        self.assertIn(b"HTTP/1.1 400", client.value())

    def test_headInPieces(self) -> None:
        """The last bytes of a head are no head."""
        protocol, _ = self.connect()
        protocol.dataReceived(b"GET /?")
        protocol.dataReceived(GET)
        self.assertEqual([*self.known], [])

    def test_otherLimits(self) -> None:
        """Each entrance judges by limits of its own."""
        strict = Scene(self.leaf, with_limits(target_size=4))
        for scene in (self.scene, strict) * 3:
            protocol, client = scene.connect()
            self.ask(protocol, GET)
            self.leaf.exchanges.clear()
            refused = client.value().startswith(b"HTTP/1.1 414")
            self.assertEqual(refused, scene is strict)

    def test_alwaysAnother(self) -> None:
        """Who asks for something else each time is not compared with others any more."""
        self.teach()
        protocol, client = self.connect()
        for number in range(HOPE):
            self.ask(protocol, b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
        other = b"GET /other HTTP/1.1\r\nHost: a\r\n\r\n"
        for data in (other, other, GET):
            self.ask(protocol, data)
        self.assertEqual([*self.known], [GET])
        self.assertEqual(client.value().count(b"HTTP/1.1 200 OK"), HOPE + 3)

    def test_bounded(self) -> None:
        """However many different heads come, few are kept."""
        most = 0
        for number in range(2 * MOST + 5):
            protocol, _ = self.connect()
            for _ in range(2):
                self.ask(protocol, b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number)
            most = max(most, len(self.known))
        self.assertEqual(most, MOST)
        self.assertLess(len(self.known), MOST)

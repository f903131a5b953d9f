"""What is kept of refused requests, and what is told of it."""

from __future__ import annotations

import json

from attrs import evolve, frozen
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.observe.refused import (
    FIRST,
    KEPT,
    Refusals,
    concerns,
    tell,
    without_secrets,
    written,
)
from tests.http.h2_parts import H2Scene, frame, request
from tests.http.parts import EchoLeaf, Scene


@frozen
class Client:
    """Whose request was refused."""

    client: str = "192.0.2.7"
    client_port: int = 4711
    local_port: int = 443
    protocol: str = "HTTP/1.1"


def refusals() -> Refusals:
    return Refusals(lambda: 1_700_000_000.5)


def keep(ring: Refusals, cause: str, id: str = "an-id", request: bytes = b"GET /") -> None:
    ring.keep(cause, Client(), b"https", id, request, host="www.a.test")


class RefusalsTests(SynchronousTestCase):
    """The ring of one edge."""

    def test_kept(self) -> None:
        """All that is known of a refusal is told, the newest first."""
        ring = refusals()
        keep(ring, "bad_host", "first")
        keep(ring, "loop", "second")
        second, first = map(tell, ring.newest())
        self.assertEqual((second["id"], second["number"]), ("second", 2))
        self.assertEqual(
            first,
            {
                "number": 1,
                "time": 1_700_000_000.5,
                "cause": "bad_host",
                "id": "first",
                "protocol": "HTTP/1.1",
                "scheme": "https",
                "client": "192.0.2.7",
                "client_port": 4711,
                "port": 443,
                "host": "www.a.test",
                "detail": "",
                "verbatim": False,
                "request": "GET /",
            },
        )

    def test_pages(self) -> None:
        """Who has seen some asks for what came before them."""
        ring = refusals()
        for _ in range(5):
            keep(ring, "loop")
        self.assertEqual([each.number for each in ring.newest(before=3)], [2, 1])

    def test_bounded(self) -> None:
        """No more are kept than shall be, and no more bytes of each."""
        ring = refusals()
        for number in range(KEPT + 50):
            keep(ring, "loop", f"{number}", b"x" * 5000)
        kept = list(ring.newest())
        self.assertEqual(len(kept), KEPT)
        self.assertEqual((kept[0].number, kept[-1].number), (KEPT + 50, 51))
        self.assertEqual({len(each.request) for each in kept}, {FIRST})

    def test_floodOfOneCause(self) -> None:
        """Who asks a thousand times for what is not there does not hide what others have sent."""
        ring = refusals()
        keep(ring, "bad_request", "rare")
        for _ in range(KEPT * 2):
            keep(ring, "not_found")
        kept = list(ring.newest())
        self.assertEqual(len(kept), KEPT)
        self.assertEqual(kept[-1].id, "rare")
        for _ in range(KEPT * 2):
            keep(ring, "loop")
        causes = [each.cause for each in ring.newest()]
        self.assertEqual(causes.count("loop"), KEPT // 2)
        self.assertEqual(causes[-1], "bad_request")


class WantedTests(SynchronousTestCase):
    """Who asks for some only."""

    def test_concerns(self) -> None:
        """By cause, by name or a name above it, and by the end of the error id."""
        ring = refusals()
        keep(ring, "loop", "0198-abcdef")
        (one,) = ring.newest()
        for asked in (
            ("", "", ""),
            ("loop", "", ""),
            ("", "www.a.test", ""),
            ("", "a.test", ""),
            ("", "*.a.test", ""),
            ("", "", "0198-abcdef"),
            ("loop", "a.test", "def"),
        ):
            self.assertTrue(concerns(one, *asked), asked)
        for asked in (
            ("no", "", ""),
            ("", "w.a.test", ""),
            ("", "ww.a.test", ""),
            ("", "", "0198"),
        ):
            self.assertFalse(concerns(one, *asked), asked)
        self.assertFalse(concerns(evolve(one, host=""), "", "a.test", ""))


class SecretTests(SynchronousTestCase):
    """What nobody shall read."""

    def test_masked(self) -> None:
        """Credentials and cookies are stars, as many as there were bytes; all else stays."""
        for line, told in (
            (b"Cookie: a=b; c", b"Cookie: **** *"),
            (b"cookie:x", b"cookie:*"),
            (b"Authorization: Basic eDp5", b"Authorization: ***** ****"),
            (b"PROXY-AUTHORIZATION: x", b"PROXY-AUTHORIZATION: *"),
            (b"X-Auth-Token: abc", b"X-Auth-Token: ***"),
            (b"Cookie : a=b", b"Cookie : ***"),
            (b" Cookie: a=b", b" Cookie: ***"),
            (b"\x00Cookie: a=b", b"\x00Cookie: ***"),
            (b"Cookie a=b", b"Cookie ***"),
            (b"Cookie: a\x00b", b"Cookie: *\x00*"),
            (b"Cookie: a\r\n b\r\n\tc\r\nX: y", b"Cookie: *\r\n *\r\n\t*\r\nX: y"),
            (b"Cookie: a\n b\nX: y", b"Cookie: *\n *\nX: y"),
            (b"Cookie: a\rb: c\r\nX: y", b"Cookie: *\r** *\r\nX: y"),
            (b"X: y\rCookie: a", b"X: y\rCookie: *"),
            (b"Cookie: a\r\n Cookie: b", b"Cookie: *\r\n ******* *"),
            (b"Accept: cookie/a", b"Accept: cookie/a"),
            (b"Cookies are nice", b"Cookies are nice"),
        ):
            head = b"GET /cookie?authorization HTTP/1.1\r\n%b\r\n\r\n"
            self.assertEqual(without_secrets(head % line), head % told)

    @given(st.binary(max_size=200))
    def test_placesStay(self, request: bytes) -> None:
        """Whatever comes, nothing moves; and it can be told."""
        self.assertEqual(len(without_secrets(request)), len(request))
        ring = refusals()
        keep(ring, "bad_request", request=request)
        (one,) = ring.newest()
        told = json.loads(json.dumps(tell(one)))
        self.assertEqual(len(told["request"]), len(request))

    def test_theSecretIsGone(self) -> None:
        """Cut wherever it is: no beginning of a secret is told."""
        head = b"GET / HTTP/1.1\r\nHost: a.test\r\nCookie: QZJ\r\n KVX\r\nUser-Agent: w\r\n\r\n"
        for end in range(len(head)):
            told = without_secrets(head[:end])
            self.assertFalse(set(told) & set(b"QZJKVX"), told)


class KeptByProtocolsTests(SynchronousTestCase):
    """What the protocols keep, by every way in which a request is refused."""

    def test_asItCame(self) -> None:
        """What was never parsed is kept byte for byte, however it was cut."""
        bad = b"GET / HTTP/1.1\r\nHost: a.test\r\nBad Field: x\r\n\r\n"
        for cut in range(1, len(bad)):
            scene = Scene(lambda exchange: EchoLeaf())
            protocol, transport = scene.connect()
            protocol.dataReceived(bad[:cut])
            if not transport.ended:
                protocol.dataReceived(bad[cut:])
            (one,) = scene.refusals.newest()
            self.assertEqual((one.cause, one.id, one.verbatim), ("bad_request", "the-id", True))
            # what comes after the fault need not have come yet
            self.assertTrue(bad.startswith(one.request))
            self.assertIn(b"Bad ", one.request)

    def test_nothingElse(self) -> None:
        """Of requests that are answered nothing is kept, also not beside one that is refused."""
        leaf = EchoLeaf()
        scene = Scene(lambda exchange: leaf)
        protocol, _ = scene.connect()
        for piece in (b"GET /a HTTP/1.1\r\nHo", b"st: a.test\r\n\r\n", b"GET /b HTTP/1.1\r\n"):
            protocol.dataReceived(piece)
        self.assertEqual(list(scene.refusals.newest()), [])
        protocol.dataReceived(b"Host: \x00\r\n\r\n")
        (one,) = scene.refusals.newest()
        self.assertEqual(one.request, b"GET /b HTTP/1.1\r\nHost: \x00\r\n\r\n")

    def test_whatWasRead(self) -> None:
        """A head that breaks a rule is kept with the reason that the client is not told."""
        scene = Scene(lambda exchange: "unknown_host")
        protocol, _ = scene.connect()
        protocol.dataReceived(b"GET /a HTTP/1.1\r\nHost: a\r\nHOST: b\r\n\r\n")
        (one,) = scene.refusals.newest()
        self.assertEqual((one.cause, one.detail), ("bad_host", "two Host fields"))
        self.assertEqual(one.request, b"GET /a HTTP/1.1\r\nHost: a\r\nHOST: b\r\n\r\n")

    def test_ofAnExchange(self) -> None:
        """What was routed to nowhere is kept with its host."""
        scene = Scene(lambda exchange: "unknown_host")
        protocol, _ = scene.connect()
        protocol.dataReceived(b"GET /a?b HTTP/1.1\r\nHost: A.test\r\n\r\n")
        (one,) = scene.refusals.newest()
        self.assertEqual((one.cause, one.host, one.verbatim), ("unknown_host", "a.test", False))
        self.assertEqual(one.request, b"GET /a?b HTTP/1.1\r\nHost: A.test\r\n\r\n")

    def test_inTheBody(self) -> None:
        """Where the framing of a body is wrong, it stands below the head."""
        head = b"POST /a HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n"
        leaf = EchoLeaf()
        scene = Scene(lambda exchange: leaf)
        protocol, _ = scene.connect()
        protocol.dataReceived(head)
        protocol.dataReceived(b"zz\r\n")
        (one,) = scene.refusals.newest()
        self.assertEqual((one.cause, one.host), ("bad_request", "a.test"))
        self.assertEqual(one.request, head + b"zz\r\n")

    def test_tooSlow(self) -> None:
        """Of a head that did not come in time it is kept what came."""
        scene = Scene(lambda exchange: EchoLeaf())
        protocol, _ = scene.connect()
        protocol.dataReceived(b"GET / HT")
        scene.pass_time(scene.limits.header_timeout + 2)
        (one,) = scene.refusals.newest()
        self.assertEqual((one.cause, one.request), ("header_timeout", b"GET / HT"))

    def test_http2(self) -> None:
        """A head is kept as its fields, and says what is wrong with it."""
        leaf = EchoLeaf()
        scene = H2Scene(lambda exchange: leaf)
        protocol = scene.meet()[0]
        protocol.dataReceived(request(1, "GET", "/", ("connection", "close")))
        protocol.dataReceived(request(3, "TRACE", "/"))
        method, malformed = scene.refusals.newest()
        self.assertEqual((method.cause, method.protocol), ("method", "HTTP/2"))
        self.assertTrue(method.request.startswith(b":method: TRACE\r\n"), method.request)
        self.assertEqual(malformed.cause, "h2_malformed")
        self.assertEqual(malformed.detail, "a field that must not be in HTTP/2")
        self.assertIn(b"connection: close\r\n", malformed.request)

    def test_http2Broken(self) -> None:
        """Of a connection that is ended it is kept why; its frames hold what cannot be masked."""
        leaf = EchoLeaf()
        scene = H2Scene(lambda exchange: leaf)
        protocol = scene.meet()[0]
        protocol.dataReceived(frame("PING", 0, 1, b"12345678"))
        (one,) = scene.refusals.newest()
        self.assertEqual((one.cause, one.detail), ("h2_broken", "a ping of a stream"))
        self.assertEqual(one.request, b"")


class WrittenTests(SynchronousTestCase):
    """A head that was read."""

    def test_written(self) -> None:
        """It reads as it was sent."""
        head = written(b"GET / HTTP/1.1", [(b"Host", b"a.test"), (b"X", b"y")])
        self.assertEqual(head, b"GET / HTTP/1.1\r\nHost: a.test\r\nX: y\r\n\r\n")

    def test_long(self) -> None:
        """Of a large one the beginning is enough."""
        head = written(b"GET / HTTP/1.1", [(b"X", b"y" * 1000)] * 100)
        self.assertEqual(len(head), FIRST)

"""Heads of HTTP/2 beside those of HTTP/1.1; the refused ones are case files of `test_h2`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import BadRequest
from hostedge.http.h1_reader import RequestReader, check_head, read_target
from hostedge.http.h2_head import METHODS, Malformed, Request, read_request
from hostedge.wire.host import request_host
from tests.http.h2_parts import asked
from tests.http.parts import with_limits

TEXT = st.text(st.characters(codec="latin-1"), max_size=12).map(lambda text: text.encode("latin-1"))


def read(method: str = "GET", path: str = "/", last: bool = True, **more: str) -> Request:
    fields = [(name.replace("_", "-"), value) for name, value in more.items()]
    return read_request(asked(method, path, *fields), 100, b"http", last)


class HeadTests(SynchronousTestCase):
    """Facts of valid heads."""

    def test_facts(self) -> None:
        """All parts of a head, each in its place."""
        got = read("POST", "/a/%62?q=1", last=False, content_length="3", accept="x", host="a.test")
        self.assertEqual(
            got,
            Request(
                method=b"POST",
                target=b"/a/%62?q=1",
                path=b"/a/b",
                query=b"q=1",
                host="a.test",
                authority=b"a.test",
                fields=[(b"content-length", b"3"), (b"accept", b"x")],
                length=3,
                expects=False,
                upgrade="",
            ),
        )

    def test_connect(self) -> None:
        """An extended CONNECT is a GET that asks for a WebSocket, whatever comes after it."""
        fields = [
            *((b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"http")),
            *((b":path", b"/chat?a"), (b":authority", b"a.test"), (b"origin", b"http://a.test")),
            (b"sec-websocket-version", b"13"),
        ]
        got = read_request(fields, 100, b"http", False)
        self.assertEqual((got.method, got.target, got.host), (b"GET", b"/chat?a", "a.test"))
        self.assertEqual((got.upgrade, got.length, got.expects), ("websocket", 0, False))
        got = read_request([*fields[:-1], (b"sec-websocket-version", b"8")], 100, b"http", False)
        self.assertEqual(got.upgrade, "websocket_version")

    def test_lengths(self) -> None:
        """Unknown only while more is to come."""
        self.assertEqual(read().length, 0)
        self.assertIsNone(read(last=False).length)
        self.assertEqual(read(last=False, content_length="0").length, 0)

    def test_expectations(self) -> None:
        """Only whoever has a body can wait with it."""
        self.assertTrue(read("POST", last=False, expect="100-Continue").expects)
        self.assertFalse(read("POST", expect="100-continue").expects)

    def test_crumbs(self) -> None:
        """Cookies that came one by one are one field."""
        block = [*asked(), (b"cookie", b"a=1"), (b"x", b"y"), (b"cookie", b"b=2")]
        fields = read_request(block, 100, b"http", True).fields
        self.assertEqual(fields, [(b"x", b"y"), (b"cookie", b"a=1; b=2")])

    def test_largeCookie(self) -> None:
        """They are as large as the one field that is made of them."""
        for count, allowed in ((15, True), (17, False)):
            crumbs = [(b"cookie", b"c%d=%b" % (n, b"x" * 1010)) for n in range(count)]
            block = [*asked(), *crumbs]
            size = sum(len(name) + len(value) + 32 for name, value in block)
            if allowed:
                cookie = dict(read_request(block, size, b"http", True).fields)[b"cookie"]
                self.assertEqual(cookie.count(b"; "), count - 1)
            else:
                with self.assertRaises(BadRequest) as caught:
                    read_request(block, size, b"http", True)
                self.assertEqual(caught.exception.cause, "large_head")

    def test_nodesLimits(self) -> None:
        """A node may take less than usual, or more."""
        large = [*asked("GET", "/" + "t" * 199), *[(b"x", b"y" * 300)] * 5]
        size = sum(len(name) + len(value) + 32 for name, value in large)
        usual = {"target_size": 200, "field_size": 400, "head_size": size, "head_fields": 9}
        read_request(large, size, b"http", True, with_limits(**usual))
        for name, cause in (
            ("target_size", "long_target"),
            ("field_size", "large_head"),
            ("head_size", "large_head"),
            ("head_fields", "large_head"),
        ):
            less = 250 if name == "field_size" else usual[name] - 1
            with self.assertRaises(BadRequest) as caught:
                read_request(large, size, b"http", True, with_limits(**{**usual, name: less}))
            self.assertEqual(caught.exception.cause, cause, name)

    def test_asterisk(self) -> None:
        """`*` is for OPTIONS."""
        self.assertEqual(read("OPTIONS", "*").target, b"*")
        self.assertRaises(BadRequest, read, "GET", "*")

    def test_refusedMethods(self) -> None:
        """Those that are nobody's business out here are told apart from those that are none."""
        for method in ("TRACE", "TRACK", "PURGE", "CONNECT"):
            refused = self.assertRaises(BadRequest, read, method)
            self.assertEqual(refused.cause, "method", method)
        self.assertEqual(self.assertRaises(BadRequest, read, "FOO").cause, "bad_request")

    def test_oddNames(self) -> None:
        """Fields that an app could take for others are counted; `make_head` keeps them here."""
        block = [*asked(), (b"x_forwarded_for", b"1"), (b"x.y", b"2"), (b"x-ok", b"3")]
        self.assertEqual(read_request(block, 100, b"http", True).odd, 2)

    def test_circles(self) -> None:
        """A request that passes here too often is refused, whichever field says so."""
        for name, value in (("via", "2 hostedge"), ("cdn-loop", "hostedge")):
            block = [*asked(), *[(name.encode(), value.encode())] * 3]
            refused = self.assertRaises(BadRequest, read_request, block, 100, b"http", True)
            self.assertEqual(refused.cause, "loop", name)

    def test_methods(self) -> None:
        """What the parser of HTTP/1 knows as a method is one here."""
        for method in METHODS:
            reader = RequestReader()
            reader.feed(method + b" / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            known = type(reader.events[0]) is tuple
            # the newest ones it may not know yet
            self.assertTrue(known or method == b"QUERY", method)

    @given(st.sampled_from([b"GET", b"POST", b"FOO", b"G T"]), TEXT, TEXT, TEXT)
    def test_asStrictAsHTTP1(self, method: bytes, path: bytes, host: bytes, value: bytes) -> None:
        """What HTTP/1.1 refuses is refused here, and what both take means the same."""
        target = b"/" + path
        block = [(b":method", method), (b":scheme", b"http"), (b":path", target)]
        block += [(b":authority", host), (b"x-a", value)]
        try:
            two = read_request(block, 100, b"http", True)
        except BadRequest:
            return
        reader = RequestReader()
        reader.feed(
            b"%b %b HTTP/1.1\r\nHost: %b\r\nx-a: %b\r\n\r\n" % (method, target, host, value)
        )
        head = reader.events[0]
        assert type(head) is tuple, head
        authority, length = check_head(head)[:2]
        self.assertEqual((authority, length), (two.authority, two.length))
        self.assertEqual(request_host([authority]), two.host)
        self.assertEqual(
            read_target(method, head[1], b"http", authority), (two.target, two.path, two.query)
        )
        self.assertIn((b"x-a", value), head[2])

    def test_malformed(self) -> None:
        """A fault of HTTP/2's own is told apart from a request that is refused."""
        self.assertRaises(Malformed, read, connection="close")
        self.assertNotIsInstance(self.assertRaises(BadRequest, read, "GET", "x"), Malformed)

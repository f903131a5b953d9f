"""What an app gets to read of a request's head."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.onward_head import Writer, head_writer, make_head
from tests.http.parsers import check_parsers, in_order
from tests.http.parts import Scene, Waiting

_TOKEN = st.text("abcXYZ019-_.!~", min_size=1, max_size=12)
_NAMES = st.one_of(
    _TOKEN,
    st.sampled_from(
        [
            "TE",
            "Connection",
            "Keep-Alive",
            "X-A",
            "Cookie",
            "Trailer",
            "Via",
            "Upgrade",
        ]
    ),
)
_VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"))
_FIELDS = st.lists(st.tuples(_NAMES, _VALUES), max_size=8)
_TARGETS = st.text("/aZ0%2fF.;?&=~+:@-_!$'()*,", max_size=30).map(lambda rest: f"/{rest}")


class HeadTests(SynchronousTestCase):
    """The head of one request."""

    def head(
        self, text: bytes, length: int | None = 0, write: Writer = make_head, **options: Any
    ) -> list[bytes]:
        """Its lines."""
        leaf = Waiting()
        protocol, _ = Scene(leaf).connect()
        protocol.dataReceived(text)
        whole = write(leaf.exchanges[0], length, **options)
        self.assertTrue(whole.endswith(b"\r\n\r\n"))
        return whole[:-4].split(b"\r\n")

    def test_sameBytes(self) -> None:
        """Of a request that has come before, on whatever connection, the same travels on."""
        leaf = Waiting()
        scene = Scene(leaf)
        text = b"GET / HTTP/1.1\r\nHost: a\r\nX-Mine: 1\r\nTE: trailers\r\nVia: 1.1 b\r\n\r\n"
        for _ in range(3):
            protocol, _ = scene.connect()
            protocol.dataReceived(text)
        first, *others = [make_head(exchange, 0) for exchange in leaf.exchanges]
        self.assertIn(b"\r\nHost: a\r\nX-Mine: 1\r\nVia: 1.1 b\r\nX-Forwarded-For", first)
        self.assertEqual(others, [first] * 2)
        without = make_head(leaf.exchanges[2], 0, without=frozenset((b"via",)))
        self.assertIn(b"\r\nX-Mine: 1\r\nX-Forwarded-For", without)

    def test_fields(self) -> None:
        """End-to-end fields in their order, none of this hop, and the truth about the client."""
        lines = self.head(
            b"GET /a/../b?c HTTP/1.1\r\nHost: a.test:81\r\nX-Mine: 1\r\nConnection: X-Hop\r\n"
            b"X-Hop: 1\r\nTE: trailers\r\nX-Forwarded-For: 6.6.6.6\r\nX-Request-ID: mine\r\n"
            b"Cookie: a=1\r\nCookie: b=2\r\n\r\n"
        )
        self.assertEqual(lines[:2], [b"GET /b?c HTTP/1.1", b"Host: a.test:81"])
        self.assertEqual(lines[2:5], [b"X-Mine: 1", b"Cookie: a=1", b"Cookie: b=2"])
        told = dict(line.split(b": ", 1) for line in lines[5:])
        self.assertNotEqual(told[b"X-Forwarded-For"], b"6.6.6.6")
        self.assertEqual(told[b"X-Forwarded-Host"], b"a.test:81")
        self.assertEqual(told[b"X-Request-ID"], b"the-id")
        self.assertEqual(told[b"Via"], b"1.1 hostedge")
        self.assertFalse(told.keys() & {b"X-Hop", b"TE", b"Connection", b"Content-Length"})

    def test_without(self) -> None:
        """Fields that a caller writes itself stay here as well."""
        text = b"GET / HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nX-Two: 2\r\n\r\n"
        lines = self.head(text, without=frozenset((b"x-one",)))
        self.assertIn(b"X-Two: 2", lines)
        self.assertNotIn(b"X-One: 1", lines)

    def test_framing(self) -> None:
        """A length, chunks, and the 0 that some servers want of a POST."""
        for method, length, line in (
            (b"POST", 5, b"Content-Length: 5"),
            (b"POST", 0, b"Content-Length: 0"),
            (b"POST", None, b"Transfer-Encoding: chunked"),
            (b"DELETE", 0, b"traceparent: 00-theid--00"),
        ):
            text = b"%b / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" % method
            self.assertEqual(self.head(text, length)[-1], line)

    def test_plain(self) -> None:
        """Without wishes there is nothing to look up for a request."""
        self.assertIs(head_writer(forwarded=False), make_head)

    def test_forwarded(self) -> None:
        """`Forwarded` stands behind all else, whatever the caller writes itself."""
        text = b"POST / HTTP/1.1\r\nHost: a:1\r\nX-One: 1\r\nForwarded: for=x\r\n\r\n"
        write = head_writer(forwarded=True)
        lines = self.head(text, None, write, without=frozenset((b"x-one",)))
        self.assertEqual(
            lines[-2:],
            [
                b"Transfer-Encoding: chunked",
                b'Forwarded: for=192.168.1.1;host="a:1";proto=http',
            ],
        )
        self.assertEqual(lines[:-1], self.head(text, None, without=frozenset((b"x-one",))))

    def test_host(self) -> None:
        """`Host` says what is wanted; who was asked for stays in `X-Forwarded-Host`."""
        text = b"GET /Host:%20a HTTP/1.1\r\nHost: a\r\nX-Host: a\r\n\r\n"
        for host, address, said in (
            ("shop.internal:81", "10.0.0.7:80", b"shop.internal:81"),
            ("server", "10.0.0.7:8080", b"10.0.0.7:8080"),
            ("server", "10.0.0.7:80", b"10.0.0.7"),
            ("server", "[::1]:80", b"[::1]"),
            ("server", "unix:/run/x", b"localhost"),
        ):
            lines = self.head(text, 0, head_writer(host=host), address=address)
            first, host_line, *rest = self.head(text, 0)
            self.assertEqual(host_line, b"Host: a")
            self.assertEqual(lines, [first, b"Host: " + said, *rest])
            self.assertIn(b"X-Forwarded-Host: a", lines)
        (last,) = self.head(text, 0, head_writer(forwarded=True, host="b.test"))[-1:]
        self.assertEqual(last, b"Forwarded: for=192.168.1.1;host=a;proto=http")

    def test_kept(self) -> None:
        """Odd fields travel on where they are wanted, in their spelling; not those of this hop."""
        text = (
            b"GET / HTTP/1.1\r\nHost: a\r\nX_One: 1\r\nx.two: 2\r\nX_ONE: 3\r\nX_Hop: 4\r\n"
            b"Connection: close, x_hop\r\n\r\n"
        )
        counters = {"fields_kept": 0}
        write = head_writer(True, ("x_one", "x_hop"), counters=counters)
        lines = self.head(text, 0, write)
        self.assertEqual(lines[:-3], self.head(text, 0))
        self.assertEqual(lines[-3:-1], [b"X_One: 1", b"X_ONE: 3"])
        self.assertEqual(counters, {"fields_kept": 2})

    @given(
        st.sampled_from(["GET", "POST", "PUT", "DELETE", "PROPFIND"]),
        _TARGETS,
        _FIELDS,
        st.sampled_from([0, 5, None]),
    )
    def test_oneMeaning(
        self, method: str, target: str, fields: list[tuple[str, str]], length: int | None
    ) -> None:
        """Whatever a client says and we accept: other parsers read what was sent on alike."""
        leaf = Waiting()
        protocol, _ = Scene(leaf).connect()
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
        head = f"{method} {target} HTTP/1.1\r\nHost: a.test\r\n{lines}\r\n"
        protocol.dataReceived(head.encode("latin-1"))
        if not leaf.exchanges:
            return
        sent = make_head(leaf.exchanges[0], length)
        first, *rest = sent[:-4].split(b"\r\n")
        asked, path, _ = first.split(b" ")
        written = [tuple(line.split(b":", 1)) for line in rest]
        wanted = in_order([(name, value.strip(b" \t")) for name, value in written])
        body = b"" if not length else b"x" * length
        tail = b"5\r\nhello\r\n0\r\n\r\n" if length is None else body
        check_parsers(sent + tail, (asked, path, wanted, b"hello" if length is None else body))

"""Whom `hostedge.wire.forwarded` takes for the client, and what else it believes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.forwarded import MAX_HOPS, Told, forwarded_line, read_told
from hostedge.wire.networks import parse_networks

TRUSTED = parse_networks(["10.0.0.0/8", "fd00::/8"])
PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def told(*fields: tuple[bytes, bytes], peer: str = "10.0.0.1") -> Told:
    return read_told(peer, fields, TRUSTED)


class WalkTests(SynchronousTestCase):
    """From the right, through those who are trusted."""

    def test_custom(self) -> None:
        """In `X-Forwarded-For` what is left of the first untrusted address is a claim."""
        for lines, client, hops in (
            ([], "10.0.0.1", ()),
            ([b"1.2.3.4"], "1.2.3.4", ("10.0.0.1",)),
            ([b"6.6.6.6, 1.2.3.4, 10.0.0.2"], "1.2.3.4", ("10.0.0.2", "10.0.0.1")),
            ([b"6.6.6.6", b"1.2.3.4", b"10.0.0.2"], "1.2.3.4", ("10.0.0.2", "10.0.0.1")),
            ([b"10.0.0.3,10.0.0.2"], "10.0.0.3", ("10.0.0.2", "10.0.0.1")),
            ([b"1.2.3.4, unknown, 10.0.0.2"], "10.0.0.2", ("10.0.0.1",)),
            ([b"1.2.3.4,,"], "10.0.0.1", ()),
            ([b"1.2.3.4:567"], "1.2.3.4", ("10.0.0.1",)),
            ([b'"[2001:DB8::1]:567"'], "2001:db8::1", ("10.0.0.1",)),
            ([b"::ffff:1.2.3.4"], "1.2.3.4", ("10.0.0.1",)),
            ([b"fe80::1%eth0"], "10.0.0.1", ()),
        ):
            found = told(*((b"X-Forwarded-For", line) for line in lines))
            self.assertEqual((found.client, found.hops), (client, hops), lines)

    def test_depth(self) -> None:
        """With a fixed number of proxies their addresses do not matter; never more is believed."""
        for depth, line, client, hops in (
            (1, b"6.6.6.6, 1.2.3.4", "1.2.3.4", ("10.0.0.1",)),
            (1, b"6.6.6.6, 10.0.0.2", "10.0.0.2", ("10.0.0.1",)),
            (2, b"6.6.6.6, 1.2.3.4, 5.6.7.8", "1.2.3.4", ("5.6.7.8", "10.0.0.1")),
            (2, b"6.6.6.6, 10.0.0.3, 10.0.0.2", "10.0.0.3", ("10.0.0.2", "10.0.0.1")),
            (3, b"5.6.7.8", "5.6.7.8", ("10.0.0.1",)),
            (3, b"1.2.3.4, unknown, 5.6.7.8", "5.6.7.8", ("10.0.0.1",)),
        ):
            found = read_told("10.0.0.1", [(b"X-Forwarded-For", line)], TRUSTED, depth)
            self.assertEqual((found.client, found.hops), (client, hops), (depth, line))

    def test_standard(self) -> None:
        """The same walk over `Forwarded`; obfuscated names and broken elements end it."""
        for line, client in (
            (b"for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"),
            (b'For="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17"),
            (b"for=6.6.6.6, for=192.0.2.43, for=10.9.9.9", "192.0.2.43"),
            (b'for=192.0.2.43;host="a,b;c", for=10.9.9.9', "192.0.2.43"),
            (b"for=_hidden, for=10.9.9.9", "10.9.9.9"),
            (b"for=unknown", "10.0.0.1"),
            (b"for=192.0.2.43, proto=http", "10.0.0.1"),
            (b'for=192.0.2.43, for="10.9.9.9', "10.0.0.1"),
            (b"for=192.0.2.43, =;", "10.0.0.1"),
        ):
            self.assertEqual(told((b"Forwarded", line)).client, client, line)

    def test_blanks(self) -> None:
        """Where there is nothing but blanks, reading takes no longer for it."""
        blanks = b" \t" * 65_536
        for end, client in ((b"!", "10.0.0.1"), (b"for=192.0.2.7", "192.0.2.7")):
            line = b"for=192.0.2.9," + blanks + end
            self.assertEqual(told((b"Forwarded", line)).client, client)

    def test_both(self) -> None:
        """Where both are, the custom is believed: a proxy that knows one only passes the other."""
        found = told((b"Forwarded", b"for=6.6.6.6"), (b"X-Forwarded-For", b"1.2.3.4"))
        self.assertEqual(found.client, "1.2.3.4")

    def test_longChain(self) -> None:
        """A chain is followed for so many hops and no further."""
        for name, hop in ((b"X-Forwarded-For", b"10.0.0.9"), (b"Forwarded", b"for=10.0.0.9")):
            found = told((name, b", ".join([hop.replace(b"10.0.0.9", b"1.2.3.4")] + [hop] * 40)))
            self.assertEqual(found.client, "10.0.0.9")
            self.assertEqual(len(found.hops), MAX_HOPS)

    @given(
        st.lists(
            st.tuples(
                st.sampled_from((b"Forwarded", b"X-Forwarded-For", b"traceparent")),
                st.one_of(
                    st.binary(max_size=40), st.text('for="=;,1.\\ ', max_size=60).map(str.encode)
                ),
            ),
            max_size=4,
        )
    )
    def test_nothingIsRaised(self, fields: list[tuple[bytes, bytes]]) -> None:
        """Any bytes give an address."""
        self.assertTrue(told(*fields).client)


class OtherTests(SynchronousTestCase):
    """What else is believed."""

    def test_schemeAndPort(self) -> None:
        """The nearest proxy's word counts, and only a possible one."""
        for fields, scheme, port in (
            ([(b"X-Forwarded-Proto", b"HTTPS"), (b"X-Forwarded-Port", b"443")], b"https", 443),
            ([(b"X-Forwarded-Proto", b"http, https")], b"https", 0),
            ([(b"Forwarded", b"for=1.2.3.4;proto=https")], b"https", 0),
            ([(b"X-Forwarded-Proto", b"gopher"), (b"X-Forwarded-Port", b"70000")], b"", 0),
            ([(b"X-Forwarded-Port", b"\xb2")], b"", 0),
        ):
            found = told(*fields)
            self.assertEqual((found.scheme, found.port), (scheme, port), fields)

    def test_names(self) -> None:
        """An id is kept when it is one, short and plain; two of them are none."""
        self.assertEqual(told((b"X-Request-ID", b"abc-1")).request_id, b"abc-1")
        for values in ([b"a b"], [b""], [b"x" * 129], [b"a", b"b"], [b'a"']):
            fields = [(b"X-Request-ID", value) for value in values]
            self.assertEqual(told(*fields).request_id, b"", values)

    def test_trace(self) -> None:
        """A valid trace is continued with its state; of a later version what we understand."""
        found = told((b"traceparent", PARENT), (b"tracestate", b"a=1"), (b"tracestate", b"b=2"))
        self.assertEqual((found.traceparent, found.tracestate), (PARENT, b"a=1,b=2"))
        later = b"cc" + PARENT[2:] + b"-what-follows"
        self.assertEqual(told((b"traceparent", later)).traceparent, PARENT)
        for bad in (
            b"ff" + PARENT[2:],
            PARENT.upper(),
            PARENT[:3] + b"0" * 32 + PARENT[35:],
            PARENT[:36] + b"0" * 16 + PARENT[52:],
            PARENT[:-1],
            PARENT + b"-more",
        ):
            found = told((b"traceparent", bad), (b"tracestate", b"a=1"))
            self.assertEqual((found.traceparent, found.tracestate), (b"", b""), bad)


class LineTests(SynchronousTestCase):
    """What we say in our turn."""

    def test_written(self) -> None:
        """Colons need quotes; scheme and host stand with the client alone."""
        for said, line in (
            (("1.2.3.4", (), b"https", b"a.test"), b"for=1.2.3.4;host=a.test;proto=https"),
            (
                ("2001:db8::1", ("10.0.0.2", "fd00::1"), b"http", b"a.test:81"),
                b'for="[2001:db8::1]";host="a.test:81";proto=http, for=10.0.0.2, for="[fd00::1]"',
            ),
            (("1.2.3.4", (), b"http", b"[::1]"), b'for=1.2.3.4;host="[::1]";proto=http'),
        ):
            self.assertEqual(forwarded_line(*said), line)

    @given(
        st.ip_addresses().filter(lambda a: str(a) not in TRUSTED and not _is_mapped(a)),
        st.lists(st.integers(1, 255).map("10.0.0.{}".format), min_size=1, max_size=5),
        st.sampled_from([b"http", b"https"]),
    )
    def test_readAgain(self, client: object, hops: list[str], scheme: bytes) -> None:
        """Whoever trusts the same proxies, and us, reads the same client and hops of it."""
        *passed, peer = hops
        line = forwarded_line(str(client), passed, b"http", b"a.test")
        found = told((b"Forwarded", line), peer=peer)
        self.assertEqual((found.client, found.hops), (str(client), tuple(hops)))
        line = forwarded_line(str(client), (), scheme, b"a.test:1")
        self.assertEqual(told((b"Forwarded", line), peer=peer).scheme, scheme)


def _is_mapped(address: object) -> bool:
    return getattr(address, "ipv4_mapped", None) is not None

"""
Tests for `hostedge.routes.hostname`.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.routes.hostname import from_ordered, is_address, ordered, parse_hostname, wildcard_of

LONGEST = ".".join(["a" * 63] * 3 + ["b" * 61])


class ParseTests(SynchronousTestCase):
    """`parse_hostname`: one normal form, whatever way a name came."""

    def test_normalForm(self) -> None:
        """
        Case, a trailing dot and other scripts make no difference; addresses pass.
        """
        for given_, wanted in (
            ("example.org", "example.org"),
            ("EXAMPLE.Org.", "example.org"),
            (b"Example.org", "example.org"),
            ("localhost", "localhost"),
            ("a--b.3com.org", "a--b.3com.org"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("BÜCHER。example", "xn--bcher-kva.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example"),
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:DB8:0::1]", "[2001:db8::1]"),
            (LONGEST, LONGEST),
            (LONGEST + ".", LONGEST),
        ):
            self.assertEqual(parse_hostname(given_), wanted)

    def test_refused(self) -> None:
        """
        What is no host name is refused.
        """
        for text in (
            "",
            ".",
            "..",
            "a..b",
            ".a",
            "a.b..",
            "-a.b",
            "a-.b",
            "a_b.org",
            "a b",
            "a/b",
            "a@b",
            "a:80",
            "a\nb",
            "example.org\n",
            "a\0",
            "*.example.org",
            "127.1",
            "1",
            "1.2.3.256",
            "1.2.3.04",
            "1.2.3.4.5",
            "[::1",
            "[::1%eth0]",
            "[x]",
            "::1",
            "xn--a.example",
            "xn--.example",
            "xn--bcher-kva9.example",
            "a" * 64 + ".org",
            "a" + LONGEST,
            "ä" * 2000,
            "\ud800.example",
            b"b\xc3\xbccher.example",
            b"\xff",
        ):
            self.assertRaises(ValueError, parse_hostname, text)

    @given(st.text(max_size=40) | st.from_regex(r"[A-Za-z0-9.\-]{1,70}", fullmatch=True))
    def test_oneForm(self, text: str) -> None:
        """
        Any text is refused or has one normal form: ASCII, small, at most 253 long.
        """
        try:
            name = parse_hostname(text)
        except ValueError:
            return
        self.assertEqual(parse_hostname(name), name)
        self.assertEqual(parse_hostname(name.encode("ascii")), name)
        self.assertEqual(name, name.lower())
        self.assertTrue(0 < len(name) <= 253)

    def test_addresses(self) -> None:
        """
        An address can be told from a name.
        """
        self.assertTrue(is_address("192.0.2.1"))
        self.assertTrue(is_address("[::1]"))
        self.assertFalse(is_address("1.example"))
        self.assertFalse(is_address("localhost"))


class OrderTests(SynchronousTestCase):
    """`ordered` and `wildcard_of`."""

    def test_wildcard(self) -> None:
        """
        A wildcard stands for exactly one label.
        """
        self.assertEqual(wildcard_of("a.b.example"), "*.b.example")
        self.assertIsNone(wildcard_of("localhost"))

    def test_namesBelowADomainLieTogether(self) -> None:
        """
        In this order a name stands directly before its wildcard and all names below it, whatever
        other names begin with it.
        """
        names = ["a.org", "*.a.org", "z.a.org", "x.z.a.org", "a-b.org", "aa.org", "b.net"]
        keys = sorted(map(ordered, names))
        self.assertEqual(
            keys, ["net!b", "org!a", "org!a!*", "org!a!z", "org!a!z!x", "org!a-b", "org!aa"]
        )
        self.assertEqual([from_ordered(key) for key in map(ordered, names)], names)

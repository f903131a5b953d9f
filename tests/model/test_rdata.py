"""
Tests for `hostedge.model.rdata`.
"""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.model.rdata import EXAMPLES, normal_data, wire_length
from hostedge.model.records import TYPES, record_data


class NormalTests(SynchronousTestCase):
    """`normal_data`."""

    def test_everyType(self) -> None:
        """
        Every type has data that stays as it is once it has been read.
        """
        for kind, text, data in (
            (
                "SOA",
                "NS1 root 1 2h 15m 2w 5m",
                "ns1.a.example. root.a.example. 1 7200 900 1209600 300",
            ),
            ("CAA", "0 issue ca.example", '0 issue "ca.example"'),
            ("TLSA", "3 1 0 0F1E 2d3c", "3 1 0 0f1e2d3c"),
            ("SVCB", "1 . port=443 alpn=h2", '1 . alpn="h2" port="443"'),
            ("HTTPS", "0 www", "0 www.a.example."),
            ("DS", "1 8 2 " + "AB" * 32, "1 8 2 " + "ab" * 32),
            ("MX", "0 .", "0 ."),
            ("A", "\\# 4 C0000201", "192.0.2.1"),
            ("CNAME", "a\\.b", "a\\.b.a.example."),
            ("SOA", "a b (1\n2\n3\n4\n5) ; why", "a.a.example. b.a.example. 1 2 3 4 5"),
        ):
            self.assertEqual(normal_data(kind, text, "a.example"), data)
            self.assertEqual(normal_data(kind, data, "b.example"), data)
        self.assertEqual(set(EXAMPLES), set(TYPES))

    def test_plainFormsAgree(self) -> None:
        """
        What `model.records` reads by itself is what dnspython reads.
        """
        for kind, text in (
            ("A", "192.0.2.1"),
            ("AAAA", "2001:DB8::0:1"),
            ("AAAA", "::ffff:192.0.2.1"),
            ("CNAME", "WWW"),
            ("NS", "@"),
            ("PTR", "_a.b.example."),
            ("MX", "007 mail"),
            ("SRV", "1 2 3 x.example."),
            ("TXT", '"a b"'),
            ("TXT", '""'),
        ):
            self.assertEqual(
                record_data(kind, text, "a.example"), normal_data(kind, text, "a.example")
            )

    def test_texts(self) -> None:
        """
        A text longer than a string can be is split; escapes and other scripts become bytes.
        """
        long = "x" * 600
        pieces = f'"{"x" * 255}" "{"x" * 255}" "{"x" * 90}"'
        for text, data in (
            (long, pieces),
            (f'"{long}"', pieces),
            (pieces, pieces),
            ('"ä"', '"\\195\\164"'),
            ('"a;b\\"c"', '"a;b\\"c"'),
            ('"a" "b"', '"a" "b"'),
            ("alone", '"alone"'),
        ):
            self.assertEqual(normal_data("TXT", text, "a.example"), data)

    def test_lostQuotes(self) -> None:
        """
        Words without quotes would be strings of their own, and run together where they are read.
        """
        for text in ("v=spf1 -all", 'v=spf1 "-all"', "", '"a"\n"b"'):
            error = self.assertRaises(ValueError, normal_data, "TXT", text, "a.example")
            self.assertIn("want TXT data such as", str(error))

    def test_refused(self) -> None:
        """
        What is no data of the type is answered with an example.
        """
        for kind, text in (
            ("A", "::1"),
            ("A", "192.0.2.1\n192.0.2.2"),
            ("A", "192.0.2.1 192.0.2.2"),
            ("AAAA", "fe80::1%eth0"),
            ("MX", "mail"),
            ("MX", "65536 mail"),
            ("CNAME", "bücher"),
            ("CNAME", "a..b"),
            ("CNAME", "a" * 64),
            ("SOA", "a b 1 2 3 4"),
            ("DS", "1 8 2 00"),
            ("HTTPS", "1 . alpn=h2 alpn=h3"),
            ("TLSA", "3 1 1 xyz"),
        ):
            error = self.assertRaises(ValueError, normal_data, kind, text, "a.example")
            self.assertIn(f"want {kind} data such as {EXAMPLES[kind]}, not ", str(error))

    @given(st.binary(max_size=600))
    def test_anyBytes(self, value: bytes) -> None:
        """
        A text of any bytes has one form.
        """
        escaped = "".join(f"\\{byte:03}" for byte in value)
        data = normal_data("TXT", f'"{escaped}"', "a.example")
        self.assertEqual(normal_data("TXT", data, "a.example"), data)
        self.assertEqual(wire_length("TXT", data), len(value) + max(1, -(-len(value) // 255)))

    def test_withoutTwisted(self) -> None:
        """
        dnspython does not bring Twisted or asyncio along.
        """
        program = (
            "import sys, hostedge.model.rdata\n"
            "sys.exit(bool({'twisted', 'asyncio', 'ssl'} & set(sys.modules)))\n"
        )
        self.assertEqual(subprocess.run([sys.executable, "-c", program]).returncode, 0)

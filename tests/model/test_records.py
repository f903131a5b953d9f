"""
Tests for `hostedge.model.records`.
"""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.model.records import (
    MAX_TTL,
    TYPES,
    parse_zone,
    record_data,
    record_name,
    ttl,
    zone_document,
    zone_name,
    zone_of_row,
)
from hostedge.model.shape import Misfit
from hostedge.model.site import Record, Zone
from tests.model.words import zones


def refused(document: Any) -> str:
    """The way to what is wrong in a zone, and what is said about it."""
    try:
        parse_zone(document)
    except Misfit as error:
        return ": ".join((*error.path, error.problem)).replace(": [", "[")
    return "taken"


class NameTests(SynchronousTestCase):
    """`zone_name` and `record_name`."""

    def test_zones(self) -> None:
        """
        A zone is called like a host, in any script; reverse zones and labels with _ are zones too.
        """
        for text, name in (
            ("Demo.LOCALHOST.", "demo.localhost"),
            ("localhost", "localhost"),
            ("2.0.192.in-addr.arpa", "2.0.192.in-addr.arpa"),
            ("8.b.d.0.1.0.0.2.ip6.arpa.", "8.b.d.0.1.0.0.2.ip6.arpa"),
            ("_acme-challenge.Example.org", "_acme-challenge.example.org"),
            ("bücher.example", "xn--bcher-kva.example"),
        ):
            self.assertEqual(zone_name(text), name)
            self.assertEqual(zone_name(name), name)

    def test_noZones(self) -> None:
        """
        The root, addresses, wildcards and RFC 2317's slashes are none.
        """
        for text in ("", ".", "192.0.2.1", "[::1]", "*.example.org", "0/25.2.0.192.in-addr.arpa"):
            self.assertRaises(ValueError, zone_name, text)
        for text in ("_.*.example", "a_b..example", "_" * 64, "_a." + "b." * 126 + "c"):
            self.assertRaises(ValueError, zone_name, text)

    def test_records(self) -> None:
        """
        A record's name is relative to its zone, or absolute inside it.
        """
        for text, name in (
            ("@", "@"),
            ("example.org.", "@"),
            ("WWW", "www"),
            ("www.example.org.", "www"),
            ("*", "*"),
            ("*.shop.example.org.", "*.shop"),
            ("_443._tcp.www", "_443._tcp.www"),
            ("_dmarc", "_dmarc"),
            ("1", "1"),
            ("bücher", "xn--bcher-kva"),
            ("*.bücher", "*.xn--bcher-kva"),
            # as it is written; `hostedge zone check` asks whether it is meant
            ("www.example.org", "www.example.org"),
        ):
            self.assertEqual(record_name(text, "example.org"), name)
            self.assertEqual(record_name(name, "example.org"), name)

    def test_noRecords(self) -> None:
        """
        Names elsewhere, inner wildcards and odd characters are refused.
        """
        for text in ("", ".", "example.net.", "notexample.org.", "a.*", "a*", "**", "a b", "-a"):
            self.assertRaises(ValueError, record_name, text, "example.org")
        for text in ("a..b", "*.", "a/b", "\\065", "a" * 64, ".".join("abcd" for _ in range(50))):
            self.assertRaises(ValueError, record_name, text, "example.org")


class DataTests(SynchronousTestCase):
    """`record_data`, where it needs nobody else."""

    def test_plain(self) -> None:
        """
        Names become absolute and small, numbers lose zeros; the normal form stays what it is.
        """
        for kind, text, data in (
            ("A", "192.0.2.1", "192.0.2.1"),
            ("AAAA", "2001:DB8:0::1", "2001:db8::1"),
            ("CNAME", "WWW", "www.example.org."),
            ("CNAME", "@", "example.org."),
            ("NS", "ns1.example.net.", "ns1.example.net."),
            ("PTR", "www", "www.example.org."),
            ("MX", "010  Mail", "10 mail.example.org."),
            ("SRV", "0 5 5060 sip.example.net.", "0 5 5060 sip.example.net."),
            ("TXT", '"v=spf1 -all"', '"v=spf1 -all"'),
        ):
            self.assertEqual(record_data(kind, text, "example.org"), data)
            self.assertEqual(record_data(kind, data, "example.net"), data)

    def test_plainNeedsNoLibrary(self) -> None:
        """
        Who has only such records, or reads rows, does not load dnspython.
        """
        program = (
            "import sys\n"
            "from hostedge.model.records import parse_zone, zone_of_row, zone_document\n"
            "zone = parse_zone({'name': 'a', 'records': [\n"
            "    {'name': '@', 'type': 'MX', 'data': '10 m'},\n"
            "    {'name': 'm', 'type': 'A', 'data': '192.0.2.1'}]})\n"
            "zone_of_row(zone_document(zone))\n"
            "sys.exit('dns' in sys.modules)\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True)
        self.assertEqual((done.returncode, done.stderr), (0, b""))


class ZoneTests(SynchronousTestCase):
    """`parse_zone`, `zone_document` and `zone_of_row`."""

    def test_read(self) -> None:
        """
        A zone is read with everything in normal form.
        """
        document = {
            "name": "Demo.localhost",
            "ttl": "30m",
            "shared": True,
            "records": [
                {"name": "@", "type": "mx", "ttl": 300, "data": "10 mail"},
                {"name": "mail.demo.localhost.", "type": "A", "data": "192.0.2.1"},
            ],
        }
        records = (
            Record("@", "MX", "10 mail.demo.localhost.", 300.0),
            Record("mail", "A", "192.0.2.1"),
        )
        self.assertEqual(parse_zone(document), Zone("demo.localhost", records, 1800.0, True))
        self.assertEqual(parse_zone({"name": "a", "records": None}), Zone("a"))

    @given(zones())
    def test_roundTrip(self, zone: Zone) -> None:
        """
        A zone as text is the same zone again, whether it is checked or taken from a row.
        """
        document = zone_document(zone)
        self.assertEqual(parse_zone(document), zone)
        self.assertEqual(zone_of_row(document), zone)

    def test_ttl(self) -> None:
        """
        A time to live is whole seconds up to what the wire can hold.
        """
        for value, seconds in ((0, 0.0), ("1h", 3600.0), (MAX_TTL, MAX_TTL), ("90s", 90.0)):
            self.assertEqual(ttl(value), seconds)
        for wrong in (-1, 0.5, MAX_TTL + 1, "9999999999s", True, None, "1w", "x", [], float("nan")):
            self.assertRaises(ValueError, ttl, wrong)

    def test_refused(self) -> None:
        """
        What is wrong is named with the way to it.
        """
        record = {"name": "@", "type": "A", "data": "192.0.2.1"}
        for change, wanted in (
            ({"type": "RRSIG"}, f"records[1]: type: want one of {', '.join(TYPES)}, not 'RRSIG'"),
            ({"data": "192.0.2.256"}, "records[1]: data: want A data such as 192.0.2.1, not"),
            ({"name": "example.net."}, "records[1]: name: want @, or a name below demo.localhost"),
            ({"ttl": "soon"}, "records[1]: ttl: want "),
            ({"priority": 1}, "records[1]: priority: is not known here; known: name, type, data"),
            ({"data": 5}, "records[1]: data: want a text"),
            ({}, "records[1]: this record stands here twice"),
        ):
            zone = {"name": "demo.localhost", "records": [record, {**record, **change}]}
            self.assertIn(wanted, refused(zone))
        for zone, wanted in (
            ({}, "name: is missing"),
            ({"name": "a", "records": {}}, "records: want a list"),
            ({"name": "a", "records": [1]}, "records[0]: want keys and values"),
            ({"name": "a", "records": [{"name": "@", "type": "A"}]}, "data: is missing"),
            ({"name": "a", "records": [record] * 10_001}, "records: want at most 10000 records"),
            ({"name": "a", "colour": 1}, "known: name, ttl, shared, records"),
        ):
            self.assertIn(wanted, refused(zone))

    @given(st.text(max_size=30), st.sampled_from(TYPES))
    def test_anyText(self, text: str, kind: str) -> None:
        """
        Whatever is written as data is taken in a form that stays, or refused.
        """
        try:
            data = record_data(kind, text, "example.org")
        except ValueError:
            return
        self.assertEqual(record_data(kind, data, "example.net"), data)

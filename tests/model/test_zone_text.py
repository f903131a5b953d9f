"""
Tests for `hostedge.model.zone_text`.
"""

from __future__ import annotations

from attrs import evolve
from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import ConfigError
from hostedge.model.site import Record, Zone
from hostedge.model.zone_text import read_zone_file, zone_lines
from tests.model.words import zones

FILE = """\
$TTL 1h
@   IN SOA ns1 hostmaster (
        2026112201 ; serial
        2h 15m 2w 5m )
    IN NS ns1
    IN NS ns2.example.net.
ns1 A 192.0.2.53
ns1 A 192.0.2.53
mail 300 IN A 192.0.2.25
WWW CNAME @
txt TXT v=foo bar
*.apps A 192.0.2.9
$ORIGIN deep.example.org.
$GENERATE 1-2 host$ A 10.0.0.$
"""


def timed(record: Record, zone: Zone) -> Record:
    """The record with the time that holds for it."""
    return evolve(record, ttl=zone.ttl if record.ttl is None else record.ttl)


class ReadTests(SynchronousTestCase):
    """`read_zone_file`."""

    def refused(self, text: str, origin: str = "example.org", skip: bool = False) -> str:
        read = (read_zone_file, text, "a.zone", origin, skip)
        return str(self.assertRaises(ConfigError, *read))

    def test_read(self) -> None:
        """
        Directives, relative names, names left out and several lines in brackets are understood.
        """
        records = (
            Record("@", "SOA", _SOA),
            Record("@", "NS", "ns1.example.org."),
            Record("@", "NS", "ns2.example.net."),
            Record("ns1", "A", "192.0.2.53"),
            Record("mail", "A", "192.0.2.25", 300.0),
            Record("www", "CNAME", "example.org."),
            Record("txt", "TXT", '"v=foo" "bar"'),
            Record("*.apps", "A", "192.0.2.9"),
            Record("host1.deep", "A", "10.0.0.1"),
            Record("host2.deep", "A", "10.0.0.2"),
        )
        wanted = Zone("example.org", records, 3600.0)
        self.assertEqual(read_zone_file(FILE, "a.zone", "example.org").zone, wanted)
        named = f"$ORIGIN example.org.\n{FILE}"
        self.assertEqual(read_zone_file(named, "a.zone").zone, wanted)
        below = f"$ORIGIN org.\nexample 1h SOA ns1.example hostmaster.example 1 2 3 4 5\n{FILE}"
        self.assertIn("SOA at more than one name", self.refused(below, ""))

    def test_usualTime(self) -> None:
        """
        Without $TTL the zone has the time that most records have.
        """
        text = "a 60 A 192.0.2.1\nb 60 A 192.0.2.1\nc 5 A 192.0.2.1\n"
        zone = read_zone_file(text, "a.zone", "example.org").zone
        self.assertEqual((zone.ttl, [each.ttl for each in zone.records]), (60.0, [None, None, 5.0]))
        self.assertEqual(read_zone_file("", "a.zone", "example.org").zone, Zone("example.org"))

    def test_unsupported(self) -> None:
        """
        Types that are not served are named, and left out if that is wanted.
        """
        text = "$TTL 60\n@ A 192.0.2.1\n@ NSEC a.example.org. A\n@ HINFO a b\n"
        self.assertIn("example.org. NSEC, example.org. HINFO); --skip-unsup", self.refused(text))
        read = read_zone_file(text, "a.zone", "example.org", True)
        self.assertEqual(read.zone.records, (Record("@", "A", "192.0.2.1"),))
        self.assertEqual(read.left_out, ("example.org. NSEC", "example.org. HINFO"))

    def test_refused(self) -> None:
        """
        What cannot be is named with its line, or with the record.
        """
        for text, wanted in (
            ("\n@ 60 FOO x\n", "a.zone:2: is no zone file: unknown rdatatype 'FOO'"),
            ("$INCLUDE /etc/passwd\n", "a.zone:1: is no zone file: $INCLUDE is not followed"),
            ("www A 192.0.2.1\n", "Missing default TTL value"),
            ("a.test. 60 A 192.0.2.1\n", "a.zone: a.test. A '192.0.2.1': want @, or a name below"),
            ("x 6 A 1.2.3.4\nx 7 A 1.2.3.5\n", "x.example.org. A '1.2.3.5': want one ttl for"),
            ("x 6 A 1.2.3.4\nx 6 CNAME y\n", "x.example.org. CNAME 'y.example.org.': a CNAME st"),
            ("$GENERATE 1-999999999 h$ 60 A 1.2.3.4\n", "want at most 10000 records"),
            ('"', "is no zone file"),
            ("\n@ 60 A 1.2.3\n", "a.zone:2: is no zone file: a value is not written as its type"),
            ("\n@ 60 MX 10\n\n", "a.zone:2: "),
            ("\n@ 60 MX x mail\n", "a.zone:2: "),
            ('\n@ 60 TXT "a\n', "a.zone:2: "),
            ("\n@ 60 SOA a b ( 1\n2 3\nx 5)\n", "a.zone:4: "),
            ("\n@ 60 SOA a b (\n1 2 3\n4 x\n)\n", "a.zone:4: "),
        ):
            self.assertIn(wanted, self.refused(text))
        self.assertIn("--origin: want a host name", self.refused("", "a b"))

    def test_whichZone(self) -> None:
        """
        A file that does not say which zone it is wants to be told.
        """
        for text in ("", "www 60 A 192.0.2.1\n", "@ 60 SOA a b 1 2 3 4 5\n"):
            self.assertIn("want --origin NAME", self.refused(text, ""))


class WriteTests(SynchronousTestCase):
    """`zone_lines`."""

    @given(zones())
    def test_roundTrip(self, zone: Zone) -> None:
        """
        What is written is read as the same zone, also by its own name.
        """
        text = "\n".join(zone_lines(zone.name, zone.ttl, zone.records, ["a comment"]))
        again = read_zone_file(f"{text}\n", "a.zone").zone
        self.assertEqual(again.name, zone.name)
        for one, other in zip(again.records, zone.records, strict=True):
            self.assertEqual(timed(one, again), timed(other, zone))

    def test_form(self) -> None:
        """
        Names stand once, times where they differ from the zone's, comments last.
        """
        records = (Record("@", "NS", "a."), Record("@", "A", "192.0.2.1", 60.0))
        self.assertEqual(
            list(zone_lines("example.org", 3600.0, records, ["more"])),
            [
                "$ORIGIN example.org.",
                "$TTL 3600",
                "@         IN NS    a.",
                "       60 IN A     192.0.2.1",
                "; more",
            ],
        )


_SOA = "ns1.example.org. hostmaster.example.org. 2026112201 7200 900 1209600 300"

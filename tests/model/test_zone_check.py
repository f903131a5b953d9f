"""
Tests for `hostedge.model.zone_check`.
"""

from __future__ import annotations

from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from hostedge.model.site import Record, Zone
from hostedge.model.zone_check import check_zone_sense
from tests.model.words import zones

A = "192.0.2.1"


def doubts(*records: tuple[str, str, str], hosts: tuple[str, ...] = ()) -> list[str]:
    """What is doubtful about a zone with these records."""
    zone = Zone("example.org", tuple(Record(*record) for record in records))
    return [f"{d.level} {d.where}: {d.text}" for d in check_zone_sense(zone, hosts)]


class CheckTests(SynchronousTestCase):
    """`check_zone_sense`."""

    def test_sound(self) -> None:
        """
        A zone as it should be raises no doubt.
        """
        sound = (
            ("@", "SOA", "ns1.example.org. root.example.org. 1 7200 900 1209600 300"),
            ("@", "NS", "ns1.example.org."),
            ("@", "NS", "ns.example.net."),
            ("@", "MX", "10 mail.example.org."),
            ("@", "TXT", '"v=spf1 mx -all"'),
            ("@", "CAA", '0 issue "ca.example"'),
            ("ns1", "A", A),
            ("*.mailers", "A", A),
            ("www", "CNAME", "example.org."),
            ("ftp", "CNAME", "elsewhere.example.net."),
            ("none", "MX", "0 ."),
            ("other", "MX", "5 x.y.mailers.example.org."),
            ("sub", "NS", "ns.sub.example.org."),
            ("sub", "NS", "ns.example.net."),
            ("ns.sub", "A", A),
            ("_sip._tcp", "SRV", "0 5 5060 host.sub.example.org."),
        )
        self.assertEqual(doubts(*sound, hosts=("example.org", "mail.example.org")), [])
        self.assertEqual(doubts(), [])

    def test_targets(self) -> None:
        """
        What leads into the zone has to lead to addresses, and not through an alias.
        """
        for record, wanted in (
            (("@", "MX", "1 no.example.org."), "error @ MX: no.example.org. has no A or AAAA"),
            (("@", "MX", "1 www.example.org."), "error @ MX: www.example.org. is a CNAME: want a "),
            (("x", "SRV", "0 0 1 no.example.org."), "error x SRV: no.example.org. has no A or"),
            (("x", "CNAME", "no.example.org."), "warning x CNAME: no.example.org. has no records"),
            (("x", "CNAME", "."), "error x CNAME: leads to the root"),
            (("sub", "NS", "ns.sub.example.org."), "error sub NS: ns.sub.example.org. lies in wh"),
            (("x", "CNAME", "a.example.org.example.org."), "is a dot missing after a.example.org?"),
            (("a.example.org", "A", A), "is a dot missing after a.example.org?"),
        ):
            found = doubts(("www", "CNAME", "elsewhere.test."), record)
            self.assertIn(wanted, found[0] if found else "nothing")

    def test_hostsUnknown(self) -> None:
        """
        In a file alone a name that is missing may be a domain.
        """
        zone = Zone("example.org", (Record("@", "MX", "1 www.example.org."),))
        for hosts, levels in ((None, ["warning"]), ((), ["error"]), (["www.example.org"], [])):
            self.assertEqual([each.level for each in check_zone_sense(zone, hosts)], levels)

    def test_wildcards(self) -> None:
        """
        A wildcard stands in for names that are not there, and for none below those that are.
        """
        wildcard, name = ("*", "A", A), ("a", "TXT", '"x"')
        self.assertEqual(doubts(wildcard, name, ("@", "MX", "1 x.y.example.org.")), [])
        for target in ("a", "b.a"):
            mx = ("@", "MX", f"1 {target}.example.org.")
            self.assertEqual(len(doubts(wildcard, name, mx)), 1)

    def test_authority(self) -> None:
        """
        The numbers of an SOA are compared with each other.
        """
        for data, wanted in (
            ("a. b\\@c. 1 7200 900 1209600 300", "want a dot where the address has its @"),
            ("a. b. 1 900 900 1209600 300", "want retry shorter than refresh"),
            ("a. b. 1 7200 900 3600 300", "want expire of a week or more"),
            ("a. b. 1 7200 900 1209600 604800", "a new name may stay unknown for 604800 s"),
        ):
            self.assertIn(wanted, "".join(doubts(("@", "SOA", data))))

    def test_others(self) -> None:
        """
        One server, two policies, authorities that are none.
        """
        for records, wanted in (
            ([("@", "NS", "ns.example.net.")], "warning @ NS: one name server only"),
            (
                [("@", "TXT", '"v=spf1 -all"'), ("@", "TXT", '"v=spf1 mx -all"')],
                "error @ TXT: two SPF policies at one name are none",
            ),
            ([("@", "CAA", '0 issue ";"')], "warning @ CAA: nobody may issue"),
            ([("@", "CAA", '0 issue "letsencrypt"')], "names no certificate authority"),
            ([("@", "CAA", '128 tbs "x"')], "error @ CAA: tbs is critical"),
        ):
            self.assertIn(wanted, "".join(doubts(*records)))

    def test_times(self) -> None:
        """
        Times to live outside of what is usual are named.
        """
        zone = Zone("example.org", (Record("a", "A", A, 5.0), Record("b", "A", A, 60.0)), 1e6)
        found = [f"{d.where}: {d.text}" for d in check_zone_sense(zone, ())]
        self.assertEqual(
            found,
            [
                "ttl: 1000000 s is kept long: changes take as much",
                "a A: ttl: 5 s is kept too short",
            ],
        )

    @given(zones())
    def test_anyZone(self, zone: Zone) -> None:
        """
        Every zone that is accepted can be checked.
        """
        for doubt in check_zone_sense(zone, ("www.example.org",)):
            self.assertIn(doubt.level, ("error", "warning"))

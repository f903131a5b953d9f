"""
Tests for `hostedge.model.zone_rules`.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.model.shape import Misfit
from hostedge.model.site import Record, Zone
from hostedge.model.zone_rules import check_zone, delegation_above

SOA = "a. b. 1 2 3 4 5"


def said(*records: tuple[str, str, str]) -> str:
    """What is said about a zone with these records; nothing, if they can stand together."""
    try:
        check_zone(Zone("example.org", tuple(Record(*record) for record in records)))
    except Misfit as error:
        return ": ".join((*error.path, error.problem))
    return ""


class CheckTests(SynchronousTestCase):
    """`check_zone`."""

    def test_fine(self) -> None:
        """
        What DNS allows is allowed.
        """
        good: tuple[tuple[tuple[str, str, str], ...], ...] = (
            (),
            (("@", "SOA", SOA), ("@", "NS", "a."), ("@", "NS", "b."), ("@", "A", "192.0.2.1")),
            (("*", "CNAME", "a."), ("www", "CNAME", "a."), ("x.www", "A", "192.0.2.1")),
            (
                ("sub", "NS", "ns.sub.example.org."),
                ("sub", "NS", "sub.example.org."),
                ("sub", "A", "192.0.2.1"),
                ("sub", "DS", "1 8 2 00"),
                ("ns.sub", "AAAA", "2001:db8::1"),
                ("subway", "TXT", '"x"'),
            ),
        )
        for records in good:
            self.assertEqual(said(*records), "")

    def test_aliases(self) -> None:
        """
        A CNAME stands alone, and never at the apex, where the answer says what to do instead.
        """
        alias = ("www", "CNAME", "a.")
        self.assertIn("records[0]: a CNAME stands alone, here is A", said(alias, ("www", "A", "1")))
        self.assertIn("records[1]: want one CNAME at a name", said(alias, ("www", "CNAME", "b.")))
        apex = said(("@", "CNAME", "a."))
        self.assertIn("records[0]: a CNAME cannot stand at the apex", apex)
        self.assertIn("or example.org among the account's domains", apex)

    def test_sets(self) -> None:
        """
        Records of one name and type are different and have one time to live.
        """
        twice = ("www", "A", "192.0.2.1")
        self.assertEqual(said(twice, twice), "records[1]: this record stands here twice")
        zone = Zone(
            "example.org",
            (Record("a", "A", "192.0.2.1"), Record("a", "A", "192.0.2.2", 300.0)),
            300.0,
        )
        check_zone(zone)
        error = self.assertRaises(Misfit, check_zone, Zone(zone.name, zone.records, 60.0))
        self.assertEqual(error.path, ("records[1]", "ttl"))

    def test_names(self) -> None:
        """
        The names between records and the zone count, each once.
        """
        deep = "a." * 100
        same = [(f"{i}.{deep}x", "A", "192.0.2.1") for i in range(1000)]
        self.assertEqual(said(*same), "")
        other = [(f"{deep}{i}", "A", "192.0.2.1") for i in range(500)]
        self.assertIn("want at most 50000 names", said(*other))
        self.assertEqual(said(*other[:495]), "")

    def test_size(self) -> None:
        """
        A set that no answer could hold is refused; one that just fits is not.
        """
        fits = [("a", "A", f"10.0.{i // 250}.{i % 250}") for i in range(3687)]
        self.assertEqual(said(*fits), "")
        refused = "no answer could hold them"
        self.assertIn(refused, said(*fits, ("a", "A", "10.9.9.9")))
        text = " ".join([f'"{"x" * 255}"'] * 230)
        self.assertEqual(said(("a", "TXT", text)), "")
        self.assertIn(refused, said(("a", "TXT", f"{text} {text[:258]}")))
        # each of them names its owner in full
        servers = [("x" * 60, "NS", f"{i}.") for i in range(1000)]
        self.assertIn(refused, said(*servers))
        self.assertEqual(said(*(("@", kind, data) for _, kind, data in servers)), "")

    def test_authority(self) -> None:
        """
        There is one SOA, at the apex; DS stands at delegations.
        """
        self.assertIn("want SOA at the apex only", said(("www", "SOA", SOA)))
        two = said(("@", "SOA", SOA), ("@", "SOA", "a. b. 2 2 3 4 5"))
        self.assertIn("records[1]: want one SOA", two)
        for name in ("@", "www"):
            self.assertIn("want DS only beside NS", said((name, "DS", "1 8 2 00")))

    def test_delegations(self) -> None:
        """
        Below a delegation there is nothing but the addresses of its servers.
        """
        ns = ("sub", "NS", "ns.sub.example.org.")
        for wrong in (
            ("sub", "TXT", '"x"'),
            ("x.sub", "TXT", '"x"'),
            ("x.y.sub", "CNAME", "a."),
            ("x.sub", "NS", "a."),
            ("*.sub", "A", "192.0.2.1"),
        ):
            self.assertIn("records[1]: sub is delegated by its NS", said(ns, wrong))
            self.assertIn("records[0]: sub is delegated by its NS", said(wrong, ns))
        self.assertIn("is delegated by its NS", said(("*.a", "NS", "b.")))

    def test_delegationAbove(self) -> None:
        """
        A delegation is found from the name itself upwards, on the borders of labels.
        """
        self.assertEqual(delegation_above("a.b.sub", {"sub"}), "sub")
        self.assertEqual(delegation_above("sub", {"sub"}), "sub")
        self.assertIsNone(delegation_above("xsub", {"sub"}))

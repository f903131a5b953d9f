"""
Tests for `hostedge.store.served`.
"""

from __future__ import annotations

from attrs import evolve

from hostedge.model.site import Record, Zone
from hostedge.store.served import MAX_HOSTS, Served, ServedZones
from tests.model.words import WORDS, site
from tests.store.stores import StoreTestCase


class ServedTests(StoreTestCase):
    """`ServedZones.read`."""

    def setUp(self) -> None:
        super().setUp()
        self.zones = ServedZones(self.path, WORDS, ("ns.node.example",), ("192.0.2.1",))

    def served(self, zone: Zone, *more: Zone, **names: tuple[str, ...]) -> Served:
        self.store.apply([evolve(site("demo", **names), zones=(zone, *more))], "me")
        served = self.zones.read(zone.name)
        assert served is not None
        return served

    def test_apexIsMade(self) -> None:
        """
        SOA and NS come first, made or the zone's own; nothing stands twice.
        """
        a = Record("www", "A", "192.0.2.7")
        served = self.served(Zone("example.org", (a,)))
        kinds = [f"{each.name} {each.type}" for each in served.records]
        self.assertEqual(kinds, ["@ SOA", "@ NS", "www A"])
        self.assertIn(" hostmaster.example.org. 1 ", served.records[0].data)
        self.assertEqual(served.addresses, ("192.0.2.1",))
        own = Record("@", "NS", "ns.example.net."), Record("@", "SOA", "a. b. 41 1 2 3 4")
        served = self.served(Zone("example.org", (*own, a)))
        data = [each.data for each in served.records]
        self.assertEqual(data, ["a. b. 43 1 2 3 4", "ns.example.net.", "192.0.2.7"])

    def test_hosts(self) -> None:
        """
        Hosts are named where neither a record, a delegation nor a zone within speaks for them.
        """
        zone = Zone(
            "example.org",
            (
                Record("www", "CNAME", "elsewhere.test."),
                Record("mail", "MX", "10 mail.example.org."),
                Record("cut", "NS", "ns.example.net."),
            ),
        )
        names = ("www", "mail", "a.cut", "a.inner", "*", "deep.er")
        aliases = tuple(f"{name}.example.org" for name in names)
        served = self.served(zone, Zone("inner.example.org"), example_org=(*aliases, "a.test"))
        wanted = ("example.org", "*.example.org", "deep.er.example.org", "mail.example.org")
        self.assertEqual((served.hosts, served.more), (wanted, False))
        self.store.apply([site("other", x_example_org=())], "me")
        self.assertNotIn("x.example.org", self.served(zone, example_org=aliases).hosts)
        shared = self.served(evolve(zone, shared=True), example_org=aliases)
        self.assertIn("x.example.org", shared.hosts)

    def test_bound(self) -> None:
        """
        Of very many hosts some are named, and it is said that there are more.
        """
        names = {f"h{i}_example_org": () for i in range(MAX_HOSTS + 1)}
        served = self.served(Zone("example.org"), **names)
        self.assertEqual((len(served.hosts), served.more), (MAX_HOSTS, True))

    def test_unknown(self) -> None:
        """
        A name that is no zone, also one below a zone, has none.
        """
        self.served(Zone("example.org"))
        self.assertIsNone(self.zones.read("www.example.org"))

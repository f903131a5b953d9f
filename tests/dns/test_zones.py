"""Tests for `hostedge.dns.zones`, with a real store."""

from __future__ import annotations

from collections.abc import Collection

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.dns.zones import MAX_TOLD, Zones
from hostedge.model.parse import parse_site
from hostedge.routes.hostname import ordered
from hostedge.store.hosts import Hosts
from hostedge.wire.dns_message import DS, A
from hostedge.wire.dns_name import name_of, wire_name
from hostedge.wire.dns_zone import CompiledZone
from tests.dns.authority import (
    ADDRESSES,
    NAMESERVERS,
    Authority,
    MemoryReader,
    neighbours_in,
    zone_of,
)
from tests.model.words import WORDS
from tests.store.stores import StoreTestCase


def enclosing(zones: Zones, name: str, kind: int = A) -> str | None:
    found = zones.find(name_of(wire_name(name)), kind)
    return found.name if found else None


class StoredZonesTests(StoreTestCase):
    """`Zones` over the store, told by `Hosts` what has changed."""

    def setUp(self) -> None:
        super().setUp()
        self.hosts = Hosts(self.reader, lambda found: found)
        self.zones = Zones(self.reader, ADDRESSES, NAMESERVERS)
        self.told: dict[str | None, Collection[str] | None] = {}
        self.zones.subscribe(self.told.__setitem__)
        self.hosts.subscribe(self.zones.changed, self.zones.keeps)

    def apply(self, account: str, zones: list[dict[str, object]], *domains: str) -> None:
        site = {
            "account": account,
            "zones": zones,
            "domains": [{"name": name} for name in domains],
        }
        self.store.apply([parse_site(site, "site.yaml", WORDS)], "test")
        self.told.clear()
        self.hosts.changed(self.reader.revision())

    def compiled(self, name: str) -> CompiledZone:
        found = self.zones.find(name_of(wire_name(name)), A)
        assert found is not None
        return found

    def neighbours(self, zone: str, name: str) -> tuple[str, str]:
        neighbours = self.compiled(zone).neighbours
        assert neighbours is not None
        return neighbours(ordered(name))

    def test_closest(self) -> None:
        """
        A name is answered by the zone with the longest name that it ends in.
        """
        self.apply("one", [{"name": "example.org"}, {"name": "b.a.example.org"}])
        for name, zone in (
            ("example.org", "example.org"),
            ("www.example.org", "example.org"),
            ("a.example.org", "example.org"),
            ("b.a.example.org", "b.a.example.org"),
            ("x.y.b.a.example.org", "b.a.example.org"),
            ("c.a.example.org", "example.org"),
            ("org", None),
            ("xexample.org", None),
            ("example.com", None),
        ):
            for _ in range(2):
                self.assertEqual(enclosing(self.zones, name), zone, name)
        self.assertEqual(enclosing(self.zones, "b.a.example.org", DS), "example.org")
        self.assertEqual(enclosing(self.zones, "example.org", DS), "example.org")
        self.assertIsNone(self.zones.find(name_of(b"\0"), A))

    def test_newZones(self) -> None:
        """
        A zone is there at once, above or below others and where none was; and gone at once.
        """
        self.assertIsNone(enclosing(self.zones, "www.b.example.org"))
        self.apply("one", [{"name": "example.org"}])
        self.assertEqual(enclosing(self.zones, "www.b.example.org"), "example.org")
        self.apply("one", [{"name": "example.org"}, {"name": "b.example.org"}])
        self.assertEqual(enclosing(self.zones, "www.b.example.org"), "b.example.org")
        self.assertIn("example.org", self.told)
        self.apply("one", [{"name": "org"}, {"name": "example.org"}])
        self.assertEqual(enclosing(self.zones, "www.b.example.org"), "example.org")
        self.assertEqual(enclosing(self.zones, "other.org"), "org")
        self.apply("one", [])
        self.assertIsNone(enclosing(self.zones, "www.b.example.org"))

    def test_whoseHostNames(self) -> None:
        """
        Below a zone its account's host names are answered, below a shared one everybody's.
        """
        self.apply("one", [{"name": "example.org"}], "www.example.org")
        self.apply("two", [], "aa.example.org", "x.example.org")
        self.assertEqual(self.neighbours("example.org", "b.example.org")[0], "")
        self.assertEqual(
            self.neighbours("example.org", "www.example.org"), ("org!example!www",) * 2
        )
        self.apply("one", [{"name": "example.org", "shared": True}], "www.example.org")
        self.assertEqual(
            self.neighbours("example.org", "b.example.org"),
            ("org!example!aa", "org!example!www"),
        )

    def test_hostless(self) -> None:
        """
        A zone without host names below it does not look for them, until there is one.
        """
        self.apply("one", [{"name": "example.org"}], "www.example.com")
        self.assertIsNone(self.compiled("example.org").neighbours)
        self.apply("one", [{"name": "example.org"}], "a.b.example.org")
        self.assertEqual(self.neighbours("example.org", "b.example.org"), ("", "org!example!b!a"))
        self.apply("one", [{"name": "example.org"}], "www.example.com")
        self.assertIsNone(self.compiled("example.org").neighbours)

    def test_serial(self) -> None:
        """
        Another domain below it is another serial of the zone.
        """

        def serial() -> bytes:
            return self.compiled("example.org").negative.data[0][-1][:4]

        self.apply("one", [{"name": "example.org"}])
        before = serial()
        self.apply("one", [{"name": "example.org"}], "www.example.org")
        self.assertGreater(serial(), before)

    def test_hostNames(self) -> None:
        """
        When a host name comes or goes nothing is compiled again, and of what is known of the
        names below a zone only what has to do with this one goes.
        """
        zone = {"name": "example.org", "records": [{"name": "a", "type": "A", "data": "192.0.2.1"}]}
        self.apply("one", [zone], *(f"h{number}.example.org" for number in range(0, 9, 2)))
        node = self.compiled("example.org").nodes[wire_name("a.example.org")]
        for number in range(9):
            self.neighbours("example.org", f"h{number}.example.org")
        before = self.zones.weight
        for hosts in ((0, 2, 3, 4, 6, 8), (0, 2, 4, 6, 8), (0, 2, 6, 8), ()):
            self.apply("one", [zone], *(f"h{number}.example.org" for number in hosts))
            self.assertIs(self.compiled("example.org").nodes[wire_name("a.example.org")], node)
            names = [f"org!example!h{number}" for number in hosts]
            for number in range(9) if hosts else ():
                key = f"org!example!h{number}"
                found = self.neighbours("example.org", f"h{number}.example.org")
                self.assertEqual(found, neighbours_in(names, key), (hosts, number))
        self.assertLess(self.zones.weight, before)
        self.assertIsNone(self.compiled("example.org").neighbours)

    def test_told(self) -> None:
        """
        Subscribers hear which host names came or went at each zone above them; of many at once,
        and of a zone, that anything there may be different.
        """
        self.apply("one", [{"name": "example.org"}], "a.example.org")
        enclosing(self.zones, "example.org")
        self.apply("one", [{"name": "example.org"}], "b.example.org")
        self.assertEqual(self.told["example.org"], {"a.example.org", "b.example.org"})
        self.assertEqual(self.told["org"], {"a.example.org", "b.example.org"})
        many = [f"h{number}.example.org" for number in range(MAX_TOLD)]
        self.apply("one", [{"name": "example.org"}], *many)
        self.assertIsNone(self.told["example.org"])
        self.apply("one", [{"name": "example.org"}, {"name": "x.example.org"}], *many)
        self.assertIsNone(self.told["example.org"])


class BoundsTests(SynchronousTestCase):
    """What is kept."""

    def test_bounded(self) -> None:
        """
        All zones together have no more records and gaps than they may; what is used stays.
        """
        authority = Authority()
        for number in range(50):
            lines = [f"n{each} A 192.0.2.1" for each in range(20)]
            authority.reader.add(zone_of(f"zone{number}.test", "\n".join(lines)))
        zones = Zones(authority.reader, ADDRESSES, NAMESERVERS, size=500)
        for number in range(50):
            self.assertEqual(enclosing(zones, f"x.zone{number}.test"), f"zone{number}.test")
            self.assertEqual(enclosing(zones, "zone0.test"), "zone0.test")
            self.assertLessEqual(zones.weight, 500)
        self.assertGreater(len(zones), 5)
        asked = dict(authority.reader.asked)
        self.assertEqual(enclosing(zones, "x.zone0.test"), "zone0.test")
        self.assertEqual(dict(authority.reader.asked), asked)
        zones.changed(None)
        self.assertEqual((len(zones), zones.weight), (0, 0))

    def test_weightComesBack(self) -> None:
        """
        A zone that goes takes with it what was learnt about names below it.
        """
        hosts = [f"h{number}.example.org" for number in range(100)]
        authority = Authority(zone_of("example.org", "www A 192.0.2.1"), hosts=hosts)
        for number in range(100):
            authority.ask(f"x.h{number}.example.org", "A")
            authority.ask(f"h{number}.example.org", "A")
        self.assertGreater(authority.zones.weight, 150)
        before = authority.zones.weight
        authority.zones.changed(["name/h1.example.org"])
        self.assertTrue(before - 4 <= authority.zones.weight < before)
        authority.zones.changed(["zone/example.org"])
        self.assertEqual(authority.zones.weight, 0)

    @given(
        st.sets(st.sampled_from(["a", "b.a", "c.b.a", "d.c.b.a", "x.a", "b"]), max_size=6),
        st.lists(
            st.lists(st.sampled_from(["a", "b", "c", "d", "x", "\\"]), min_size=1, max_size=5),
            max_size=20,
        ),
    )
    def test_sameAsAllSuffixes(self, names: set[str], asked: list[list[str]]) -> None:
        """
        Whatever was asked before, the zone found is the longest of a name's suffixes that is one.
        """
        reader = MemoryReader()
        for name in names:
            reader.add(zone_of(name, "www A 192.0.2.1"))
        zones = Zones(reader, ADDRESSES, NAMESERVERS, size=30)
        for labels in asked:
            suffixes = [".".join(labels[start:]) for start in range(len(labels))]
            wanted = next((each for each in suffixes if each in names), None)
            self.assertEqual(enclosing(zones, ".".join(labels)), wanted)


class ReaderTests(StoreTestCase):
    """`tests.dns.authority.MemoryReader` answers as the store does."""

    def test_sameAnswers(self) -> None:
        """
        The same zones and names, the same neighbours.
        """
        names = ["example.org", "www.example.org", "*.w.example.org", "example.com"]
        zones = ["example.org", "b.a.example.org", "test"]
        site = {
            "account": "demo",
            "zones": [{"name": name} for name in zones],
            "domains": [{"name": name} for name in names],
        }
        self.store.apply([parse_site(site, "site.yaml", WORDS)], "test")
        memory = MemoryReader()
        for name in zones:
            memory.add(zone_of(name, "www A 192.0.2.1"))
        memory.hosts.update(dict.fromkeys(names, "demo"))
        for name in (*names, *zones, "a.example.org", "zz", "aa", "x.w.example.org", " .test"):
            self.assertEqual(memory.zone_gap(name), self.reader.zone_gap(name))
            for account in ("demo", "nobody", None):
                wanted = self.reader.hosted_gap(name, account)
                self.assertEqual(memory.hosted_gap(name, account), wanted)
            self.assertEqual(memory.zone(name) is None, self.reader.zone(name) is None)

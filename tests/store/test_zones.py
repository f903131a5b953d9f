"""
Tests for `hostedge.store.zones`, with writer and reader.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from attrs import evolve
from sqlalchemy import text
from twisted.trial.unittest import SynchronousTestCase

import hostedge.store.upgrade
from hostedge.errors import ConfigError
from hostedge.model.site import FoundZone, Record, Zone
from hostedge.routes.hostname import ordered
from hostedge.store.reader import FIRST, LAST, StoreReader
from hostedge.store.upgrade import open_engine
from hostedge.store.writer import RouteStore
from tests.model.words import WORDS, site
from tests.store.stores import StoreTestCase

MX = Record("@", "MX", "10 mail.example.org.")


class ZoneTestCase(StoreTestCase):
    """Writes sites of nothing but names and zones."""

    def apply(self, account: str, zones: tuple[Zone, ...], **names: tuple[str, ...]) -> list[str]:
        outcome = self.store.apply([evolve(site(account, **names), zones=zones)], "me")
        return [change.key for change in outcome.changes if "zone/" in change.key]

    def serial(self, name: str) -> int:
        found = self.reader.zone(name)
        return -1 if found is None else found.serial


class FindTests(ZoneTestCase):
    """`zone`, `zone_gap` and what is told of changes."""

    def test_found(self) -> None:
        """
        A zone is found by exactly its name, with its account and the revision of its change.
        """
        zone = Zone("example.org", (MX, Record("www", "A", "192.0.2.1", 60.0)), 7200.0, True)
        self.assertEqual(self.apply("demo", (zone,)), ["zone/example.org"])
        self.assertEqual(self.reader.zone("example.org"), FoundZone(zone, "demo", 1, 1))
        self.assertEqual(self.reader.zone_serial("example.org"), 1)
        self.assertIsNone(self.reader.zone("www.example.org"))
        self.assertIsNone(self.reader.zone_serial("www.example.org"))
        self.assertEqual(self.apply("demo", (zone,)), [])
        self.assertEqual(self.apply("demo", ()), ["zone/example.org"])
        self.assertIsNone(self.reader.zone("example.org"))

    def test_gap(self) -> None:
        """
        The neighbours of a name among the zones tell which zones lie above it.
        """
        self.assertEqual(self.reader.zone_gap("example.org"), (FIRST, LAST))
        self.apply("demo", (Zone("example.org"), Zone("b.example.org"), Zone("example-x.org")))
        for name, gap in (
            ("org", (FIRST, "org!example")),
            ("example.org", ("org!example", "org!example")),
            ("a.example.org", ("org!example", "org!example!b")),
            ("x.y.b.example.org", ("org!example!b", "org!example-x")),
            ("zone.test", ("org!example-x", LAST)),
        ):
            self.assertEqual(self.reader.zone_gap(name), gap)

    def test_changedKeys(self) -> None:
        """
        A zone is named when it changed; a name also when its domain has another account now.
        """
        self.apply("one", (Zone("example.org"),), a_example=("b.example",))
        self.assertIn("zone/example.org", self.reader.changed_keys(0)[1] or ())
        both = [site("one"), site("two", a_example=("b.example",))]
        self.store.apply(both, "me")
        keys = self.reader.changed_keys(1)[1] or ()
        for key in ("zone/example.org", "domain/a.example", "name/a.example", "name/b.example"):
            self.assertIn(key, keys)

    def test_export(self) -> None:
        """
        Zones are part of what is exported.
        """
        zone = Zone("example.org", (MX,))
        self.apply("demo", (zone,))
        self.assertEqual(next(self.store.export("demo")).zones, (zone,))


class SerialTests(ZoneTestCase):
    """The serial of a zone is the revision at which its answers have changed last."""

    def test_ownNames(self) -> None:
        """
        A name of the same account that comes, goes or moves changes the zones above it.
        """
        zones = Zone("example.org"), Zone("sub.example.org"), Zone("example.net")
        self.apply("demo", zones)
        steps: list[tuple[dict[str, tuple[str, ...]], tuple[int, int, int]]] = [
            ({"www_example_org": ()}, (2, 1, 1)),
            ({"www_example_org": ("a.sub.example.org",)}, (3, 3, 1)),
            ({"x_test": ("a.sub.example.org",)}, (4, 4, 1)),
            ({"x_test": ()}, (5, 5, 1)),
            ({"x_test": (), "example_net": ("*.example.net",)}, (5, 5, 6)),
            ({"x_test": ("xexample.net",), "example_net": ("*.example.net",)}, (5, 5, 6)),
        ]
        for names, wanted in steps:
            self.apply("demo", zones, **names)
            self.assertEqual(tuple(self.serial(zone.name) for zone in zones), wanted)

    def test_otherChanges(self) -> None:
        """
        What a domain does, and records of another zone, change nothing.
        """
        zones = Zone("example.org"), Zone("example.net")
        self.apply("demo", zones, a_example_org=())
        whole = evolve(site("demo", a_example_org=()), zones=(zones[0], Zone("example.net", (MX,))))
        self.store.apply([evolve(whole, domains=(evolve(whole.domains[0], mappings=()),))], "me")
        self.assertEqual([self.serial(zone.name) for zone in zones], [1, 2])

    def test_otherAccounts(self) -> None:
        """
        Names of other accounts count for a shared zone only, also when they change hands.
        """
        self.apply("demo", (Zone("own.test"), Zone("shared.test", shared=True)))
        self.apply("other", (), a_own_test=(), a_shared_test=())
        self.assertEqual((self.serial("own.test"), self.serial("shared.test")), (1, 2))
        self.store.apply([site("other")], "me")
        self.assertEqual((self.serial("own.test"), self.serial("shared.test")), (1, 3))
        self.apply("other", (), a_own_test=())
        taken = evolve(
            site("demo", a_own_test=()), zones=(Zone("own.test"), Zone("shared.test", shared=True))
        )
        self.store.apply([site("other"), taken], "me")
        self.assertEqual((self.serial("own.test"), self.serial("shared.test")), (5, 3))

    def test_zonesWithin(self) -> None:
        """
        A zone that comes or goes hides or shows names of the one above it.
        """
        outer, inner = Zone("example.org"), Zone("sub.example.org")
        for zones, wanted in (
            ((outer,), (1, -1)),
            ((outer, inner), (2, 2)),
            ((outer, evolve(inner, ttl=60.0)), (2, 3)),
            ((outer,), (4, -1)),
        ):
            self.apply("demo", zones)
            found = self.serial(outer.name), self.serial(inner.name)
            self.assertEqual(found, wanted)

    def test_dryRun(self) -> None:
        """
        A dry run moves no serial.
        """
        self.apply("demo", (Zone("example.org"),))
        wanted = evolve(site("demo", a_example_org=()), zones=(Zone("example.org", (MX,)),))
        self.store.apply([wanted], "me", dry_run=True)
        self.assertEqual(
            self.reader.zone("example.org"), FoundZone(Zone("example.org"), "demo", 1, 1)
        )

    def test_manyNames(self) -> None:
        """
        More names than one statement takes are no obstacle.
        """
        self.apply("demo", (Zone("example.org"), Zone("x.example.org")))
        aliases = tuple(f"{letter}{i}.example.org" for letter in "ab" for i in range(400))
        self.apply("demo", (Zone("example.org"), Zone("x.example.org")), example_org=aliases)
        self.assertEqual((self.serial("example.org"), self.serial("x.example.org")), (2, 1))


class HandsTests(ZoneTestCase):
    """Zones of several accounts."""

    def refused(self, account: str, *names: str) -> str:
        zones = tuple(map(Zone, names))
        wanted = evolve(site(account), zones=zones)
        for dry_run in (True, False):
            error = self.assertRaises(ConfigError, self.store.apply, [wanted], "me", dry_run)
        return str(error)

    def test_refused(self) -> None:
        """
        An account has no zone at, below or above another one's; both are named.
        """
        self.apply("one", (Zone("example.org"),))
        for name, wanted in (
            ("example.org", "account two: example.org is a zone of account one already"),
            ("a.b.example.org", "a.b.example.org lies below example.org, which is a zone of acc"),
            ("org", "account two: org lies above example.org, which is a zone of account one"),
        ):
            self.assertIn(wanted, self.refused("two", name))
        self.assertIn("want both in one account", self.refused("two", "org"))
        self.apply("two", (Zone("xexample.org"), Zone("example.net")))
        self.assertEqual(self.reader.revision(), 2)

    def test_oneCall(self) -> None:
        """
        Also two accounts of one call are kept apart; what is given up in it may be taken.
        """
        one = evolve(site("one"), zones=(Zone("example.org"),))
        two = evolve(site("two"), zones=(Zone("a.example.org"),))
        for sites in ([one, two], [two, one]):
            self.assertRaises(ConfigError, self.store.apply, sites, "me")
        self.store.apply([one], "me")
        self.store.apply([evolve(one, zones=()), two], "me")
        self.assertEqual(self.serial("example.org"), -1)
        self.store.apply([evolve(two, zones=()), evolve(one, zones=two.zones)], "me")
        found = self.reader.zone("a.example.org")
        self.assertEqual(found and found.account, "one")


class OlderStoreTests(SynchronousTestCase):
    """A store that was written before there were zones."""

    def test_upgraded(self) -> None:
        """
        Its names keep their domains and learn their accounts, in the order of now.
        """
        path = Path(self.mktemp())
        engine = open_engine(path)
        self.addCleanup(engine.dispose)
        config = Config()
        folder = Path(hostedge.store.upgrade.__file__).parent / "migrations"
        config.set_main_option("script_location", str(folder))
        config.set_main_option("path_separator", "os")
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
            connection.execute(text("INSERT INTO accounts VALUES ('demo', '{\"name\":\"demo\"}')"))
            body = '{"account":"demo","name":"a-b.example","aliases":["*.a-b.example","local"]}'
            row = {"body": body}
            connection.execute(
                text("INSERT INTO domains VALUES ('a-b.example', 'demo', :body)"), row
            )
            for name in ("example.a-b", "example.a-b.*", "local"):
                connection.execute(
                    text("INSERT INTO names VALUES (:name, 'a-b.example')"), {"name": name}
                )
        store = RouteStore(path, WORDS, lambda: 1.0)
        self.addCleanup(store.close)
        reader = StoreReader(path, WORDS)
        self.addCleanup(reader.close)
        for name in ("a-b.example", "x.a-b.example", "local"):
            found = reader.find(name)
            self.assertEqual(found and found.domain.name, "a-b.example")
        self.assertEqual(reader.hosted_gap("local", "demo"), ("local", "local"))
        self.assertEqual(reader.gap("a.example"), (FIRST, ordered("a-b.example")))
        # the names are the domain's own: they go with it
        store.apply([site("demo")], "me")
        self.assertFalse(reader.served("local"))

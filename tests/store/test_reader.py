"""
Tests for `hostedge.store.reader`.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import ConfigError
from hostedge.model.site import Account, Certificate, Site
from hostedge.store.reader import FIRST, LAST, StoreReader, open_read_only
from tests.model.words import WORDS, pair, site
from tests.store.stores import StoreTestCase


class FindTests(StoreTestCase):
    """`find`, `served`, `gap`, `app` and `always_on`."""

    def test_alwaysOn(self) -> None:
        """
        The few apps that run without having been asked for are found by their index.
        """
        whole = site("demo", a_example=())
        lasting = evolve(whole.apps[0], name="lasting", always_on=True)
        self.store.apply([evolve(whole, apps=(*whole.apps, lasting))], "me")
        self.assertEqual(self.reader.always_on(), ["demo/lasting"])

    def test_exactThenWildcard(self) -> None:
        """
        An exact name goes before a wildcard, which covers one label; aliases lead to their domain.
        """
        self.store.apply([site("demo", a_example=("*.a.example",), x_a_example=())], "me")
        for name, found_name, domain in (
            ("a.example", "a.example", "a.example"),
            ("b.a.example", "*.a.example", "a.example"),
            ("x.a.example", "x.a.example", "x.a.example"),
        ):
            found = self.reader.find(name)
            assert found is not None
            self.assertEqual((found.name, found.domain.name), (found_name, domain))
            self.assertTrue(self.reader.served(name))
        for name in ("example", "b.example", "c.b.a.example", "localhost", "zz.x.a.example"):
            self.assertIsNone(self.reader.find(name))
            self.assertFalse(self.reader.served(name))

    def test_whatAHostNeeds(self) -> None:
        """
        With the domain come its owner and what its mappings name; what is missing is absent.
        """
        whole = site("demo", a_example=())
        self.store.apply([evolve(whole, pools=(), account=Account("demo", True))], "me")
        found = self.reader.find("a.example")
        assert found is not None
        self.assertEqual(found.domain, whole.domains[0])
        self.assertEqual(found.account, Account("demo", suspended=True))
        self.assertEqual(found.apps, {"web": whole.apps[0]})
        self.assertEqual(found.pools, {})
        self.assertEqual(found.revision, 1)

    def test_gap(self) -> None:
        """
        The gap of a name is bounded by the names next to it, or is the name itself.
        """
        self.assertEqual(self.reader.gap("x.example"), (FIRST, LAST))
        self.store.apply([site("demo", b_example=("*.b.example",), d_example=())], "me")
        for name, gap in (
            ("a.example", (FIRST, "example!b")),
            ("b.example", ("example!b", "example!b")),
            ("x.y.b.example", ("example!b!*", "example!d")),
            ("z.example", ("example!d", LAST)),
        ):
            self.assertEqual(self.reader.gap(name), gap)

    def test_ancestorsAreNeighbours(self) -> None:
        """
        The neighbours of a name tell which of the names above it are there.
        """
        names = {"a_example": (), "b_a_example": (), "c_b_a_example": (), "ab_example": ()}
        self.store.apply([site("demo", **names)], "me")
        for name, gap in (
            ("x.a.example", ("example!a!b!c", "example!ab")),
            ("a.b.a.example", ("example!a!b", "example!a!b!c")),
            ("example", (FIRST, "example!a")),
        ):
            self.assertEqual(self.reader.gap(name), gap)

    def test_hostedGap(self) -> None:
        """
        The same among the names of one account, or of all.
        """
        self.store.apply([site("one", b_example=()), site("two", a_example=("c.example",))], "me")
        for account, gap in (
            ("one", (FIRST, "example!b")),
            ("two", ("example!a", "example!c")),
            ("none", (FIRST, LAST)),
            (None, ("example!a", "example!b")),
        ):
            self.assertEqual(self.reader.hosted_gap("aa.example", account), gap)
        self.store.apply([site("one"), site("two", b_example=())], "me")
        self.assertEqual(self.reader.hosted_gap("b.example", "two"), ("example!b",) * 2)
        self.assertEqual(self.reader.hosted_gap("b.example", "one"), (FIRST, LAST))

    def test_app(self) -> None:
        """
        The keeper reads an app with its owner.
        """
        self.store.apply([site("demo")], "me")
        self.assertEqual(self.reader.app("demo", "web"), (Account("demo"), site().apps[0]))
        self.assertIsNone(self.reader.app("demo", "x"))
        self.assertIsNone(self.reader.app("x", "web"))

    def test_rowOfAnUnknownWord(self) -> None:
        """
        A row that this build cannot read is an error that names the object, and the next call
        works.
        """
        self.store.apply([site("demo", a_example=())], "me")
        raw = sqlite3.connect(self.path)
        self.addCleanup(raw.close)
        raw.execute("UPDATE domains SET body = replace(body, '\"pool\"', '\"later\"')")
        raw.commit()
        error = self.assertRaises(ConfigError, self.reader.find, "a.example")
        self.assertIn("domain/a.example: mappings[1]", str(error))
        self.assertEqual(self.reader.revision(), 1)


class CertificateTests(StoreTestCase):
    """`certificate`."""

    def own(self, name: str, *names: str, days: int = 1) -> Certificate:
        chain, key = pair(*names, days=days)
        return Certificate(name, names, chain, self.store.put_secrets([key])[0])

    def test_order(self) -> None:
        """
        The own exact one goes before the own wildcard, that before an issued one.
        """
        exact = self.own("exact", "a.b.example")
        wild = self.own("wild", "*.b.example")
        self.store.put_certificate("a.b.example", "issued", "key", 5.0)
        whole = site("demo", b_example=("*.b.example",))
        chains = []
        for certificates in ((exact, wild), (wild,), ()):
            self.store.apply([evolve(whole, certificates=certificates)], "me")
            found = self.reader.certificate("a.b.example")
            assert found is not None
            chains.append(found.chain.decode())
        self.assertEqual(chains, [exact.chain, wild.chain, "issued"])

    def test_withKeyAndEnd(self) -> None:
        """
        Of two for the same name the one that lasts longer is taken, with its key and its end.
        """
        short, long = (self.own(f"c{days}", "a.example", days=days) for days in (1, 9))
        whole = site("demo", a_example=())
        self.store.apply([evolve(whole, certificates=(short, long))], "me")
        found = self.reader.certificate("a.example")
        assert found is not None
        self.assertEqual(found.key.decode(), pair("a.example", days=9)[1])
        self.assertEqual(found.not_after, 1893456000.0 + 9 * 86_400)

    def test_notForOthers(self) -> None:
        """
        An account's certificate for a name that another account serves is not used.
        """
        stolen = self.own("own", "a.example", "*.example")
        thief = evolve(site("thief", x_example=()), certificates=(stolen,))
        self.store.apply([site("owner", a_example=()), thief], "me")
        self.assertIsNone(self.reader.certificate("a.example"))
        self.assertIsNotNone(self.reader.certificate("x.example"))

    def test_nodesOwnName(self) -> None:
        """
        An issued certificate is found for a name that no domain has: the node's own.
        """
        self.store.put_certificate("localhost", "issued", "key", 5.0)
        self.assertIsNotNone(self.reader.certificate("localhost"))
        self.assertIsNone(self.reader.certificate("x.localhost"))


class ChangedTests(StoreTestCase):
    """`changed_keys`."""

    def changed(self, *every: Site) -> list[str]:
        since = self.reader.revision()
        self.store.apply(every, "me")
        now, keys = self.reader.changed_keys(since)
        self.assertEqual(now, self.reader.revision())
        return sorted(keys or [])

    def test_namesThatMove(self) -> None:
        """
        Beside the objects come the names that lead elsewhere now, and only those.
        """
        self.changed(site("demo", a_example=("b.example",)))
        self.assertEqual(
            self.changed(site("demo", a_example=("*.c.example",))),
            ["domain/a.example", "name/*.c.example", "name/b.example"],
        )
        self.assertEqual(
            self.changed(site("demo")), ["domain/a.example", "name/*.c.example", "name/a.example"]
        )

    def test_certificates(self) -> None:
        """
        A certificate that changes in any way comes with all its names.
        """
        chain, key = pair("a.example", "b.example")
        own = Certificate("own", ("a.example",), chain, self.store.put_secrets([key])[0])
        self.changed(evolve(site("demo"), certificates=(own,)))
        self.assertEqual(
            self.changed(evolve(site("demo"), certificates=(evolve(own, names=("b.example",)),))),
            ["certificate/demo/own", "name/a.example", "name/b.example"],
        )

    def test_nothing(self) -> None:
        """
        Nothing newer is an empty list.
        """
        self.changed(site("demo"))
        self.assertEqual(self.reader.changed_keys(1), (1, []))

    def test_tooMuch(self) -> None:
        """
        More than the limit, or a store older than what is known, is everything.
        """
        self.changed(site("demo"))
        self.assertEqual(self.reader.changed_keys(0, limit=2), (1, None))
        self.assertEqual(len(self.reader.changed_keys(0, limit=3)[1] or []), 3)
        self.assertEqual(self.reader.changed_keys(7), (1, None))


class OpenTests(SynchronousTestCase):
    """`open_read_only` and what it costs to import a reader."""

    def test_notThere(self) -> None:
        """
        A missing file, or one that is no store, is named and not made.
        """
        missing = Path(self.mktemp())
        wrong = Path(self.mktemp())
        wrong.write_text("x" * 1000)
        for path in (missing, wrong):
            error = self.assertRaises(ConfigError, open_read_only, path)
            self.assertIn(f"{path}: is no route store", str(error))
        self.assertFalse(missing.exists())

    def test_smallToImport(self) -> None:
        """
        Edges import neither SQLAlchemy nor Alembic nor YAML with a reader and a host cache.
        """
        check = (
            "import sys\nimport hostedge.store.hosts, hostedge.store.reader\n"
            "print(sorted({'sqlalchemy', 'alembic', 'yaml'} & set(sys.modules)))"
        )
        root = Path(__file__).resolve().parents[2]
        done = subprocess.run([sys.executable, "-c", check], cwd=root, capture_output=True)
        self.assertEqual(done.stdout, b"[]\n")


class ReadOnlyTests(StoreTestCase):
    """The reader's connection."""

    def test_cannotWrite(self) -> None:
        """
        Nothing can be written through it.
        """
        connection = open_read_only(self.path)
        self.addCleanup(connection.close)
        self.assertRaises(sqlite3.OperationalError, connection.execute, "DELETE FROM names")

    def test_afterTheWriter(self) -> None:
        """
        A reader that stays keeps the store readable for new readers when the writer has gone.
        """
        self.store.apply([site("demo", a_example=())], "me")
        self.store.close()
        second = StoreReader(self.path, WORDS)
        self.addCleanup(second.close)
        self.assertTrue(second.served("a.example"))

"""
Tests for `hostedge.store.upgrade` and the migrations that it runs.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import ConfigError
from hostedge.store.reader import SCHEMA, open_read_only
from hostedge.store.tables import METADATA
from hostedge.store.upgrade import open_engine, upgrade
from hostedge.store.writer import RouteStore
from tests.model.words import WORDS, site


class UpgradeTests(SynchronousTestCase):
    """`upgrade`."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "state" / "store.db"

    def test_tablesAreTheOnesOfTheCode(self) -> None:
        """
        The migrations lead to exactly the tables that the code uses; a second run does nothing.
        """
        upgrade(self.path)
        upgrade(self.path)
        with open_engine(self.path).connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            self.assertEqual(compare_metadata(context, METADATA), [])
            self.assertEqual(context.get_current_revision(), SCHEMA)
            rowless = "SELECT count(*) FROM sqlite_master WHERE sql LIKE '%WITHOUT ROWID%'"
            self.assertEqual(connection.execute(text(rowless)).scalar(), 3)

    def test_lostNamesOfOlderStores(self) -> None:
        """
        A store of an earlier version gets what its history says about names that moved.
        """
        store = RouteStore(self.path, WORDS, lambda: 1.0)
        self.addCleanup(store.close)
        store.apply([site("demo", a_example=("b.example", "c.example"), d_example=())], "me")
        store.apply([site("demo", a_example=("c.example",), d_example=("b.example",))], "me")
        store.apply([site("demo")], "me")
        every = text("SELECT * FROM names_lost ORDER BY name, revision")
        with open_engine(self.path).begin() as connection:
            written = connection.execute(every).fetchall()
            self.assertEqual(
                written[1:3], [("example!b", 2, "a.example"), ("example!b", 3, "d.example")]
            )
            connection.execute(text("DROP INDEX apps_always_on"))
            connection.execute(text("DROP TABLE names_lost"))
            connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
        upgrade(self.path)
        with open_engine(self.path).connect() as connection:
            self.assertEqual(connection.execute(every).fetchall(), written)

    def test_readersWait(self) -> None:
        """
        An older store is not there for readers before it is upgraded: its names would be others.
        """
        upgrade(self.path)
        with open_engine(self.path).begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        error = self.assertRaises(ConfigError, open_read_only, self.path)
        self.assertEqual(error.problem, f"has tables of version 0001, want {SCHEMA}")

    def test_modes(self) -> None:
        """
        Whatever the umask: the group may read, others nothing; the log beside it is the same.
        """
        old = os.umask(0o077)
        try:
            upgrade(self.path)
            connection = open_engine(self.path).connect()
            self.addCleanup(connection.close)
        finally:
            os.umask(old)
        for path in (self.path, self.path.with_name("store.db-wal")):
            self.assertEqual(stat.S_IMODE(path.stat().st_mode), 0o640)
        self.assertEqual(stat.S_IMODE(self.path.parent.stat().st_mode), 0o750)

    def test_durable(self) -> None:
        """
        A commit is in the log on disk when it returns, and readers do not wait for writers.
        """
        upgrade(self.path)
        with open_engine(self.path).connect() as connection:
            self.assertEqual(connection.execute(text("PRAGMA journal_mode")).scalar(), "wal")
            self.assertEqual(connection.execute(text("PRAGMA synchronous")).scalar(), 2)

    def test_notAStore(self) -> None:
        """
        Another kind of file is refused and stays as it is.
        """
        self.path.parent.mkdir(parents=True)
        self.path.write_text("something else, longer than a header of a database would be\n" * 9)
        before = self.path.read_bytes()
        error = self.assertRaises(ConfigError, upgrade, self.path)
        self.assertIn("is no route store", str(error))
        self.assertEqual(self.path.read_bytes(), before)

    def test_laterVersion(self) -> None:
        """
        A store that a later version has upgraded is refused.
        """
        upgrade(self.path)
        with open_engine(self.path).begin() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        error = self.assertRaises(ConfigError, upgrade, self.path)
        self.assertIn("later version", str(error))

    def test_cannotBeWritten(self) -> None:
        """
        A folder that cannot be made is named.
        """
        self.path.parent.parent.mkdir()
        self.path.parent.write_text("a file")
        error = self.assertRaises(ConfigError, upgrade, self.path)
        self.assertIn("cannot be written", str(error))

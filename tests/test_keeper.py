"""
Tests for the keeper's eye on the store, `hostedge.keeper.KeeperStore`; the keeper as a whole is
tested with nodes, in `tests.live`.
"""

from __future__ import annotations

from pathlib import Path

from attrs import evolve

from hostedge.keeper import KeeperStore
from hostedge.model.site import Account
from tests.model.words import WORDS, site
from tests.store.stores import StoreTestCase


class KeeperStoreTests(StoreTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.told: list[list[str] | None] = []
        self.eye = KeeperStore(self.path, WORDS)
        self.eye.subscribe(self.told.append)

    def suspend(self, *accounts: str) -> None:
        for account in accounts:
            whole = evolve(site(account), account=Account(account, suspended=True))
            self.store.apply([whole], "me")

    def test_opened(self) -> None:
        """
        Once the store is there, everything in it is news, once.
        """
        nowhere = KeeperStore(Path(self.mktemp()) / "store.db", WORDS)
        nowhere.subscribe(self.told.append)
        self.assertEqual((nowhere.is_there(), nowhere.always_on(), self.told), (False, [], []))
        self.assertTrue(self.eye.is_there())
        self.eye.changed(self.reader.revision())
        self.assertEqual(self.told, [None])

    def test_alwaysOn(self) -> None:
        """
        A change that makes an app always on is told, and the app is found.
        """
        whole = site("demo", a_example=())
        self.store.apply([whole], "me")
        self.assertEqual(self.eye.always_on(), [])
        apps = tuple(evolve(app, always_on=True) for app in whole.apps)
        self.store.apply([evolve(whole, apps=apps)], "me")
        self.eye.changed(self.reader.revision())
        name = f"demo/{apps[0].name}"
        self.assertIn(f"app/{name}", self.told[-1] or [])
        self.assertIn(name, self.eye.always_on())

    def test_suspended(self) -> None:
        """
        Of named changes the suspended accounts are those named, of nameless ones those that run.
        """
        self.store.apply([site("one"), site("two"), site("three")], "me")
        self.assertEqual(self.eye.suspended(None, {"one"}), [])
        self.eye.is_there()
        self.suspend("one", "two")
        keys = ["account/two", "account/three", "app/one/x"]
        self.assertEqual(self.eye.suspended(keys, {"one"}), ["two"])
        self.assertEqual(self.eye.suspended(None, {"three", "one"}), ["one"])

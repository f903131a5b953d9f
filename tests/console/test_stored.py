"""
Tests for `hostedge.console.stored`, with a real store.
"""

from __future__ import annotations

from attrs.exceptions import FrozenInstanceError

from hostedge.console.layout import shown
from hostedge.console.namespace import _described
from hostedge.console.stored import RECENT, Stored
from hostedge.errors import ConfigError
from hostedge.model.parse import parse_site
from tests.model.words import WORDS
from tests.store.stores import StoreTestCase

SITE = {
    "account": "demo",
    "apps": [{"name": "hello", "runtime": "script", "command": ["true"]}],
    "pools": [{"name": "old", "servers": [{"address": "127.0.0.1:1"}]}],
    "domains": [{"name": "a.example", "aliases": ["*.a.example"]}],
    "zones": [{"name": "a.example"}],
}


class StoredTests(StoreTestCase):
    """The view of an operator."""

    def setUp(self) -> None:
        super().setUp()
        self.store.apply([parse_site(SITE, "x", WORDS)], "ann")
        self.view = Stored(self.store, self.history, self.reader)

    def test_objects(self) -> None:
        """
        Every kind of object is found by its name.
        """
        self.assertEqual(self.view.account("demo").name, "demo")
        self.assertEqual(self.view.app("demo/hello").runtime, "script")
        self.assertEqual(self.view.pool("demo/old").servers[0].address, "127.0.0.1:1")
        self.assertEqual(self.view.domain("x.a.example").name, "a.example")
        self.assertEqual(self.view.find("x.a.example").name, "*.a.example")
        self.assertEqual(self.view.zone("a.example").account, "demo")
        self.assertEqual(len(self.view.site("demo").domains), 1)
        self.assertEqual(self.view.revision(), 1)

    def test_missing(self) -> None:
        """
        What is not there is a sentence, not a traceback.
        """
        for ask, name in (
            (self.view.account, "nobody"),
            (self.view.app, "demo/nothing"),
            (self.view.app, "demo"),
            (self.view.pool, "nobody/x"),
            (self.view.domain, "b.example"),
            (self.view.zone, "b.example"),
        ):
            self.assertRaises(ConfigError, ask, name)

    def test_frozen(self) -> None:
        """
        Values cannot be changed, and the view has nothing that writes.
        """
        with self.assertRaises(FrozenInstanceError):
            self.view.account("demo").suspended = True  # type: ignore[misc]
        words = {name for name in dir(Stored) if not name.startswith("_")}
        reads = "revision site account app pool domain find zone changes".split()
        self.assertEqual(words, set(reads))
        self.assertIn("revision 1", repr(self.view))

    def test_changes(self) -> None:
        """
        History as a table: who did what to which object.
        """
        text = shown(self.view.changes(), 80)
        self.assertIn("       1  1970-01-12 13:46:40Z  ann  created  account/demo", text)
        keys = [each["key"] for each in self.view.changes(key="app/")]
        self.assertEqual(keys, ["app/demo/hello"])
        self.assertEqual(shown(self.view.changes(1), 80), "No change is recorded.")
        (change,) = self.view.changes(key="domain/a.example")
        self.assertEqual((change["before"], change["after"]["name"]), (None, "a.example"))
        self.assertLessEqual(max(map(len, shown(self.view.changes(), 50).splitlines())), 50)

    def test_recent(self) -> None:
        """
        Without a revision it is the last ones.
        """
        for number in range(RECENT + 5):
            site = {**SITE, "pools": [{"name": f"p{number}", "servers": [{"address": "a:1"}]}]}
            self.store.apply([parse_site(site, "x", WORDS)], "ann")
        first = self.view.revision() - RECENT + 1
        self.assertEqual(self.view.changes()[0]["revision"], first)
        self.assertEqual(self.view.changes(0)[0]["revision"], 1)

    def test_help(self) -> None:
        """
        What it says of itself names every word, and no line is too long.
        """
        lines = "\n".join(_described(self.view)).splitlines()
        self.assertLessEqual(max(map(len, lines)), 80)
        self.assertIn("zone(name)", lines)

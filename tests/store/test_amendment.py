"""
Tests for `hostedge.store.amendment`, with the writer.
"""

from __future__ import annotations

import json

from attrs import evolve
from hypothesis import given, settings

from hostedge.errors import ConfigError
from hostedge.model.keys import account_key, domain_key, zone_key
from hostedge.model.parse import parse_object
from hostedge.model.site import Account, Domain, Record, Site, Zone
from hostedge.store.amendment import Edits, amended, owner_of
from hostedge.store.plan import body_of, objects_of
from tests.model.words import WORDS, site, sites
from tests.store.stores import StoreTestCase

ZONE = Zone("example.org", (Record("@", "TXT", '"x"'),))
KEY = zone_key("example.org")


class AmendTests(StoreTestCase):
    """`amend` and `put`."""

    def amend(self, edits: Edits, dry_run: bool = False) -> list[str]:
        return [change.key for change in self.store.amend(edits, "me", dry_run).changes]

    def refused(self, edits: Edits) -> str:
        return str(self.assertRaises(ConfigError, self.store.amend, edits, "me"))

    def test_put(self) -> None:
        """
        One object is put in place, replaced and taken away; the rest stays.
        """
        whole = site("demo", a_example=())
        self.store.apply([whole], "me")
        for value in (ZONE, evolve(ZONE, ttl=60.0), None):
            self.assertEqual(len(self.store.put("demo", KEY, value, "me", True).changes), 1)
            outcome = self.store.put("demo", KEY, value, "me")
            self.assertEqual([change.key for change in outcome.changes], [KEY])
            self.assertEqual(outcome.revision, self.reader.revision())
            (now,) = self.store.export()
            self.assertEqual(now, evolve(whole, zones=(value,) if value else ()))
            self.assertEqual(self.store.put("demo", KEY, value, "me").changes, ())

    def test_dryRun(self) -> None:
        """
        A dry run says what would change and keeps the revision.
        """
        self.store.apply([site("demo")], "me")
        outcome = self.store.put("demo", KEY, ZONE, "me", dry_run=True)
        self.assertEqual((outcome.revision, len(outcome.changes)), (1, 1))
        self.assertIsNone(self.reader.zone("example.org"))

    def test_whole(self) -> None:
        """
        What is left must fit together, and must not be another account's.
        """
        self.store.apply([site("demo", a_example=()), site("two")], "me")
        broken = self.refused({"demo": {"app/demo/web": None}})
        self.assertIn("account demo: domains[0] (a.example): mappings[0]: app: want", broken)
        taken = self.refused({"two": {domain_key("a.example"): Domain("a.example")}})
        self.assertIn("account two: a.example is a name of account demo already", taken)
        self.assertIn("no such account", self.refused({"nobody": {KEY: ZONE}}))
        self.assertEqual(self.reader.revision(), 1)

    def test_severalAccounts(self) -> None:
        """
        A domain changes hands in one call, and back.
        """
        self.store.apply([site("one", a_example=()), site("two")], "me")
        key, domain = domain_key("a.example"), site("x", a_example=()).domains[0]
        self.assertEqual(self.amend({"one": {key: None}, "two": {key: domain}}), [key])
        found = self.reader.find("a.example")
        self.assertEqual(found and found.account.name, "two")
        self.assertEqual(self.amend({"two": {key: None}, "one": {key: domain}}), [key])

    def test_accounts(self) -> None:
        """
        An account comes with what it has, and goes when nothing is left.
        """
        edits = {"demo": dict(objects_of(evolve(site("demo"), zones=(ZONE,))))}
        self.assertEqual(len(self.amend(edits)), 4)
        self.assertIn("cannot go", self.refused({"demo": {account_key("demo"): None}}))
        self.assertEqual(len(self.amend({"demo": dict.fromkeys(edits["demo"])})), 4)
        self.assertEqual(list(self.store.export()), [])


class SiteTests(StoreTestCase):
    """`amended` and `owner_of`."""

    @settings(max_examples=30, deadline=None)
    @given(sites())
    def test_nothingChanged(self, one: Site) -> None:
        """
        Without edits a site is what its rows are.
        """
        name = one.account.name
        rows = {key: body_of(value, name, WORDS) for key, value in objects_of(one)}
        self.assertEqual(amended(rows, {name: {}}, WORDS), [one])
        self.assertEqual({owner_of(key, body) for key, body in rows.items()}, {name})

    def test_ofHistory(self) -> None:
        """
        A body of the history is an object again, ready to be put back.
        """
        self.store.apply([evolve(site("demo"), zones=(ZONE,))], "me")
        self.store.apply([Site(Account("demo"))], "me")
        (entry,) = self.history.entries(KEY, 1)
        document = json.loads(entry.change.before or "")
        account = document.pop("account")
        self.store.put(account, KEY, parse_object(KEY, document, WORDS), "me")
        found = self.reader.zone("example.org")
        self.assertEqual(found and found.zone, ZONE)

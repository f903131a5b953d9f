"""
Tests for `hostedge.store.undo`.
"""

from __future__ import annotations

from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostedge.errors import ConfigError, Conflict
from hostedge.model.site import Account, App, Certificate, Domain, Mapping, Record, Site, Zone
from tests.model.words import Script, ToApp, pair, site
from tests.store.stores import StoreTestCase
from tests.store.test_past import calls


class UndoTests(StoreTestCase):
    """`RouteStore.undo`: back to what was, or not at all."""

    def everything(self) -> list[Site]:
        return list(self.store.export())

    def refused(self, revision: int) -> str:
        """Why it cannot be undone; nothing has changed."""
        before, newest = self.everything(), self.reader.revision()
        for dry_run in (True, False):
            error = self.assertRaises(ConfigError, self.store.undo, revision, "me", dry_run)
        self.assertEqual((self.everything(), self.reader.revision()), (before, newest))
        return str(error)

    def test_back(self) -> None:
        """
        What was changed, deleted and created is as it was; one new revision names who did it.
        """
        self.store.apply([site("demo", a_example=("b.example",), c_example=())], "me")
        before = self.everything()
        fast = App("web", "script", Script(("run",), processes=7))
        changed = evolve(site("demo", a_example=(), d_example=()), apps=(fast,))
        self.store.apply([changed], "me")
        dry = self.store.undo(2, "you", dry_run=True)
        self.assertEqual(self.reader.revision(), 2)
        outcome = self.store.undo(2, "you")
        self.assertEqual(outcome.changes, dry.changes)
        self.assertEqual(outcome.revision, 3)
        self.assertEqual(self.everything(), before)
        self.assertTrue(self.reader.served("b.example"))
        self.assertFalse(self.reader.served("d.example"))
        self.assertEqual({each.who for each in self.history.entries(after=2)}, {"you"})

    def test_undoOfAnUndo(self) -> None:
        """
        An undo is a change like others: undone, what was undone is there again.
        """
        self.store.apply([site("demo", a_example=())], "me")
        self.store.apply([site("demo", b_example=())], "me")
        after = self.everything()
        self.store.undo(2, "me")
        self.store.undo(3, "me")
        self.assertEqual(self.everything(), after)

    def test_oneAfterTheOther(self) -> None:
        """
        The last changes of one object can be undone one by one, back to where it was not there.
        """
        states = [self.everything()]
        for aliases in (("b.example",), ("c.example",), ()):
            self.store.apply([site("demo", a_example=aliases)], "me")
            states.append(self.everything())
        for revision in (3, 2, 1):
            self.store.undo(revision, "me")
            self.assertEqual(self.everything(), states[revision - 1])

    def test_changedAgain(self) -> None:
        """
        A later change of any of its objects is named: which, when, by whom.
        """
        self.store.apply([site("demo", a_example=())], "me")
        self.store.apply([site("demo", a_example=("b.example",), c_example=())], "me")
        self.now = 1_795_341_600.0
        self.store.apply([site("demo", a_example=("d.example",), c_example=())], "you")
        problem = (
            "revision 2: domain/a.example was changed again at revision 3, "
            "2026-11-22 10:00:00Z, by you; undo that first"
        )
        self.assertEqual(self.refused(2), problem)
        self.assertRaises(Conflict, self.store.undo, 2, "me")
        self.store.undo(3, "me")
        self.store.undo(2, "me")
        self.assertIn("changed again at revision 5", self.refused(2))
        self.assertIn("there is no such revision", self.refused(9))

    def test_changedHands(self) -> None:
        """
        A domain that went from one account to another goes back.
        """
        self.store.apply([site("one", a_example=()), site("two")], "me")
        before = self.everything()
        self.store.apply([site("one"), site("two", a_example=())], "me")
        self.store.undo(2, "me")
        self.assertEqual(self.everything(), before)
        found = self.reader.find("a.example")
        self.assertEqual(found and found.account.name, "one")

    def test_nameOfAnother(self) -> None:
        """
        A name that has found another owner meanwhile is not taken away from it.
        """
        self.store.apply([site("one", a_example=("b.example",)), site("two")], "me")
        self.store.apply([site("one", a_example=())], "me")
        self.store.apply([site("two", c_example=("b.example",))], "me")
        self.assertIn("b.example is a name of account two already", self.refused(2))

    def test_missingApp(self) -> None:
        """
        A mapping does not come back without its app, and no app goes that a mapping names.
        """
        mapped = Domain("a.example", (), (Mapping("/", ToApp("web")),))
        app = site("demo").apps
        self.store.apply([Site(Account("demo"))], "me")
        self.store.apply([Site(Account("demo"), apps=app)], "me")
        self.store.apply([Site(Account("demo"), apps=app, domains=(mapped,))], "me")
        self.assertIn("want the name of one of this account's apps, not web", self.refused(2))
        self.store.apply([Site(Account("demo"), apps=app)], "me")
        self.store.apply([Site(Account("demo"))], "me")
        self.assertIn("want the name of one of this account's apps, not web", self.refused(4))

    def test_accounts(self) -> None:
        """
        An account goes with the revision that has made it, but not while it has other things.
        """
        self.store.apply([Site(Account("demo"))], "me")
        self.store.apply([site("demo", a_example=())], "me")
        self.assertIn("account demo: cannot go while it has", self.refused(1))
        self.store.undo(2, "me")
        self.store.undo(1, "me")
        self.assertEqual(self.everything(), [])
        self.assertIn("account demo: there is no such account", self.refused(3))
        self.store.undo(4, "me")
        self.assertEqual(self.everything(), [Site(Account("demo"))])

    def test_certificates(self) -> None:
        """
        A certificate comes back with its key, which was kept.
        """
        chain, key = pair("a.example")
        (reference,) = self.store.put_secrets([key])
        own = Certificate("own", ("a.example",), chain, reference)
        self.store.apply([evolve(site("demo", a_example=()), certificates=(own,))], "me")
        self.store.apply([site("demo", a_example=())], "me")
        self.assertIsNone(self.reader.certificate("a.example"))
        self.store.undo(2, "me")
        found = self.reader.certificate("a.example")
        self.assertEqual(found and found.key, key.encode())

    def test_zones(self) -> None:
        """
        Zones are objects like others; one that is back has a new serial.
        """
        zone = Zone("example", (Record("www", "TXT", '"x"'),))
        self.store.apply([evolve(site("demo", a_example=()), zones=(zone,))], "me")
        self.store.apply([site("demo", a_example=())], "me")
        self.assertIsNone(self.reader.zone("example"))
        self.store.undo(2, "me")
        found = self.reader.zone("example")
        self.assertEqual(found and (found.zone, found.serial), (zone, 3))


class AnySitesTests(StoreTestCase):
    """`RouteStore.undo` after whatever was applied."""

    @settings(suppress_health_check=[HealthCheck.differing_executors], deadline=None)
    @given(calls, st.integers(0, 5))
    def test_asBefore(self, every: list[tuple[Site, ...]], back: int) -> None:
        """
        Undone from the last one back, each revision leaves what was before it; undone once
        more, what was there after it.
        """
        self.setUp()
        states = [list(self.store.export())]
        for sites in every:
            try:
                if self.store.apply(sites, "me").changes:
                    states.append(list(self.store.export()))
            except ConfigError:
                continue
        newest = len(states) - 1
        for revision in range(newest, max(0, newest - back), -1):
            outcome = self.store.undo(revision, "me")
            self.assertEqual(list(self.store.export()), states[revision - 1])
            again = self.store.undo(outcome.revision, "me")
            self.assertEqual(list(self.store.export()), states[revision])
            self.store.undo(again.revision, "me")
            self.assertEqual(list(self.store.export()), states[revision - 1])

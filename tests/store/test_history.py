"""
Tests for `hostedge.store.history`.
"""

from __future__ import annotations

import sqlite3

from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostedge.errors import ConfigError
from hostedge.model.site import Account, Site
from hostedge.store.history import ALWAYS, History, Made, selected
from tests.model.words import site
from tests.store.stores import StoreTestCase


class HistoryTestCase(StoreTestCase):
    """Has some calls behind it, one a minute."""

    def apply(self, *every: Site, who: str = "me") -> None:
        self.now += 60
        self.store.apply(every, who)

    def keys(self, key: str = "", after: int = 0, until: int = ALWAYS) -> list[str]:
        return [
            f"{each.revision} {each.change.key}" for each in self.history.entries(key, after, until)
        ]


class EntriesTests(HistoryTestCase):
    """`History.entries`: what happened, or what happened to something."""

    def setUp(self) -> None:
        super().setUp()
        self.apply(site("demo", a_example=("b.example",)))
        self.apply(site("more", c_example=()))
        self.apply(site("demo", a_example=()))
        self.apply(site("more", c_example=("b.example",)))
        self.apply(Site(Account("demo")))

    def test_all(self) -> None:
        """
        Everything in the order in which it happened, or what happened between two revisions.
        """
        every = self.keys()
        self.assertEqual(len(every), 4 + 4 + 1 + 1 + 3)
        self.assertEqual(every, sorted(every, key=lambda line: int(line.split()[0])))
        self.assertEqual(self.keys(after=2, until=4), ["3 domain/a.example", "4 domain/c.example"])
        self.assertEqual(self.keys(after=5), [])

    def test_ofOneObject(self) -> None:
        """
        A key stands for one object, not for those whose keys begin like it.
        """
        changed = ["1 domain/a.example", "3 domain/a.example", "5 domain/a.example"]
        self.assertEqual(self.keys("domain/a.example"), changed)
        self.assertEqual(self.keys("domain/a.example", after=1), changed[1:])
        self.assertEqual(self.keys("app/demo/we"), [])

    def test_belowAPrefix(self) -> None:
        """
        A prefix that ends in a slash stands for all below it; nothing in it is a pattern.
        """
        self.assertEqual(self.keys("app/demo/"), ["1 app/demo/web", "5 app/demo/web"])
        self.assertEqual(len(self.keys("domain/")), 5)
        self.assertEqual(self.keys("app/de%/"), [])

    def test_ofAName(self) -> None:
        """
        A host name stands for the domains that have it or once had it, however it is written.
        """
        changed = [f"{n} domain/{d}.example" for n, d in enumerate("acaca", start=1)]
        self.assertEqual(self.keys("B.example."), changed)
        self.assertEqual(self.keys("c.example"), ["2 domain/c.example", "4 domain/c.example"])
        self.assertEqual(self.keys("nobody.example"), [])

    def test_noKey(self) -> None:
        """
        What can be no key is refused, with what is wanted.
        """
        for key, wanted in (("apps/demo/", "want one of account, app,"), ("a b", "want KIND/…")):
            error = self.assertRaises(ConfigError, next, self.history.entries(key))
            self.assertEqual(error.where, key)
            self.assertIn(wanted, error.problem)

    def test_onlyItsOwnRowsAreRead(self) -> None:
        """
        Whatever is asked for by key, the index leads to it.
        """
        reading = sqlite3.connect(self.path)
        self.addCleanup(reading.close)
        for key in ("domain/a.example", "app/demo/", "b.example"):
            where, values = selected(key, reading)
            plan = reading.execute(
                "EXPLAIN QUERY PLAN SELECT rowid FROM changes INDEXED BY changes_by_key"
                f" WHERE revision BETWEEN ? AND ?{where}",  # noqa: S608
                (0, 9, *values),
            ).fetchall()
            self.assertTrue(all("COVERING INDEX changes_by_key (key" in row[3] for row in plan))


class DifferenceTests(HistoryTestCase):
    """`History.difference`: from what to what, whatever was in between."""

    def found(self, after: int, until: int, key: str = "") -> list[tuple[str, int, bool, bool]]:
        return [
            (e.change.key, e.revision, e.change.before is None, e.change.after is None)
            for e in self.history.difference(after, until, key)
        ]

    def test_netOfSeveral(self) -> None:
        """
        Each object once, with its last change; what is again as it was is left out.
        """
        self.apply(Site(Account("demo")))
        self.apply(site("demo", a_example=()))
        self.apply(site("demo", a_example=("b.example",)))
        self.apply(Site(Account("demo", suspended=True)))
        self.apply(site("demo", a_example=("b.example",)))
        wanted = [("account/demo", 1, True, False)]
        self.assertEqual(self.found(0, 1), wanted)
        self.assertEqual(self.found(1, 4), [("account/demo", 4, False, False)])
        self.assertEqual(self.found(3, 5), [])
        self.assertEqual(self.found(2, 3), [("domain/a.example", 3, False, False)])
        self.assertEqual(self.found(3, 4, "b.example"), [("domain/a.example", 4, False, True)])
        self.assertEqual(self.found(3, 4, "app/demo/"), [("app/demo/web", 4, False, True)])
        self.assertEqual(self.found(4, 5, "pool/"), [("pool/demo/legacy", 5, True, False)])

    @settings(suppress_health_check=[HealthCheck.differing_executors], deadline=None)
    @given(st.lists(st.sampled_from(["a_example", "b_example", "c_example", ""]), max_size=6))
    def test_addsUp(self, steps: list[str]) -> None:
        """
        Between any two revisions, what was and the differences give what is.
        """
        self.setUp()
        exported: list[dict[str, str]] = [{}]
        for step in steps:
            name = {step: ("x.example",)} if step else {}
            if not self.store.apply([evolve(site("demo", **name))], "me").changes:
                continue
            now = dict(exported[-1])
            for each in self.history.entries(after=len(exported) - 1):
                if each.change.after is None:
                    del now[each.change.key]
                else:
                    now[each.change.key] = each.change.after
            exported.append(now)
        for after, was in enumerate(exported):
            for until in range(after, len(exported)):
                then = dict(was)
                for each in self.history.difference(after, until):
                    self.assertEqual(then.pop(each.change.key, None), each.change.before)
                    if each.change.after is not None:
                        then[each.change.key] = each.change.after
                self.assertEqual(then, exported[until])


class MadeTests(HistoryTestCase):
    """When was what."""

    def test_made(self) -> None:
        """
        A revision has a time and a maker; one that is not there has neither.
        """
        self.assertEqual(self.history.newest(), 0)
        self.apply(site("demo"), who="root")
        self.assertEqual(self.history.made(1), Made(1, self.now, "root"))
        self.assertIsNone(self.history.made(2))
        self.assertIsNone(self.history.made(0))
        self.assertEqual(self.history.newest(), 1)

    def test_atATime(self) -> None:
        """
        The newest revision at a time is the last that was made until then.
        """
        began = self.now
        self.assertEqual(self.history.at(began), 0)
        for number in range(9):
            self.apply(site("demo", **{f"a{number}_example": ()}))
        for time, revision in ((59, 0), (60, 1), (61, 1), (539, 8), (540, 9), (10**9, 9)):
            self.assertEqual(self.history.at(began + time), revision)

    def test_noStore(self) -> None:
        """
        Without a store the refusal names it.
        """
        history = History(self.path.with_name("other.db"))
        self.assertRaises(ConfigError, history.newest)

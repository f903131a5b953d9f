"""
Tests for `hostedge.store.writer`.
"""

from __future__ import annotations

import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostedge.errors import ConfigError
from hostedge.model.keys import secret_reference
from hostedge.model.site import Account, Certificate, Site
from hostedge.store.reader import StoreReader
from hostedge.store.writer import RouteStore
from tests.model.words import WORDS, pair, site, sites
from tests.store.stores import StoreTestCase


def by_name(one: Site) -> Site:
    """The same site in the order in which an export gives it."""
    parts = ("apps", "pools", "domains", "certificates", "zones")
    ordered = {part: tuple(sorted(getattr(one, part), key=lambda o: o.name)) for part in parts}
    return evolve(one, **ordered)


class ApplyTests(StoreTestCase):
    """`apply`: the whole truth of some accounts, in one transaction."""

    def apply(self, *every: Site, dry_run: bool = False) -> list[str]:
        outcome = self.store.apply(every, "me", dry_run)
        return [
            f"{'-' if c.after is None else '+' if c.before is None else '~'} {c.key}"
            for c in outcome.changes
        ]

    def test_oneRevisionForACall(self) -> None:
        """
        What is new is written under one revision, what is the same not at all.
        """
        self.assertEqual(self.reader.revision(), 0)
        wanted = ["+ account/demo", "+ app/demo/web", "+ pool/demo/legacy", "+ domain/a.example"]
        self.assertEqual(self.apply(site("demo", a_example=())), wanted)
        self.assertEqual(self.reader.revision(), 1)
        self.assertEqual(self.apply(site("demo", a_example=())), [])
        self.assertEqual(self.reader.revision(), 1)

    def test_absentIsDeleted(self) -> None:
        """
        What a site leaves out goes; other accounts are not touched.
        """
        self.apply(site("demo", a_example=("b.example",), c_example=()), site("more", d_example=()))
        self.assertEqual(self.apply(site("demo", c_example=())), ["- domain/a.example"])
        self.assertEqual(self.reader.revision(), 2)
        self.assertFalse(self.reader.served("b.example"))
        self.assertTrue(self.reader.served("d.example"))
        gone = self.apply(Site(Account("demo")))
        self.assertEqual(
            sorted(gone), ["- app/demo/web", "- domain/c.example", "- pool/demo/legacy"]
        )

    def test_dryRun(self) -> None:
        """
        A dry run says what would change, refuses what would be refused, and changes nothing.
        """
        self.apply(site("demo", a_example=()))
        before = list(self.store.export())
        self.assertEqual(self.apply(site("demo"), dry_run=True), ["- domain/a.example"])
        other = site("other", a_example=())
        self.assertRaises(ConfigError, self.store.apply, [other], "me", True)
        self.assertEqual(list(self.store.export()), before)
        self.assertEqual(self.reader.revision(), 1)

    def test_namesOfOthers(self) -> None:
        """
        A name that another account has, also as an alias, is refused; nothing has changed.
        """
        self.apply(site("one", a_example=("b.example",)))
        for wrong in (site("two", a_example=()), site("two", x_example=("b.example",))):
            error = self.assertRaises(ConfigError, self.store.apply, [site("three"), wrong], "me")
            self.assertRegex(str(error), r"account two: [ab].example is a name of account one")
        self.assertEqual([one.account.name for one in self.store.export()], ["one"])

    def test_namesChangeHands(self) -> None:
        """
        In one call a name may go from one account to another, or from one domain to another.
        """
        self.apply(site("one", a_example=("b.example",)), site("two", c_example=()))
        self.apply(site("one", b_example=()), site("two", a_example=(), c_example=()))
        found = [self.reader.find(name) for name in ("a.example", "b.example", "c.example")]
        self.assertEqual([f and f.account.name for f in found], ["two", "one", "two"])
        self.apply(site("two", c_example=("a.example",)))
        found_alias = self.reader.find("a.example")
        self.assertEqual(found_alias and found_alias.domain.name, "c.example")

    def test_history(self) -> None:
        """
        History has time, who, before and after, from a revision on and for a prefix of keys.
        """
        self.apply(site("demo", a_example=()))
        self.now += 5
        self.store.apply([Site(Account("demo"))], "you")
        entries = list(self.history.entries("app/demo/", after=1))
        self.assertEqual(len(entries), 1)
        entry = entries[0]
        self.assertEqual((entry.revision, entry.time, entry.who), (2, self.now, "you"))
        self.assertEqual((entry.change.key, entry.change.after), ("app/demo/web", None))
        self.assertIn('"runtime":"script"', entry.change.before or "")
        self.assertEqual(len(list(self.history.entries())), 7)

    def test_severalHundredAccounts(self) -> None:
        """
        A call may be larger than what one statement takes.
        """
        many = [site(f"a{i}", **{f"a{i}_example": (f"b{i}.example",)}) for i in range(700)]
        self.assertEqual(len(self.apply(*many)), 2800)
        self.assertEqual(self.apply(*many), [])
        last = site("last", x_example=tuple(f"b{i}.example" for i in range(699, -1, -1)))
        self.assertRaises(ConfigError, self.store.apply, [last], "me")

    def test_afterAFailure(self) -> None:
        """
        An exception of our own in mid-call leaves nothing behind, and the writer usable.
        """
        wrong = evolve(site("demo"), apps=(object(),))
        self.assertRaises(AttributeError, self.store.apply, [wrong], "me")
        self.assertEqual(len(self.apply(site("demo"))), 3)


class ExportTests(StoreTestCase):
    """`export` and `backup`."""

    @given(st.lists(sites(), max_size=3, unique_by=lambda one: one.account.name))
    @settings(
        max_examples=20,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.differing_executors],
    )
    def test_roundTrip(self, every: list[Site]) -> None:
        """
        What was applied is exported, and applying an export changes nothing.
        """
        seen: set[str] = set()
        kept = []
        for one in every:
            names = {n for d in one.domains for n in (d.name, *d.aliases)}
            kept.append(evolve(one, domains=()) if names & seen else one)
            seen |= names
        # zones of several accounts have rules of their own
        kept[1:] = [evolve(one, zones=()) for one in kept[1:]]
        former = [Site(one.account) for one in self.store.export()]
        self.store.apply(former, "clean")
        self.store.apply(kept, "me")
        exported = {one.account.name: one for one in self.store.export()}
        for one in kept:
            self.assertEqual(exported[one.account.name], by_name(one))
            self.assertEqual(list(self.store.export(one.account.name)), [by_name(one)])
        self.assertEqual(self.store.apply(list(exported.values()), "me").changes, ())

    def test_unknownAccount(self) -> None:
        """
        An account that is not there has no site.
        """
        self.assertEqual(list(self.store.export("x")), [])

    def test_snapshot(self) -> None:
        """
        A long export sees one revision and keeps nobody from writing.
        """
        self.store.apply([site("a", a_example=()), site("b", b_example=())], "me")
        export = self.store.export()
        next(export)
        self.store.apply([Site(Account("b"))], "me")
        self.assertEqual(len(next(export).domains), 1)
        export.close()

    def test_backup(self) -> None:
        """
        A backup is one file that its owner alone can read, with everything in it.
        """
        self.store.apply([site("demo", a_example=())], "me")
        self.store.put_certificate("a.example", "chain", "key", 1.0)
        copy = Path(self.mktemp())
        self.store.backup(copy)
        self.store.backup(copy)
        self.assertEqual(stat.S_IMODE(copy.stat().st_mode), 0o600)
        self.assertEqual([p.name for p in copy.parent.glob(f"{copy.name}*")], [copy.name])
        restored = RouteStore(copy, WORDS, lambda: 0.0)
        self.addCleanup(restored.close)
        self.assertEqual(list(restored.export()), list(self.store.export()))
        reading = StoreReader(copy, WORDS)
        self.addCleanup(reading.close)
        self.assertEqual(reading.revision(), 1)

    def test_backupRefused(self) -> None:
        """
        A place that cannot be written is named.
        """
        for place in (Path("/nowhere/x"), self.path.parent):
            error = self.assertRaises(ConfigError, self.store.backup, place)
            self.assertIn(str(place), str(error))


class StateTests(StoreTestCase):
    """Certificates and keys."""

    def test_issued(self) -> None:
        """
        The newest issued certificate of a name is the one that is used; no history is written.
        """
        self.store.put_certificate("a.example", "old", "k1", 1.0)
        self.store.put_certificate("a.example", "new", "k2", 2.0)
        certificate = self.reader.certificate("a.example")
        assert certificate is not None
        self.assertEqual((certificate.chain, certificate.not_after), (b"new", 2.0))
        self.assertEqual(self.reader.revision(), 0)

    def test_secret(self) -> None:
        """
        A key's reference is made of its contents; keys are nowhere in history or export.
        """
        chain, key = pair("a.example")
        (reference,) = self.store.put_secrets([key])
        self.assertEqual(self.store.put_secrets([key, key]), [reference, reference])
        self.assertEqual(reference, secret_reference(key))
        own = Certificate("own", ("a.example",), chain, reference)
        self.store.apply([evolve(site("demo"), certificates=(own,))], "me")
        written = [entry.change.after or "" for entry in self.history.entries()]
        self.assertEqual([body for body in written if "PRIVATE" in body], [])
        self.assertIn(reference, "".join(written))

    def test_keyMustFit(self) -> None:
        """
        A certificate without its own private key is refused.
        """
        chain, key = pair("a.example")
        for reference, wanted in (
            ("sha256-0", "certificate/demo/own: key: want the reference of a private key"),
            (
                self.store.put_secrets([pair("b.example")[1]])[0],
                "want the private key of this cert",
            ),
            (self.store.put_secrets(["x"])[0], "want an unencrypted private key"),
        ):
            own = Certificate("own", ("a.example",), chain, reference)
            wrong = evolve(site("demo"), certificates=(own,))
            error = self.assertRaises(ConfigError, self.store.apply, [wrong], "me")
            self.assertIn(wanted, str(error))

    def test_certificateNamesFollow(self) -> None:
        """
        A certificate that is changed or goes is not found by its former names.
        """
        chain, key = pair("a.example", "b.example")
        own = Certificate(
            "own", ("a.example", "b.example"), chain, self.store.put_secrets([key])[0]
        )
        whole = site("demo", a_example=("b.example",))
        found = []
        for certificates in ((own,), (evolve(own, names=("b.example",)),), ()):
            self.store.apply([evolve(whole, certificates=certificates)], "me")
            names = ("a.example", "b.example")
            found.append([self.reader.certificate(name) is not None for name in names])
        self.assertEqual(found, [[True, True], [False, True], [False, False]])


class OverlapTests(StoreTestCase):
    """Two writers, as in an upgrade of control."""

    def test_threads(self) -> None:
        """
        The writer may be used by one thread after another.
        """
        with ThreadPoolExecutor(1) as thread:
            thread.submit(self.store.apply, [site("a")], "me").result()
            self.store.apply([site("b")], "me")
            last = thread.submit(self.store.apply, [site("c")], "me").result()
        self.assertEqual(last.revision, 3)

    def test_waits(self) -> None:
        """
        A writer waits for another one's transaction; a reader does not.
        """
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        self.assertEqual(StoreReader(self.path, WORDS).revision(), 0)
        other.execute("COMMIT")
        second = RouteStore(self.path, WORDS, lambda: 0.0)
        self.addCleanup(second.close)
        second.apply([site("a")], "me")
        self.store.apply([site("b")], "me")
        self.assertEqual(self.reader.revision(), 2)

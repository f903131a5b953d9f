"""
Tests for `hostedge.store.hosts`.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory

from attrs import evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from hostedge.model.site import Account, App, Domain, Found, Mapping, Pool, Server, Site
from hostedge.store.hosts import Hosts
from hostedge.store.reader import StoreReader
from hostedge.store.writer import RouteStore
from tests.model.words import WORDS, Script, ToApp, ToPool, site
from tests.store.stores import StoreTestCase


class CountingReader:
    """A `StoreReader` that counts what it is asked."""

    def __init__(self, reader: StoreReader) -> None:
        self._reader = reader
        self.asked: list[str] = []

    def revision(self) -> int:
        return self._reader.revision()

    def find(self, name: str) -> Found | None:
        self.asked.append(f"find {name}")
        return self._reader.find(name)

    def gap(self, name: str) -> tuple[str, str]:
        self.asked.append(f"gap {name}")
        return self._reader.gap(name)

    def changed_keys(self, since: int) -> tuple[int, list[str] | None]:
        self.asked.append("changed")
        return self._reader.changed_keys(since, limit=20)


class HostsTests(StoreTestCase):
    """`Hosts` over a real store; a host is compiled into what was found."""

    def setUp(self) -> None:
        super().setUp()
        self.counting = CountingReader(self.reader)

    def hosts(self, size: int = 10) -> Hosts[Found]:
        return Hosts(self.counting, lambda found: found, size)

    def apply(self, *every: Site) -> int:
        return self.store.apply(every, "me").revision

    def asked(self) -> int:
        count = len(self.counting.asked)
        self.counting.asked.clear()
        return count

    def test_nothingAtStart(self) -> None:
        """
        Nothing is read before somebody asks; a name is read once.
        """
        self.apply(site("demo", a_example=()))
        hosts = self.hosts()
        self.assertEqual(self.asked(), 0)
        first = hosts.lookup("a.example")
        assert first is not None
        self.assertEqual(first.domain.name, "a.example")
        self.assertIs(hosts.lookup("a.example"), first)
        self.assertEqual(self.counting.asked, ["find a.example"])
        self.assertEqual(hosts.stats().hosts, 1)
        self.assertEqual(list(hosts.kept()), [("a.example", first)])

    def test_unknownNames(self) -> None:
        """
        Made-up names cost no reads once the gaps around are known, and no room.
        """
        self.apply(site("demo", b_example=()))
        hosts = self.hosts()
        for name in ("x.b.example", "x.example"):
            self.assertIsNone(hosts.lookup(name))
        self.asked()
        for number in range(1000):
            self.assertIsNone(hosts.lookup(f"made-up{number}.b.example"))
            self.assertIsNone(hosts.lookup(f"c{number}.example"))
        self.assertEqual(self.asked(), 0)
        self.assertLessEqual(hosts.stats().gaps, 3)
        self.assertEqual(hosts.stats().unknown, 2000)

    def test_namesBelowAWildcard(self) -> None:
        """
        Made-up names below a wildcard share its one host.
        """
        self.apply(site("demo", b_example=("*.b.example",)))
        hosts = self.hosts()
        first = hosts.lookup("x0.b.example")
        self.asked()
        for number in range(1000):
            self.assertIs(hosts.lookup(f"x{number}.b.example"), first)
        self.assertEqual((self.asked(), hosts.stats().hosts), (0, 1))
        self.assertIsNone(hosts.lookup("y.x.b.example"))

    def test_boundedAndByUse(self) -> None:
        """
        Room is made by what nobody has asked for lately.
        """
        names = [f"h{number}" for number in range(30)]
        self.apply(site("demo", **{name: () for name in names}))
        hosts = self.hosts(size=5)
        for name in names:
            hosts.lookup(name)
            hosts.lookup("h0")
        self.assertEqual(hosts.stats().hosts, 5)
        self.asked()
        hosts.lookup("h0")
        hosts.lookup("h29")
        self.assertEqual(self.asked(), 0)
        self.assertLessEqual(len(hosts._by_key), 5 + 3)

    def test_onlyWhatChanged(self) -> None:
        """
        A change drops the hosts that were compiled from what changed, no others.
        """
        one, two = site("one", a_example=()), site("two", b_example=())
        self.apply(one, two)
        hosts = self.hosts()
        kept = hosts.lookup("b.example")
        for changed in (
            evolve(one, apps=(evolve(one.apps[0], idle=5.0),)),
            evolve(one, pools=()),
            one,
            evolve(one, account=Account("one", suspended=True)),
            evolve(one, domains=(evolve(one.domains[0], mappings=()),)),
        ):
            before = hosts.lookup("a.example")
            revision = self.apply(changed)
            self.assertIs(hosts.lookup("a.example"), before)
            self.assertEqual(hosts.changed(revision), revision)
            self.assertEqual(hosts.lookup("a.example"), self.reader.find("a.example"))
            self.assertIsNot(hosts.lookup("a.example"), before)
        self.assertIs(hosts.lookup("b.example"), kept)

    def test_whatWasMissing(self) -> None:
        """
        A host that names an app which is not there hears when it comes.
        """
        one = site("one", a_example=())
        self.apply(evolve(one, apps=()))
        hosts = self.hosts()
        before = hosts.lookup("a.example")
        hosts.changed(self.apply(one))
        after = hosts.lookup("a.example")
        self.assertEqual((len(before.apps), len(after.apps)), (0, 1))  # type: ignore[union-attr]

    def test_namesThatCome(self) -> None:
        """
        A name that was unknown, or covered by a wildcard, is found when it comes.
        """
        self.apply(site("one", a_example=()))
        hosts = self.hosts()
        self.assertIsNone(hosts.lookup("x.b.example"))
        self.assertIsNone(hosts.lookup("y.b.example"))
        hosts.changed(self.apply(site("one", a_example=("*.b.example",))))
        self.assertIsNotNone(hosts.lookup("x.b.example"))
        self.assertIsNotNone(hosts.lookup("y.b.example"))
        hosts.changed(self.apply(site("one", a_example=("*.b.example",), x_b_example=())))
        found = [hosts.lookup(f"{label}.b.example") for label in "xy"]
        self.assertEqual([f and f.name for f in found], ["x.b.example", "*.b.example"])
        hosts.changed(self.apply(site("one", a_example=())))
        self.assertIsNone(hosts.lookup("y.b.example"))

    def test_olderThanAnnounced(self) -> None:
        """
        A host that was read before an announced change is used for its request and not kept.
        """
        self.apply(site("one", a_example=()))
        hosts = self.hosts()
        stale = self.reader.find("a.example")
        hosts.changed(self.apply(Site(Account("one"))))
        self.counting.find = lambda name: stale  # type: ignore[method-assign]
        self.assertIs(hosts.lookup("a.example"), stale)
        self.assertEqual(hosts.stats().hosts, 0)

    def test_tooMuch(self) -> None:
        """
        When too much has changed to be named, everything is dropped.
        """
        self.apply(site("one", a_example=()))
        hosts = self.hosts()
        heard: list[Collection[str] | None] = []
        hosts.subscribe(heard.append)
        hosts.lookup("a.example")
        hosts.lookup("b.example")
        hosts.changed(self.apply(site("two", **{f"h{number}": () for number in range(30)})))
        self.assertEqual(heard, [None])
        self.assertEqual((hosts.stats().hosts, hosts.stats().gaps), (0, 0))
        self.assertIsNotNone(hosts.lookup("a.example"))

    def test_subscribers(self) -> None:
        """
        Subscribers hear the keys once; a revision that is known is nothing new.
        """
        hosts = self.hosts()
        heard: list[Collection[str] | None] = []
        hosts.subscribe(heard.append)
        hosts.lookup("a.example")
        revision = self.apply(site("one", a_example=()))
        self.assertEqual(hosts.changed(revision), 1)
        self.assertEqual(hosts.changed(revision), 1)
        self.assertEqual(len(heard), 1)
        self.assertIn("name/a.example", heard[0] or ())
        self.assertEqual(hosts.revision, 1)

    def test_nothingKept(self) -> None:
        """
        Who keeps nothing takes a change in without reading it, and says that all may be new.
        """
        hosts = self.hosts()
        heard: list[Collection[str] | None] = []
        hosts.subscribe(heard.append)
        self.assertEqual(hosts.changed(self.apply(site("one", a_example=()))), 1)
        self.assertEqual((heard, self.counting.asked), ([None], []))
        self.assertIsNotNone(hosts.lookup("a.example"))

    def test_subscriberThatKeeps(self) -> None:
        """
        Who keeps something hears what has changed, also while no host is in use.
        """
        hosts = self.hosts()
        heard: list[Collection[str] | None] = []
        kept: list[str] = []
        hosts.subscribe(heard.append, lambda: kept)
        hosts.changed(self.apply(site("one", a_example=())))
        kept.append("a zone")
        hosts.changed(self.apply(site("one", b_example=())))
        self.assertIsNone(heard[0])
        self.assertIn("name/b.example", heard[1] or ())
        self.assertNotIn("name/other.example", heard[1] or ())

    def test_failingSubscriber(self) -> None:
        """
        When a subscriber fails the change does not count as taken in, and comes again.
        """
        hosts = self.hosts()
        heard: list[object] = []

        def fail_first(keys: object) -> None:
            heard.append(keys)
            if len(heard) == 1:
                raise RuntimeError

        hosts.subscribe(fail_first)
        revision = self.apply(site("one"))
        self.assertRaises(RuntimeError, hosts.changed, revision)
        self.assertEqual(hosts.revision, 0)
        self.assertEqual(hosts.changed(revision), 1)
        self.assertEqual(len(heard), 2)

    def test_failingCompile(self) -> None:
        """
        What cannot be compiled is not kept, and tried again.
        """
        self.apply(site("one", a_example=()))

        def compile_(found: Found) -> Found:
            raise KeyError("web")

        hosts: Hosts[Found] = Hosts(self.counting, compile_)
        for _ in range(2):
            self.assertRaises(KeyError, hosts.lookup, "a.example")
        self.assertEqual(hosts.stats().hosts, 0)


NAMES = ["a.x", "b.x", "*.x", "c.b.x", "*.b.x", "y", "*.y", "q.y"]
ASKED = ["a.x", "b.x", "c.x", "x", "c.b.x", "d.b.x", "y", "q.y", "z.y", "z.q.y", "0", "zz"]

_mappings = st.lists(
    st.tuples(st.sampled_from(["/", "/a"]), st.sampled_from([ToApp("p"), ToApp("q"), ToPool("r")])),
    max_size=2,
    unique_by=lambda pair: pair[0],
)


class AlwaysFresh(RuleBasedStateMachine):
    """
    Whatever is written and asked in whatever order: after `changed`, a lookup is a fresh read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        path = Path(self.folder.name) / "store.db"
        self.store = RouteStore(path, WORDS, lambda: 0.0)
        self.reader = StoreReader(path, WORDS)
        self.hosts: Hosts[Found] = Hosts(CountingReader(self.reader), lambda found: found, 3)
        # each name's account now
        self.owner: dict[str, str] = {}

    def teardown(self) -> None:
        self.reader.close()
        self.store.close()
        self.folder.cleanup()

    @rule(
        account=st.sampled_from(["one", "two"]),
        names=st.lists(st.sampled_from(NAMES), unique=True, max_size=5),
        aliases=st.integers(0, 3),
        mappings=_mappings,
        apps=st.sets(st.sampled_from(["p", "q"])),
        pool=st.booleans(),
        suspended=st.booleans(),
        ask=st.sampled_from(ASKED),
    )
    def write(
        self,
        account: str,
        names: list[str],
        aliases: int,
        mappings: list[tuple[str, object]],
        apps: set[str],
        pool: bool,
        suspended: bool,
        ask: str,
    ) -> None:
        names = [name for name in names if self.owner.get(name, account) == account]
        self.owner = {n: a for n, a in self.owner.items() if a != account}
        self.owner.update(dict.fromkeys(names, account))
        routes = tuple(Mapping(path, to) for path, to in mappings)
        domains = tuple(Domain(name, (), routes) for name in names[aliases:])
        if domains:
            domains = (evolve(domains[0], aliases=tuple(names[:aliases])), *domains[1:])
        one = Site(
            Account(account, suspended),
            tuple(App(name, "script", Script((name,))) for name in sorted(apps)),
            (Pool("r", (Server("h:1"),)),) if pool else (),
            domains,
        )
        revision = self.store.apply([one], "me").revision
        # asked between the change and its announcement: may be old or new, and must not stay old
        self.hosts.lookup(ask)
        self.hosts.changed(revision)

    @rule(name=st.sampled_from(ASKED))
    def ask(self, name: str) -> None:
        self.hosts.lookup(name)

    @invariant()
    def every_lookup_is_a_fresh_read(self) -> None:
        for name in ASKED:
            kept, fresh = self.hosts.lookup(name), self.reader.find(name)
            # the revision is when it was read; everything else must be the same
            assert (kept and evolve(kept, revision=0)) == (fresh and evolve(fresh, revision=0))
        assert self.hosts.stats().hosts <= 3
        assert self.hosts.stats().gaps <= 3


class AlwaysFreshTests(SynchronousTestCase):
    """The machine above."""

    def test_alwaysFresh(self) -> None:
        """
        No order of writes and questions leaves anything old behind.
        """
        run_state_machine_as_test(
            AlwaysFresh, settings=settings(max_examples=15, stateful_step_count=20, deadline=None)
        )

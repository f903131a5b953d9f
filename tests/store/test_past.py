"""
Tests for `hostedge.store.past`.
"""

from __future__ import annotations

from attrs import evolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hostedge.errors import ConfigError
from hostedge.model.keys import names_of
from hostedge.model.site import Account, App, Domain, Found, Mapping, Site
from hostedge.store.past import Past
from tests.model.words import WORDS, Script, ToApp, site
from tests.store.stores import StoreTestCase

HOSTS = ("a.example", "b.example", "c.example", "*.example", "x.a.example", "*.a.example")


def sites_of(account: str) -> st.SearchStrategy[Site]:
    """Sites of one account that have some of few names, and often collide with others'."""
    domains = st.lists(
        st.builds(
            Domain,
            st.sampled_from(HOSTS),
            st.lists(st.sampled_from(HOSTS), max_size=2, unique=True).map(tuple),
            st.sampled_from([(), (Mapping("/", ToApp("web")),)]),
        ),
        max_size=3,
    )
    script = st.builds(Script, st.just(("run",)), st.integers(1, 2))
    return st.builds(
        Site,
        st.builds(Account, st.just(account), st.booleans()),
        st.tuples(st.builds(App, st.just("web"), st.just("script"), script)),
        domains=domains.map(_without_doubles),
    )


def _without_doubles(domains: list[Domain]) -> tuple[Domain, ...]:
    seen: set[str] = set()
    kept = []
    for domain in domains:
        aliases = tuple(a for a in domain.aliases if a not in seen | {domain.name})
        if domain.name not in seen:
            kept.append(evolve(domain, aliases=aliases))
            seen |= {domain.name, *aliases}
    return tuple(kept)


calls = st.lists(
    st.tuples(sites_of("one") | sites_of("two")) | st.tuples(sites_of("one"), sites_of("two")),
    max_size=6,
)


class FindTests(StoreTestCase):
    """`Past.find`: the answer of then."""

    def setUp(self) -> None:
        super().setUp()
        self.past = Past(self.path, WORDS)

    @settings(suppress_health_check=[HealthCheck.differing_executors], deadline=None)
    @given(calls)
    def test_asItWas(self, every: list[tuple[Site, ...]]) -> None:
        """
        Whatever was applied in between: each revision answers as the reader did when it was new.
        """
        self.setUp()
        names = [*HOSTS, "y.a.example", "x.y.example", "example"]
        answers: list[list[Found | None]] = [[None] * len(names)]
        for sites in every:
            try:
                outcome = self.store.apply(sites, "me")
            except ConfigError:
                continue
            if outcome.changes:
                answers.append([self.reader.find(name) for name in names])
        for revision, answer in enumerate(answers):
            self.assertEqual([self.past.find(name, revision) for name in names], answer)

    def test_otherOwner(self) -> None:
        """
        A name that went to another account, and on, is found with whom it had then.
        """
        self.store.apply([site("one", a_example=("b.example",)), site("two")], "me")
        self.store.apply([site("one"), site("two", c_example=("b.example",))], "me")
        self.store.apply([site("one", b_example=()), site("two")], "me")
        self.store.apply([site("one")], "me")
        found = [self.past.find("b.example", revision) for revision in range(5)]
        self.assertEqual(
            [f and (f.account.name, f.domain.name, f.revision) for f in found],
            [None, ("one", "a.example", 1), ("two", "c.example", 2), ("one", "b.example", 3), None],
        )

    def test_whatMappingsNamed(self) -> None:
        """
        Apps and pools are those of then, not those of now.
        """
        self.store.apply([site("one", a_example=())], "me")
        slow = App("web", "script", Script(("run",), processes=7))
        self.store.apply([evolve(site("one", a_example=()), apps=(slow,))], "me")
        counts = []
        for revision in (1, 2):
            found = self.past.find("a.example", revision)
            assert found is not None
            self.assertEqual(names_of(found.domain), ("a.example",))
            counts.append((found.apps["web"].run, len(found.pools)))
        self.assertEqual(counts, [(Script(("run",)), 1), (Script(("run",), 7), 1)])

"""What `hostedge.filters.rate` puts before a leaf."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import ConfigError
from hostedge.model.parse import Words, object_document, parse_object
from hostedge.model.site import Domain, Rate
from hostedge.routes.compile import HostRoutes, compile_host
from hostedge.routes.explain import explain
from tests.mappings.exchanges import KeptExchange
from tests.routes.kinds import KINDS, Say, Saying, TestParts, UseApp, found

WORDS = Words(mappings=(), runtimes=())


class RateTests(SynchronousTestCase):
    """A domain with a rate, compiled."""

    def compiled(self, rate: Rate | None, *mappings: tuple[str, object]) -> HostRoutes:
        base = found(*(mappings or [("/", Say("root"))]))
        return compile_host(evolve(base, domain=evolve(base.domain, rate=rate)), KINDS, TestParts())

    def ask(self, routes: HostRoutes) -> KeptExchange:
        exchange = KeptExchange()
        leaf = routes.leaf(b"/")
        assert leaf is not None
        leaf.answer(exchange)
        return exchange

    def test_refused(self) -> None:
        """What is too much gets 429 with the fields of the draft; the leaf sees none of it."""
        routes = self.compiled(Rate(2, 60.0, 5))
        first, second, third = (self.ask(routes) for _ in range(3))
        self.assertEqual([first.cause, second.cause, third.cause], ["", "", "rate_limited"])
        self.assertEqual((third.status, third.retry_after), (429, 3))
        self.assertEqual(
            third.sent,
            {b"RateLimit-Policy": b'"site";q=5;w=150', b"RateLimit": b'"site";r=0;t=3'},
        )

    def test_dryRun(self) -> None:
        """In a dry run all are answered; whom it would concern is kept."""
        routes = self.compiled(Rate(2, dry_run=True))
        asked = [self.ask(routes) for _ in range(3)]
        self.assertEqual([each.cause for each in asked], ["", "", ""])
        kept = [each.kept_refusals for each in asked]
        self.assertEqual(kept[:2], [[], []])
        self.assertEqual(kept[2][0][0], "rate_limited")

    def test_off(self) -> None:
        """Without a rate nothing stands before the leaf."""
        self.assertIsInstance(self.compiled(None).only, Saying)

    def test_explained(self) -> None:
        """`explain` says it, for every mapping, and still names the app."""
        routes = self.compiled(
            Rate(50, 1.0, 200, True), ("/", Say("root")), ("/a", UseApp("hello"))
        )
        steps = {step.step: step for step in explain("http://a.test/a", "GET", lambda _: routes)}
        self.assertIn("50 times in 1s, 200 times at once; dry run", steps["answer"].reason)
        self.assertEqual(steps["daemon"].answer, "demo/hello")

    def test_siteFile(self) -> None:
        """Durations as everywhere; what is left out is not written; nonsense is told."""
        document = {"name": "a.test", "rate": {"requests": 100, "per": "1m", "dry_run": True}}
        domain = parse_object("domain/a.test", document, WORDS)
        self.assertEqual(domain, Domain("a.test", rate=Rate(100, 60.0, 0, True)))
        self.assertEqual(object_document(domain, WORDS), document)
        for rate, told in (
            ({"requests": 0}, "rate: requests: want 1 to 1e+06, not 0"),
            ({"requests": 5, "per": 0}, "rate: per: want 0.1 to 86400, not 0"),
            ({"requests": 5, "burst": -1}, "rate: burst: want 0 to 1e+06, not -1"),
            ({"burst": 5}, "rate: requests: is missing"),
            ({"requests": 5, "period": 1}, "rate: period: is not known here"),
            (50, "rate: want keys and values, not 50"),
        ):
            with self.assertRaises(ConfigError) as caught:
                parse_object("domain/a.test", {"name": "a.test", "rate": rate}, WORDS)
            self.assertIn(told, str(caught.exception))

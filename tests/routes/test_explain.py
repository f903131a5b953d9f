"""What `hostedge.routes.explain` tells."""

import json

from attrs import asdict, evolve
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.model.limits import MappingLimits
from hostedge.model.names import Size
from hostedge.model.site import Hsts
from hostedge.routes.compile import HostRoutes, compile_host
from hostedge.routes.explain import explain
from tests.routes.kinds import KINDS, Say, TestParts, UseApp, found

MAPPINGS = (
    ("/", Say("root")),
    ("/api", UseApp("hello")),
    ("/api/v1", Say("v1")),
    ("/x", UseApp("gone")),
)


def lookup(name: str) -> HostRoutes | None:
    if name == "a.test":
        return compile_host(found(*MAPPINGS), KINDS, TestParts())
    if name.endswith(".wild.test"):
        return compile_host(found(*MAPPINGS[1:], name="*.wild.test"), KINDS, TestParts())
    return None


class ExplainTests(SynchronousTestCase):
    """Steps, answers and reasons."""

    def told(self, url: str, method: str = "GET") -> list[tuple[str, str, str]]:
        steps = explain(url, method, lookup)
        json.dumps([asdict(step) for step in steps])
        return [(step.step, step.answer, step.reason) for step in steps]

    def test_wholeWay(self) -> None:
        """
        Target, host, mapping with those that lost, and what the leaf says of itself.
        """
        self.assertEqual(
            self.told("https://A.test:8443/api/%761/../v1/x?q=1"),
            [
                (
                    "target",
                    "/api/v1/x",
                    "the path that mappings are matched with; the query is left out of it",
                ),
                ("host", "a.test", "the name itself; of account demo, store revision 7"),
                (
                    "mapping",
                    "/api/v1",
                    "the longest prefix; shorter: /, /api; not a prefix: 1 more",
                ),
                ("answer", "says v1", ""),
            ],
        )

    def test_strict(self) -> None:
        """
        What a host asks of browsers stands beside its name.
        """
        base = found(*MAPPINGS)
        domain = evolve(base.domain, hsts=Hsts(60.0))
        routes = compile_host(evolve(base, domain=domain), KINDS, TestParts())
        _, host, *_ = explain("https://a.test/", "GET", lambda name: routes)
        said = "over TLS answers say Strict-Transport-Security: max-age=60"
        self.assertTrue(host.reason.endswith(said), host.reason)

    def test_ownLimits(self) -> None:
        """
        A mapping's own limits are told as they were written.
        """
        say = Say("large", MappingLimits(body_size=Size(2**31), response_timeout=600.0))
        routes = compile_host(found(("/up", say)), KINDS, TestParts())
        steps = explain("http://a.test/up/x", "GET", lambda name: routes)
        self.assertEqual(
            steps[2].reason,
            "the longest prefix; limits of its own: body_size 2g, response_timeout 10m",
        )

    def test_ambiguousPath(self) -> None:
        """
        A path that is refused for how others may read it is told with that reading.
        """
        told = self.told("http://a.test/y%2F..%2Fapi")
        self.assertEqual(told[2][:2], ("mapping", "/"))
        self.assertIn("may also be read as /api, which is for /api", told[2][2])
        self.assertIn("others may read this path", told[3][1])

    def test_whoHasDecided(self) -> None:
        """
        The domain that has the name, and the app behind the leaf, are named by their keys.
        """
        keys = {step.step: step.key for step in explain("http://a.test/api", "GET", lookup)}
        self.assertEqual(keys["host"], "domain/a.test")
        self.assertEqual((keys["target"], keys["mapping"]), ("", ""))
        gone = {step.step: step.key for step in explain("http://b.test/", "GET", lookup)}
        self.assertEqual(gone, {"target": "", "host": "domain/b.test", "answer": ""})

    def test_wildcard(self) -> None:
        """
        A host found by its wildcard says so; no mapping is told with the status.
        """
        told = self.told("http://any.wild.test/")
        self.assertEqual(told[1][1:2], ("*.wild.test",))
        self.assertIn("the wildcard covers any.wild.test", told[1][2])
        self.assertEqual(told[2], ("mapping", "none", "none of 3 mappings is a prefix of the path"))
        self.assertEqual(told[3][:2], ("answer", "404"))

    def test_unknownHost(self) -> None:
        """
        A gap is told as one.
        """
        told = self.told("http://b.test/")
        self.assertEqual(told[1][:2], ("host", "none"))
        self.assertEqual(told[-1][:2], ("answer", "404"))

    def test_refused(self) -> None:
        """
        A request that would be refused is told to be, with the status it would get.
        """
        for url in (
            "http://a.test/../x", "http://a b/", "ftp://a.test/", "a.test", "", "http://",
            "http://a.test/%00", "http://u@a.test/", "http://ä.test/",
        ):  # fmt: skip
            self.assertEqual(self.told(url)[-1][:2], ("answer", "400"), url)

    def test_missingApp(self) -> None:
        """
        A mapping to nothing says what is missing.
        """
        self.assertEqual(
            self.told("http://a.test/x")[-1],
            ("answer", "account demo has no app or pool named gone", ""),
        )

    def test_daemon(self) -> None:
        """
        Where an app answers, its daemon is the last step; why comes with what the leaf would do.
        """
        self.assertEqual(
            self.told("http://a.test/api/x")[-2:],
            [
                ("answer", "asks demo/hello", "it is there; nobody waits"),
                ("daemon", "demo/hello", ""),
            ],
        )

    @given(st.text(max_size=30))
    def test_anyTextIsExplained(self, url: str) -> None:
        """
        Any text ends in an answer.
        """
        for text in (url, f"http://a.test/{url}"):
            self.assertEqual(self.told(text)[-1][0], "answer")

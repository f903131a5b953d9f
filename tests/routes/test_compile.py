"""What `hostedge.routes.compile` makes of a host."""

from attrs import evolve
from attrs.exceptions import FrozenInstanceError
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import CAUSES
from hostedge.http.exchange import Leaf
from hostedge.model.site import ErrorPage, Hsts
from hostedge.routes.compile import HostRoutes, Refusing, compile_host, match_prefix
from tests.routes.kinds import KINDS, Asking, Say, Saying, TestParts, UseApp, found


class Refused:
    """As much of an exchange as a refusal needs."""

    cause = ""

    def refuse(self, cause: str) -> None:
        self.cause = cause


def word(leaf: Leaf | None) -> str:
    assert isinstance(leaf, Saying | Asking), leaf
    return leaf.word if isinstance(leaf, Saying) else leaf.app


class CompileTests(SynchronousTestCase):
    """From the store's values to leaves."""

    def compiled(self, *mappings: tuple[str, object], suspended: bool = False) -> HostRoutes:
        return compile_host(found(*mappings, suspended=suspended), KINDS, TestParts())

    def cause(self, leaf: Leaf | None) -> str:
        assert leaf is not None
        refused = Refused()
        leaf.answer(refused)  # type: ignore[arg-type]
        self.assertIn(refused.cause, CAUSES)
        return refused.cause

    def test_leaves(self) -> None:
        """
        Each mapping answers below its path.
        """
        routes = self.compiled(("/", Say("root")), ("/api", UseApp("hello")))
        self.assertEqual(word(routes.leaf(b"/x")), "root")
        self.assertEqual(word(routes.leaf(b"/api/x")), "demo/hello")
        self.assertIsNone(routes.only)

    def test_strict(self) -> None:
        """
        What browsers are told is written once, also for a suspended account.
        """
        self.assertEqual(self.compiled(("/", Say("root"))).strict, b"")
        for suspended in (False, True):
            base = found(("/", Say("root")), suspended=suspended)
            for hsts, value in (
                (Hsts(0.0), b"max-age=0"),
                (Hsts(86_400.0, True), b"max-age=86400; includeSubDomains"),
                (Hsts(3e7 * 2, True, True), b"max-age=60000000; includeSubDomains; preload"),
            ):
                domain = evolve(base.domain, hsts=hsts)
                routes = compile_host(evolve(base, domain=domain), KINDS, TestParts())
                self.assertEqual(routes.strict, value)

    def test_oneRootMapping(self) -> None:
        """
        A host with nothing but a root mapping has no need to look at the path.
        """
        routes = self.compiled(("/", Say("root")))
        self.assertIs(routes.leaf(b"/x/y"), routes.only)
        self.assertEqual(word(routes.only), "root")

    def ambiguous(self, **options: object) -> HostRoutes:
        base = found(("/", Say("root")), ("/admin", Say("admin")), ("/img", Say("root")))
        return compile_host(evolve(base, domain=evolve(base.domain, **options)), KINDS, TestParts())

    def test_ambiguousPaths(self) -> None:
        """
        A path that somebody may read as one for another mapping is refused; where all readings
        lead to the same it passes.
        """
        routes = self.ambiguous()
        for path in (
            *(
                b"/admin%2Fusers",
                b"/admin;x",
                b"/ADMIN",
                b"//admin",
                b"/x%2F..%2Fadmin",
                b"/..;/admin",
            ),
            *(b"/%252e%252e/admin", b"/x%5C..%5Cadmin", b"/admin/..;/x"),
        ):
            self.assertEqual(self.cause(routes.leaf(path)), "bad_path", path)
        for path, answered in (
            *((b"/a%2Fb", "root"), (b"/admin/a%2Fb", "admin"), (b"/admin//x", "admin")),
            *((b"/A;b//c", "root"), (b"//img", "root"), (b"/IMG;x", "root"), (b"/adminX", "root")),
        ):
            self.assertEqual(word(routes.leaf(path)), answered, path)

    def test_prefixesThatAreRead(self) -> None:
        """A mapping whose own path has capitals or escapes answers below it, and no other does."""
        routes = self.compiled(("/", Say("root")), ("/API", Say("api")), ("/é b", Say("e")))
        for path, answered in (
            *((b"/API/x", "api"), (b"/API", "api"), (b"/api/x", "root"), (b"/API/a%2Fb", "api")),
            *((b"/%C3%A9%20b/x", "e"), (b"/%C3%A8/x", "root"), (b"/a", "root")),
        ):
            self.assertEqual(word(routes.leaf(path)), answered, path)
        for path in (b"/Api/x", b"/x%2F..%2FAPI", b"/API/..;/x", b"//API"):
            self.assertEqual(self.cause(routes.leaf(path)), "bad_path", path)

    def test_oneBackend(self) -> None:
        """Where everything is one app's, no reading can reach what it must not."""
        routes = self.compiled(("/", UseApp("hello")), ("/admin", UseApp("hello")))
        self.assertEqual(word(routes.leaf(b"/x%2F..%2Fadmin")), "demo/hello")

    def test_encodedSlash(self) -> None:
        """A domain may take such paths as they come, or refuse every escaped slash."""
        self.assertEqual(word(self.ambiguous(encoded_slash="allow").leaf(b"/admin%2Fx")), "root")
        rejecting = self.ambiguous(encoded_slash="reject")
        self.assertEqual(self.cause(rejecting.leaf(b"/a%2Fb")), "bad_path")
        self.assertEqual(word(rejecting.leaf(b"/a/b")), "root")
        base = found(("/", Say("root")))
        base = evolve(base, domain=evolve(base.domain, encoded_slash="reject"))
        alone = compile_host(base, KINDS, TestParts())
        self.assertEqual(self.cause(alone.leaf(b"/a%5Cb")), "bad_path")

    def test_ignoreCase(self) -> None:
        """Upper and lower case may be the same to a domain, in paths and in mappings."""
        base = found(("/", Say("root")), ("/Admin", Say("admin")))
        base = evolve(base, domain=evolve(base.domain, ignore_case=True))
        routes = compile_host(base, KINDS, TestParts())
        for path in (b"/admin", b"/ADMIN/x"):
            self.assertEqual(word(routes.leaf(path)), "admin")

    def test_errorPages(self) -> None:
        """A status has its own page, else that of its class; a suspended account has none."""
        pages = (ErrorPage("404", "here: no"), ErrorPage("5xx", "soon"))
        for suspended, wanted in ((False, ["here: no", "", "soon"]), (True, [""] * 3)):
            with_pages = found(("/", Say("root")), suspended=suspended)
            with_pages = evolve(with_pages, domain=evolve(with_pages.domain, errors=pages))
            routes = compile_host(with_pages, KINDS, TestParts())
            self.assertEqual([routes.page(status) for status in (404, 403, 503)], wanted)

    def test_noMapping(self) -> None:
        """
        A host without mappings has no leaf.
        """
        self.assertIsNone(self.compiled().leaf(b"/"))
        self.assertIsNone(self.compiled(("/a", Say("a"))).leaf(b"/"))

    def test_missingApp(self) -> None:
        """
        A mapping to an app that is not there refuses, and harms no other.
        """
        routes = self.compiled(("/", Say("root")), ("/x", UseApp("gone")))
        self.assertEqual(self.cause(routes.leaf(b"/x")), "not_configured")
        self.assertEqual(word(routes.leaf(b"/")), "root")

    def test_suspended(self) -> None:
        """
        A suspended account's host answers so under every path, mapping or not.
        """
        routes = self.compiled(("/x", Say("x")), suspended=True)
        for path in (b"/", b"/x", b"/y"):
            self.assertEqual(self.cause(routes.leaf(path)), "suspended")

    def test_keys(self) -> None:
        """
        The routes name every object they were made of, also those that are not there.
        """
        routes = self.compiled(("/", UseApp("hello")), ("/x", UseApp("gone")))
        self.assertEqual(
            routes.keys,
            {"account/demo", "domain/a.test", "app/demo/hello", "app/demo/gone"},
        )
        self.assertEqual((routes.name, routes.account, routes.revision), ("a.test", "demo", 7))

    def test_prefixesInMatchForm(self) -> None:
        """
        A path is matched whatever way the operator wrote it.
        """
        for path, prefix in (
            ("/", b""),
            ("/a/", b"/a"),
            ("/%61%2fb", b"/a%2Fb"),
            ("/straße", b"/stra%C3%9Fe"),
            ("/100%", b"/100%25"),
            ("/a;b'c", b"/a;b'c"),
        ):
            self.assertEqual(match_prefix(path), prefix)

    def test_impossiblePath(self) -> None:
        """
        A path that no request can have is left out; the others work.
        """
        routes = self.compiled(("/%00", Say("never")), ("/%2e%2e", Say("never")), ("/", Say("x")))
        self.assertEqual(word(routes.only), "x")

    def test_frozen(self) -> None:
        """
        Routes never change once made.
        """
        with self.assertRaises(FrozenInstanceError):
            self.compiled().revision = 8  # type: ignore[misc]

    def test_refusingExplains(self) -> None:
        """
        A refusing leaf gives its reason.
        """
        self.assertEqual(Refusing("suspended", "why").explain(), ["why"])

"""What `hostedge.mappings.redirect` answers, and which targets it takes."""

from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import ConfigError
from hostedge.mappings.redirect import Redirect, RedirectKind
from hostedge.model.parse import Words, parse_object
from hostedge.model.site import Domain
from hostedge.routes.compile import compile_host
from tests.mappings.exchanges import KeptExchange
from tests.routes.kinds import TestParts, found

WORDS = Words(mappings=(RedirectKind(),), runtimes=())


def location(path: str, value: Redirect, target: bytes, method: bytes = b"GET") -> bytes:
    routes = compile_host(found((path, value)), [RedirectKind()], TestParts())
    exchange = KeptExchange(method=method, target=target)
    leaf = routes.leaf(exchange.path)
    assert leaf is not None
    leaf.answer(exchange)
    assert (exchange.status, exchange.body, exchange.over) == (value.status, b"", "finished")
    return exchange.sent[b"Location"]


class RedirectTests(SynchronousTestCase):
    """Where clients are sent."""

    def test_restAndQueryAreKept(self) -> None:
        """
        What follows the mapping's path follows the target's.
        """
        new = Redirect("https://b.test/new")
        for path, value, target, wanted in (
            ("/old", new, b"/old", b"https://b.test/new"),
            ("/old", new, b"/old/", b"https://b.test/new/"),
            ("/old", new, b"/old/a/b?c=%20", b"https://b.test/new/a/b?c=%20"),
            ("/old", new, b"/old?c", b"https://b.test/new?c"),
            ("/old", new, b"/old/%61%2F", b"https://b.test/new/a%2F"),
            ("/", Redirect("https://b.test"), b"/a", b"https://b.test/a"),
            ("/", Redirect("https://b.test/"), b"/a?b", b"https://b.test/a?b"),
            ("/", Redirect("/b"), b"/", b"/b/"),
            ("/a", Redirect("/b/"), b"/a/x", b"/b/x"),
        ):
            self.assertEqual(location(path, value, target), wanted)

    def test_noOtherHost(self) -> None:
        """
        A client's path never becomes the host of the target.
        """
        root = Redirect("/")
        self.assertEqual(location("/", root, b"//evil.example/x"), b"/evil.example/x")
        self.assertEqual(location("/a", root, b"/a//evil.example"), b"/evil.example")
        bare = Redirect("https://b.test")
        self.assertEqual(location("/a", bare, b"/a/.evil.example"), b"https://b.test/.evil.example")

    def test_everyMethodAndStatus(self) -> None:
        """
        All methods are sent on, with the status that was asked for.
        """
        for status in (301, 302, 303, 307, 308):
            location("/", Redirect("/x", status), b"/", b"POST")

    def test_explain(self) -> None:
        """
        The leaf says where it sends.
        """
        routes = compile_host(found(("/", Redirect("/x"))), [RedirectKind()], TestParts())
        assert routes.only is not None
        self.assertEqual(routes.only.explain(), ["308 to /x and the rest of the path"])


class ParseTests(SynchronousTestCase):
    """What may stand in a site file."""

    def parse(self, target: object, status: object = 308) -> object:
        mapping = {"path": "/", "redirect": target, "status": status}
        made = parse_object("domain/a.test", {"name": "a.test", "mappings": [mapping]}, WORDS)
        assert isinstance(made, Domain)
        return made.mappings[0].to

    def test_accepted(self) -> None:
        """
        URLs and absolute paths are taken.
        """
        for target in (
            "https://demo.localhost/new", "http://a.test", "https://a.test:8443/x", "/", "/new/",
            "http://[2001:db8::1]:80/x", "http://192.0.2.1/", "/a%20b;c=d",
        ):  # fmt: skip
            self.assertEqual(self.parse(target), Redirect(target))

    def test_refused(self) -> None:
        """
        Whatever could break a header or send somewhere unforeseen is refused with its place.
        """
        for target in (
            "", "new", "//evil.example", "ftp://a.test/", "javascript:alert(1)", "https://",
            "https:///x", "https://a.test/\r\nSet-Cookie: a", "/a\nb", "/a b", "https://u@a.test/",
            "/a?b", "/a#b", "https://a.test?x", "https://a.test:99999/", "https://a_b/", "/ä",
            "https://a.test//x", "/\\x", 7, None,
        ):  # fmt: skip
            with self.assertRaises(ConfigError) as caught:
                self.parse(target)
            self.assertIn("mappings[0]: redirect", str(caught.exception), target)

    def test_status(self) -> None:
        """
        Only what redirects is a status for it.
        """
        for status in (200, 304, "308", 308.0, True):
            with self.assertRaises(ConfigError) as caught:
                self.parse("/x", status)
            self.assertIn("status", str(caught.exception))

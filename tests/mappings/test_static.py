"""What `hostedge.mappings.static` answers, with real files in a home of its own."""

import contextlib
import os
import resource
from collections.abc import Callable
from pathlib import Path

from attrs import define, field
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import CAUSES, ConfigError
from hostedge.http.exchange import MOUTHFUL, Exchange, Leaf
from hostedge.mappings.static import Static, StaticKind
from hostedge.model.limits import MappingLimits
from hostedge.model.parse import Words, parse_object
from hostedge.model.site import Account, App, Domain
from hostedge.net.file_body import PIECE
from hostedge.routes.compile import compile_host
from hostedge.settings import Limits
from hostedge.wire.date import format_date
from tests.mappings.exchanges import KeptExchange
from tests.routes.kinds import TestParts, found

WORDS = Words(mappings=(StaticKind(),), runtimes=())
CSS = b"body { color: red }\n"


@define(eq=False)
class AppLeaf:
    """The app that is fallen through to."""

    got: list[Exchange] = field(factory=list)
    limits: Limits | None = None

    def answer(self, exchange: Exchange) -> None:
        self.got.append(exchange)

    def explain(self) -> list[str]:
        return ["the app"]


@define(eq=False)
class Parts(TestParts):
    """A home, its owner, and turns that the test takes."""

    root: str
    uid: int = field(factory=os.getuid)
    app: AppLeaf = field(factory=AppLeaf)
    turns: list[Callable[[], None]] = field(factory=list)

    def relay_to_app(
        self, account: Account, app: App, own: MappingLimits | None, websocket: bool = False
    ) -> Leaf:
        return self.app

    def home(self, account: str) -> str:
        return self.root

    def owner(self, account: str) -> int:
        return self.uid

    def next_turn(self, call: Callable[[], None]) -> None:
        self.turns.append(call)


class StaticCase(SynchronousTestCase):
    """A home with a folder `site`."""

    def setUp(self) -> None:
        self.home = Path(self.mktemp()).resolve()
        self.site = self.home / "site"
        (self.site / "deep").mkdir(parents=True)
        (self.site / "app.css").write_bytes(CSS)
        (self.site / "index.html").write_bytes(b"<p>home")
        (self.site / "deep" / "index.html").write_bytes(b"<p>deep")
        (self.site / "empty").mkdir()
        (self.site / ".env").write_bytes(b"SECRET")
        (self.home / "outside").write_bytes(b"outside")
        self.parts = Parts(str(self.home))

    def get(
        self,
        target: bytes = b"/s/app.css",
        *fields: tuple[bytes, bytes],
        method: bytes = b"GET",
        value: Static | None = None,
        path: str = "/s",
        crowded: bool = False,
    ) -> KeptExchange:
        mapping = (path, value or Static("site"))
        routes = compile_host(found(mapping), [StaticKind()], self.parts)
        exchange = KeptExchange(method=method, target=target, fields=list(fields))
        exchange.crowded = crowded
        leaf = routes.leaf(exchange.path)
        assert leaf is not None
        before = len(os.listdir("/proc/self/fd"))
        leaf.answer(exchange)
        while self.parts.turns:
            self.parts.turns.pop(0)()
        self.assertEqual(len(os.listdir("/proc/self/fd")), before, "a descriptor is left")
        return exchange


class AnswerTests(StaticCase):
    """Which file, and how it is described."""

    def test_file(self) -> None:
        """
        A file comes with its type, length, validators, and for how long it lasts.
        """
        got = self.get(value=Static("site", expires=3600.0))
        self.assertEqual((got.status, got.body), (200, CSS))
        self.assertEqual(got.writes, 1)
        about = (self.site / "app.css").stat()
        self.assertEqual(
            got.sent,
            {
                b"ETag": b'"%x-%x"' % (about.st_mtime_ns, len(CSS)),
                b"Last-Modified": format_date(int(about.st_mtime)),
                b"Cache-Control": b"max-age=3600",
                b"Accept-Ranges": b"bytes",
                b"Content-Type": b"text/css; charset=utf-8",
            },
        )
        self.assertNotIn(b"Cache-Control", self.get().sent)

    def test_head(self) -> None:
        """
        HEAD is GET without the body.
        """
        got = self.get(method=b"HEAD")
        self.assertEqual((got.status, got.promised, got.body), (200, len(CSS), b""))
        self.assertEqual(got.sent, self.get().sent)

    def test_emptyFile(self) -> None:
        """
        An empty file is an answer as well.
        """
        (self.site / "none.txt").touch()
        got = self.get(b"/s/none.txt")
        self.assertEqual((got.status, got.promised, got.over), (200, 0, "finished"))

    def test_crowded(self) -> None:
        """
        To a client that has much unread already also a file that fits into one write is brought by
        the mouthful: it stays on the disk meanwhile.
        """
        content = os.urandom(PIECE)
        (self.site / "one").write_bytes(content)
        got = self.get(b"/s/one", crowded=True)
        self.assertEqual((got.status, got.body), (200, content))
        self.assertEqual(got.writes, PIECE // MOUTHFUL)
        self.assertEqual(self.get(b"/s/app.css", crowded=True).writes, 1)

    def test_largeFile(self) -> None:
        """
        A large file comes in pieces and complete.
        """
        content = os.urandom(PIECE * 6 + 5)
        (self.site / "large").write_bytes(content)
        got = self.get(b"/s/large")
        self.assertEqual((got.body, got.promised), (content, len(content)))
        self.assertEqual(got.writes, 7)

    def test_methods(self) -> None:
        """
        Other methods are refused, existing file or not.
        """
        for method in (b"POST", b"PUT", b"DELETE", b"OPTIONS", b"get"):
            self.assertEqual(self.get(method=method).cause, "method")

    def test_index(self) -> None:
        """
        A folder with an index answers with it; without the slash it sends there first.
        """
        self.assertEqual(self.get(b"/s/").body, b"<p>home")
        self.assertEqual(self.get(b"/s/deep/").body, b"<p>deep")
        for target, location in (
            (b"/s", b"/s/"),
            (b"/s/deep", b"/s/deep/"),
            (b"/s/deep?a=b", b"/s/deep/?a=b"),
        ):
            got = self.get(target)
            self.assertEqual((got.status, got.sent), (308, {b"Location": location}))
        self.assertEqual(self.get(b"//deep", path="/").sent, {b"Location": b"/deep/"})
        self.assertEqual(self.get(b"/s/", value=Static("site", index="")).cause, "not_found")
        self.assertEqual(self.get(b"/s/", value=Static("site", index="app.css")).body, CSS)

    def test_notFound(self) -> None:
        """
        What is no file of a site is not found, dot-files and folders among it.
        """
        for target in (
            b"/s/none", b"/s/.env", b"/s/%2eenv", b"/s/empty", b"/s/empty/", b"/s/app.css/",
            b"/s/app.css/x", b"/s/deep%2Findex.html", b"/s/" + b"a" * 300, b"/s/.well-known/x",
        ):  # fmt: skip
            self.assertEqual(self.get(target).cause, "not_found", target)
        self.assertEqual(self.get(value=Static("gone")).cause, "not_found")
        self.parts.root += "/gone"
        self.assertEqual(self.get().cause, "not_found")

    def test_wellKnown(self) -> None:
        """
        `.well-known` is the one folder with a dot that is seen.
        """
        (self.site / ".well-known").mkdir()
        (self.site / ".well-known" / "security.txt").write_bytes(b"x")
        self.assertEqual(self.get(b"/s/.well-known/security.txt").body, b"x")

    def test_fallthrough(self) -> None:
        """
        Where there is no file the app answers, and to every method that is not for files.
        """
        value = Static("site", fallthrough="hello")
        for target, method in (
            (b"/s/none", b"GET"), (b"/s/empty", b"GET"), (b"/s/app.css", b"POST"),
        ):  # fmt: skip
            got = self.get(target, method=method, value=value)
            self.assertEqual(self.parts.app.got, [got])
            self.assertEqual(got.status, 0)
            self.parts.app.got.clear()
        self.assertEqual(self.get(value=value).body, CSS)
        self.assertEqual(self.parts.app.got, [])

    def test_missingFallthrough(self) -> None:
        """
        A mapping that falls through to nothing says so.
        """
        got = self.get(value=Static("site", fallthrough="gone"))
        self.assertEqual(got.cause, "not_configured")

    def test_explain(self) -> None:
        """
        The leaf says where it looks, and what comes after.
        """
        mapping = ("/", Static("site", fallthrough="hello"))
        routes = compile_host(found(mapping), [StaticKind()], self.parts)
        assert routes.only is not None
        self.assertEqual(
            routes.only.explain(),
            [
                f"files of uid {os.getuid()} below {self.site}",
                "where no file is, the app answers",
                "the app",
            ],
        )


class GuardTests(StaticCase):
    """What is never sent."""

    def test_linksOut(self) -> None:
        """
        No link leads out of the folder, wherever it points.
        """
        for name, target in (
            ("up", "../outside"),
            ("absolute", str(self.home / "outside")),
            ("etc", "/etc/passwd"),
            ("folder", ".."),
        ):
            (self.site / name).symlink_to(target)
        for target in (b"/s/up", b"/s/absolute", b"/s/etc", b"/s/folder/outside"):
            self.assertEqual(self.get(target).cause, "forbidden", target)

    def test_linksInside(self) -> None:
        """
        A link to a file of the folder is as good as the file.
        """
        (self.site / "link.css").symlink_to("app.css")
        self.assertEqual(self.get(b"/s/link.css").body, CSS)

    def test_onlyRegularFiles(self) -> None:
        """
        A FIFO neither blocks nor answers.
        """
        os.mkfifo(self.site / "fifo")
        self.assertEqual(self.get(b"/s/fifo").cause, "forbidden")

    def test_otherOwner(self) -> None:
        """
        A file of somebody else is not sent, wherever it lies.
        """
        self.parts.uid += 1
        self.assertEqual(self.get().cause, "forbidden")

    def test_unreadable(self) -> None:
        """
        A file that we may not read is forbidden, not our failure.
        """
        (self.site / "app.css").chmod(0)
        wanted = "" if os.getuid() == 0 else "forbidden"
        self.assertEqual(self.get().cause, wanted)

    def test_outOfDescriptors(self) -> None:
        """
        Where no more can be opened it is told to come again, at each step of the way to the file.
        """
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, before)
        opened = [os.open("/", os.O_PATH)]
        self.addCleanup(lambda: [os.close(each) for each in opened])
        for free in range(2):
            exchange = KeptExchange(target=b"/s/app.css")
            routes = compile_host(found(("/s", Static("site"))), [StaticKind()], self.parts)
            leaf = routes.leaf(exchange.path)
            assert leaf is not None
            highest = max(int(name) for name in os.listdir("/proc/self/fd"))
            resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 10, before[1]))
            with contextlib.suppress(OSError):
                while True:
                    opened.append(os.open("/", os.O_PATH))
            for _ in range(free):
                os.close(opened.pop())
            leaf.answer(exchange)
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
            self.assertEqual(exchange.cause, "descriptors", free)
            self.assertEqual(CAUSES[exchange.cause].status, 503)

    def test_deploymentIsSeenAtOnce(self) -> None:
        """
        Leaves see the folder that is there now: after a rename, and behind a link turned round.
        """
        for release in ("one", "two"):
            (self.home / release).mkdir()
            (self.home / release / "v").write_text(release)
        current = self.home / "current"
        current.symlink_to("one")
        routes = compile_host(found(("/", Static("current"))), [StaticKind()], self.parts)
        assert routes.only is not None

        def body() -> bytes:
            exchange = KeptExchange(target=b"/v")
            assert routes.only is not None
            routes.only.answer(exchange)
            return exchange.body

        self.assertEqual(body(), b"one")
        (self.home / "next").symlink_to("two")
        (self.home / "next").rename(current)
        self.assertEqual(body(), b"two")
        (self.home / "two").rename(self.home / "old")
        (self.home / "one").rename(self.home / "two")
        self.assertEqual(body(), b"one")


class ConditionTests(StaticCase):
    """304, 412, 206 and 416."""

    def setUp(self) -> None:
        super().setUp()
        self.etag = self.get().sent[b"ETag"]
        self.modified = self.get().sent[b"Last-Modified"]

    def test_notModified(self) -> None:
        """
        Who has the file is told so, with the validators and how long it lasts.
        """
        value = Static("site", expires=60.0)
        for asked in ((b"If-None-Match", self.etag), (b"If-Modified-Since", self.modified)):
            got = self.get(b"/s/app.css", asked, value=value)
            self.assertEqual((got.status, got.body), (304, b""))
            self.assertEqual(set(got.sent), {b"ETag", b"Last-Modified", b"Cache-Control"})

    def test_changed(self) -> None:
        """
        Another version has another tag.
        """
        (self.site / "app.css").write_bytes(CSS + b"more")
        got = self.get(b"/s/app.css", (b"If-None-Match", self.etag))
        self.assertEqual(got.status, 200)

    def test_precondition(self) -> None:
        """
        Who wants another version than there is gets none.
        """
        self.assertEqual(self.get(b"/s/app.css", (b"If-Match", b'"x"')).cause, "precondition")
        self.assertEqual(self.get(b"/s/app.css", (b"If-Match", self.etag)).status, 200)

    def test_onePart(self) -> None:
        """
        One range is answered by exactly these bytes.
        """
        got = self.get(b"/s/app.css", (b"Range", b"bytes=5-8"))
        self.assertEqual((got.status, got.body), (206, CSS[5:9]))
        self.assertEqual(got.sent[b"Content-Range"], b"bytes 5-8/%d" % len(CSS))
        self.assertEqual(got.sent[b"Content-Type"], b"text/css; charset=utf-8")
        got = self.get(b"/s/app.css", (b"Range", b"bytes=-3"))
        self.assertEqual(got.body, CSS[-3:])

    def test_manyParts(self) -> None:
        """
        Several ranges come as one body of parts, of the length that was promised.
        """
        got = self.get(b"/s/app.css", (b"Range", b"bytes=0-1,5-6"))
        boundary = got.sent[b"Content-Type"].removeprefix(b"multipart/byteranges; boundary=")
        self.assertEqual((got.status, got.over, got.promised), (206, "finished", len(got.body)))
        parts = got.body.split(b"--" + boundary)
        self.assertEqual(len(parts), 4)
        self.assertTrue(parts[1].endswith(b"bytes 0-1/20\r\n\r\nbo\r\n"), parts[1])
        self.assertTrue(parts[2].endswith(b"bytes 5-6/20\r\n\r\n{ \r\n"), parts[2])
        self.assertEqual(parts[3], b"--\r\n")

    def test_bomb(self) -> None:
        """
        Too many ranges get the whole file, once.
        """
        bomb = b"bytes=" + b",".join(b"%d-%d" % (n, n) for n in range(0, 20, 2))
        got = self.get(b"/s/app.css", (b"Range", bomb))
        self.assertEqual((got.status, got.body), (200, CSS))
        value = Static("site", limits=MappingLimits(ranges=10))
        self.assertEqual(self.get(b"/s/app.css", (b"Range", bomb), value=value).status, 206)

    def test_beyondTheEnd(self) -> None:
        """
        A range that the file does not have is told the file's size.
        """
        got = self.get(b"/s/app.css", (b"Range", b"bytes=20-"))
        self.assertEqual((got.status, got.sent), (416, {b"Content-Range": b"bytes */20"}))

    def test_ifRange(self) -> None:
        """
        A part of another version is never sent.
        """
        part = (b"Range", b"bytes=0-1")
        self.assertEqual(self.get(b"/s/app.css", part, (b"If-Range", self.etag)).status, 206)
        self.assertEqual(self.get(b"/s/app.css", part, (b"If-Range", b'"old"')).status, 200)
        self.assertEqual(self.get(b"/s/app.css", part, (b"If-Range", self.modified)).status, 200)

    def test_headIgnoresRange(self) -> None:
        """
        Range is for GET only.
        """
        got = self.get(b"/s/app.css", (b"Range", b"bytes=0-1"), method=b"HEAD")
        self.assertEqual((got.status, got.promised), (200, len(CSS)))


class ParseTests(SynchronousTestCase):
    """What may stand in a site file."""

    def parse(self, **options: object) -> object:
        document = {"name": "a.test", "mappings": [{"path": "/", **options}]}
        made = parse_object("domain/a.test", document, WORDS)
        assert isinstance(made, Domain)
        return made.mappings[0].to

    def test_accepted(self) -> None:
        """
        All options with their defaults.
        """
        self.assertEqual(self.parse(static="a/b"), Static("a/b", None, None, "index.html"))
        self.assertEqual(
            self.parse(static=".", expires="1h", fallthrough="hello", index=""),
            Static(".", 3600.0, "hello", ""),
        )

    def test_refused(self) -> None:
        """
        Paths that leave the home, and an index that is none, are refused with their place.
        """
        for option, value in (
            ("static", "../x"),
            ("static", "/etc"),
            ("static", ""),
            ("expires", "soon"),
            ("fallthrough", "Not A Name"),
            ("index", "a/b"),
            ("index", ".htaccess"),
            ("index", 7),
        ):
            with self.assertRaises(ConfigError) as caught:
                self.parse(**{"static": "a", option: value})
            self.assertIn(f"mappings[0]: {option}", str(caught.exception))

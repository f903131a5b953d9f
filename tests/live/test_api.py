"""
The API on a real socket, and the `hostedge` command as a process of its own.

Store, resource, site and threads are those of control; only the other roles are recorded.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from time import perf_counter
from typing import Any

import yaml
from attrs import frozen
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread, deferToThreadPool
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from hostedge.api.app import Api, Threads
from hostedge.api.server import ApiSite, allowed_uids, caller_of
from hostedge.cli.client import ApiClient
from hostedge.cli.words import words
from hostedge.control import ApiListener, WritingThread
from hostedge.errors import ConfigError
from hostedge.settings import Settings, read_settings
from hostedge.store.history import History
from hostedge.store.reader import StoreReader
from hostedge.store.served import ServedZones
from hostedge.store.writer import RouteStore
from tests.api.node import RecordedNode
from tests.cli.certificates import make_certificate

ROOT = Path(__file__).resolve().parents[2]

SITE = """\
account: demo
domains:
  - name: demo.test
    mappings:
      - {path: /, redirect: "https://demo.test/new"}
"""


@frozen
class Done:
    """How a command has ended."""

    status: int
    out: str
    err: str


class ApiCase(TestCase):
    """A control process's API in this process, on a socket of its own."""

    def setUp(self) -> None:
        self.folder = Path(mkdtemp(prefix="hostedge-"))
        self.addCleanup(rmtree, self.folder)
        (self.folder / "homes").mkdir()
        file = self.folder / "node.toml"
        file.write_text('state = "s"\nhomes = "homes"\n[listen]\nhttp = ["127.0.0.1:0"]\n')
        self.settings: Settings = read_settings(file)
        self.store = RouteStore(self.settings.store, words(), lambda: 1_800_000_000.0)
        self.addCleanup(self.store.close)
        self.reader = StoreReader(self.settings.store, words())
        self.addCleanup(self.reader.close)
        self.settings.run.mkdir()
        self.node = RecordedNode(report={"name": "localhost", "revision": 0, "keeper": True})
        writing = WritingThread(reactor)
        writing.startService()
        self.addCleanup(writing.stopService)
        reading = partial(deferToThreadPool, reactor, reactor.getThreadPool())
        threads = Threads(writing.run, reading)
        history = History(self.settings.store)
        served = ServedZones(self.settings.store, words(), ("node.test",), ())
        parts = self.store, history, served, self.node, words(), threads
        settings = self.settings
        api = Api(*parts, caller_of, settings.state, logs=settings.logs, clock=reactor)
        site = ApiSite(reactor, api.resource(), allowed_uids())
        self.listener = listener = ApiListener(reactor, self.settings.api_socket, site)
        listener.startService()
        self.addCleanup(listener.stopService)

    async def hostedge(self, *arguments: str, settings: Path | None = None) -> Done:
        """Run the command."""
        out, err, status = await getProcessOutputAndValue(
            sys.executable,
            [
                *("-m", "hostedge.cli.main"),
                *("--settings", str(settings or self.settings.file)),
                *arguments,
            ],
            env={"PYTHONPATH": str(ROOT), "PATH": ""},
            path=str(self.folder),
        )
        done = Done(status, out.decode(), err.decode())
        for line in done.out.splitlines():
            if "--json" not in arguments:
                self.assertLessEqual(len(line), 80, line)
        return done

    async def told(self, *arguments: str) -> str:
        """What a command that goes well prints."""
        done = await self.hostedge(*arguments)
        self.assertEqual((done.status, done.err), (0, ""), done)
        return done.out

    async def refused(self, *arguments: str) -> str:
        """The one line of a command that does not go well."""
        done = await self.hostedge(*arguments)
        self.assertEqual((done.status, done.out, done.err.count("\n")), (1, "", 1), done)
        return done.err.strip().removeprefix("hostedge: ")

    def write(self, text: str, name: str = "site.yaml") -> str:
        (self.folder / name).write_text(text)
        return name

    async def client(self, work: Callable[[ApiClient], Any]) -> Any:
        """Use a client in a thread."""

        def use() -> Any:
            with ApiClient(self.settings) as client:
                return work(client)

        return await deferToThread(use)


class ApplyTests(ApiCase):
    """`hostedge apply`."""

    async def test_apply(self) -> None:
        """
        What a site file says becomes true, is announced, and is told in a table.
        """
        out = await self.told("apply", self.write(SITE))
        self.assertEqual(
            out,
            "CHANGE   OBJECT\n"
            "created  account/demo\n"
            "created  domain/demo.test\n"
            "Live at revision 1: 2 created.\n",
        )
        self.assertEqual(self.node.asked, [("announce", 1)])
        again = await self.told("apply", "site.yaml")
        self.assertEqual(again, "Nothing to change; the store is at revision 1.\n")

    async def test_dryRun(self) -> None:
        """
        A dry run lists deletions too, and nothing is changed.
        """
        await self.told("apply", self.write(SITE))
        file = self.write("account: demo\ndomains: [{name: other.test}]\n")
        out = await self.told("apply", file, "--dry-run")
        self.assertIn("deleted  domain/demo.test\n", out)
        self.assertIn("created  domain/other.test\n", out)
        self.assertTrue(out.endswith("nothing was changed.\n"))
        answer = json.loads(await self.told("apply", file, "--dry-run", "--json"))
        self.assertEqual((answer["revision"], answer["dry_run"]), (1, True))
        self.assertEqual(self.reader.revision(), 1)

    async def test_wrongFiles(self) -> None:
        """
        A wrong file is one line that leads to the mistake; nothing has changed, nobody was told.
        """
        for text, line in (
            ("account: [\n", "site.yaml:2: is not YAML: did not find expected node content"),
            ("account: UPPER\n", "site.yaml: account: want a name of at most 32"),
            (SITE + "zone: x\n", "site.yaml: zone: is not known here; known: account, apps"),
            (
                SITE.replace("redirect:", "redirekt:"),
                "site.yaml: domains[0] (demo.test): mappings[0]: want exactly one of",
            ),
        ):
            self.assertTrue((await self.refused("apply", self.write(text))).startswith(line), line)
        self.assertEqual(
            await self.refused("apply", "none.yaml"),
            "none.yaml: cannot be read: No such file or directory",
        )
        self.assertEqual((self.reader.revision(), self.node.asked), (0, []))

    async def test_othersName(self) -> None:
        """
        A name that another account has is refused by the node, in one line.
        """
        await self.told("apply", self.write(SITE))
        line = await self.refused("apply", self.write(SITE.replace("account: demo", "account: b")))
        self.assertIn("demo.test", line)
        self.assertEqual(self.reader.revision(), 1)

    async def test_certificate(self) -> None:
        """
        A customer's own certificate: the key is stored, and what is exported names it.
        """
        chain, key = make_certificate("demo.test")
        self.write(chain, "demo.pem")
        self.write(key, "demo.key")
        own = "certificates: [{name: own, chain: 'file:demo.pem', key: 'file:demo.key'}]\n"
        await self.told("apply", self.write(SITE + own))
        exported = yaml.safe_load(await self.told("export", "demo"))["certificates"][0]
        self.assertEqual(exported["chain"], chain)
        self.assertTrue(exported["key"].startswith("sha256-"))
        self.assertNotIn("PRIVATE KEY", await self.told("changes", "--json"))


class StoredTests(ApiCase):
    """`hostedge export`, `changes`, `backup`."""

    async def test_exportIsWhatWasApplied(self) -> None:
        """
        What export prints can be applied again and changes nothing.
        """
        file = self.write(SITE + "---\naccount: other\n")
        await self.told("apply", file)
        self.write(await self.told("export"), "exported.yaml")
        self.assertIn("Nothing to change", await self.told("apply", "exported.yaml"))
        self.assertEqual(await self.told("export", "other"), "---\naccount: other\n")
        self.assertEqual(json.loads(await self.told("export", "other", "--json")), {
            "account": "other"
        })  # fmt: skip
        self.assertEqual(
            await self.refused("export", "nobody"), "account: there is no account nobody"
        )

    async def test_changes(self) -> None:
        """
        History says who, when and what.
        """
        await self.told("apply", self.write(SITE))
        out = await self.told("changes")
        self.assertEqual(len(out.splitlines()), 3)
        self.assertIn("2027-01-15 08:00:00Z", out)
        self.assertIn("domain/demo.test", out)
        self.assertEqual(await self.told("changes", "--since", "1"), "No change is recorded.\n")
        refused = await self.refused("changes", "--since", "x")
        self.assertIn("since: want a revision's number", refused)

    async def test_backup(self) -> None:
        """
        A backup is a store that opens; a place that cannot be written is one line.
        """
        await self.told("apply", self.write(SITE))
        size = (await self.told("backup", "copy.db")).split()[1]
        copy = self.folder / "copy.db"
        self.assertEqual((copy.stat().st_size, copy.stat().st_mode & 0o777), (int(size), 0o600))
        database = sqlite3.connect(copy)
        self.addCleanup(database.close)
        self.assertEqual(database.execute("SELECT name FROM domains").fetchall(), [("demo.test",)])
        self.assertEqual(
            await self.refused("backup", "no/copy.db"),
            "no/copy.db.part: cannot be written: No such file or directory",
        )


class RunningTests(ApiCase):
    """`hostedge status`, `apps`, `restart`, `explain`, `doctor`."""

    async def test_statusAndApps(self) -> None:
        """
        What the roles say, as tables and as JSON.
        """
        self.node.apps = [
            {"app": "demo/a", "state": "READY", "generation": 1, "pid": 9, "since": 1.0,
             "in_flight": 0, "reason": ""}
        ]  # fmt: skip
        self.assertIn("Node localhost", await self.told("status"))
        self.assertEqual(json.loads(await self.told("status", "--json"))["name"], "localhost")
        self.assertIn("demo/a  READY", await self.told("apps"))
        self.assertEqual(json.loads(await self.told("--json", "apps")), {"apps": self.node.apps})

    async def test_restart(self) -> None:
        """
        A restart reaches the keeper; an app that is none does not.
        """
        self.assertEqual(await self.told("restart", "demo/a"), "demo/a is being restarted.\n")
        self.assertEqual(self.node.asked, [("restart", "demo/a")])
        self.assertEqual(await self.refused("restart", "demo"), "demo: want ACCOUNT/APP")
        self.node.refusal = "not_configured"
        self.assertEqual(await self.refused("restart", "demo/b"), "demo/b: there is no such app")

    async def test_explain(self) -> None:
        """
        Every step with its reason.
        """
        self.node.steps = [{"step": "host", "answer": "demo.test", "reason": "the name itself"}]
        out = await self.told("explain", "http://demo.test/?a=b&c", "--method", "head")
        self.assertIn("HEAD http://demo.test/?a=b&c\nhost         demo.test\n", out)
        self.assertIn("url: want http(s)://name/path", await self.refused("explain", "demo.test"))

    async def test_doctor(self) -> None:
        """
        The doctor sees that the node runs and that its store is whole.
        """
        checks = json.loads(await self.told("doctor", "--json"))["checks"]
        found = {each["what"]: each for each in checks}
        self.assertEqual(found["node"]["text"], "localhost runs, revision 0")
        self.assertEqual(found["store"]["level"], "ok")

    async def test_notRunning(self) -> None:
        """
        Without a node, every command that needs one says how to start it.
        """
        other = self.folder / "other.toml"
        other.write_text('state = "t"\nhomes = "homes"\n')
        for arguments in (("status",), ("apps",), ("export",), ("backup", "x")):
            done = await self.hostedge(*arguments, settings=other)
            self.assertEqual((done.status, done.out), (1, ""))
            self.assertEqual(
                done.err,
                "hostedge: t/control/api.sock: the node does not run; "
                "start it: twistd -n hostedge --settings other.toml\n",
            )
        self.assertFalse((self.folder / "x.part").exists())

    async def test_demoOfARunningNode(self) -> None:
        """
        A demo does not start a second node.
        """
        line = await self.refused("demo", self.write(SITE))
        self.assertIn("the node runs already; to change it: hostedge apply site.yaml", line)


class CallTests(ApiCase):
    """The API itself."""

    def raw(self, *requests: bytes) -> Deferred[bytes]:
        """Send bytes over one connection, read until the other side closes it."""

        def exchange() -> bytes:
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(10)
                peer.connect(str(self.settings.api_socket))
                for request in requests:
                    peer.sendall(request)
                answer = b""
                while piece := peer.recv(65536):
                    answer += piece
                return answer

        return deferToThread(exchange)

    def statuses(self, answer: bytes) -> Sequence[bytes]:
        return [line[9:12] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]

    async def test_requestsOfABrowser(self) -> None:
        """
        What a page in a browser can be made to send is refused: other hosts, other origins,
        forms.
        """
        body = b'{"sites":[]}'
        post = b"POST /v1/apply HTTP/1.1\r\nHost: %s\r\n%sContent-Length: %d\r\n\r\n" + body
        json_type = b"Content-Type: application/json\r\n"
        text_type = b"Content-Type: text/plain\r\n"
        close = b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        answer = await self.raw(
            post % (b"evil.example", json_type, len(body)),
            post % (b"localhost", json_type + b"Origin: http://evil.example\r\n", len(body)),
            post % (b"localhost", text_type, len(body)),
            post % (b"localhost", json_type, len(body)),
            close,
        )
        self.assertEqual(self.statuses(answer), [b"421", b"403", b"415", b"200", b"200"])

    async def test_callsBesideEachOther(self) -> None:
        """
        While a change waits until it is live, other calls are answered.
        """
        live: Deferred[None] = Deferred()
        self.node.live = lambda _: live
        applying = Deferred.fromCoroutine(
            self.client(
                lambda client: client.call("POST", "/v1/apply", {"sites": [{"account": "a"}]})
            )  # fmt: skip
        )
        while not self.node.asked:
            await self.client(lambda client: client.call("GET", "/v1/status"))
            self.node.asked = [each for each in self.node.asked if each[0] == "announce"]
        self.assertNoResult(applying)
        live.callback(None)
        self.assertEqual((await applying)["revision"], 1)

    async def test_writesAreInOrder(self) -> None:
        """
        Many callers change the store at once; every change is one revision.
        """

        def change(number: int) -> Any:
            site = {"account": f"a{number}"}
            return self.client(lambda client: client.call("POST", "/v1/apply", {"sites": [site]}))

        changing = [Deferred.fromCoroutine(change(number)) for number in range(8)]
        revisions = sorted([(await each)["revision"] for each in changing])
        self.assertEqual(revisions, list(range(1, 9)))

    async def test_changeIsQuick(self) -> None:
        """
        A small change over an open connection takes milliseconds.
        """
        spent: list[float] = []

        def work(client: ApiClient) -> None:
            for number in range(30):
                name = f"d{number}.test"
                site = {"account": "a", "domains": [{"name": name}]}
                begin = perf_counter()
                client.call("POST", "/v1/apply", {"sites": [site]})
                spent.append(perf_counter() - begin)

        await self.client(work)
        # 20 ms are promised; the median, for tests run beside each other
        self.assertLess(sorted(spent)[15], 0.05, sorted(spent))

    async def test_largeImport(self) -> None:
        """
        While thousands of accounts are being written, the API goes on answering.
        """
        sites = [{"account": f"a{n}", "domains": [{"name": f"d{n}.test"}]} for n in range(3000)]
        applying = Deferred.fromCoroutine(
            self.client(lambda client: client.call("POST", "/v1/apply", {"sites": sites}))
        )
        waits: list[float] = []

        def work(client: ApiClient) -> None:
            while not applying.called:
                begin = perf_counter()
                client.call("GET", "/v1/status")
                waits.append(perf_counter() - begin)

        await self.client(work)
        self.assertEqual((await applying)["revision"], 1)
        self.assertGreater(len(waits), 3)
        self.assertLess(sorted(waits)[len(waits) // 2], 0.25, waits)
        lines = await self.client(lambda client: sum(1 for _ in client.lines("/v1/export")))
        self.assertEqual(lines, 3000)

    async def test_readerLeaves(self) -> None:
        """
        A reader that leaves in the middle of an export holds nothing open, and the node lives.
        """
        sites = [{"account": f"a{n}", "domains": [{"name": f"d{n}.test"}]} for n in range(2000)]
        await self.client(lambda client: client.call("POST", "/v1/apply", {"sites": sites}))

        def leave() -> None:
            with socket.socket(socket.AF_UNIX) as peer:
                peer.connect(str(self.settings.api_socket))
                peer.sendall(b"GET /v1/export HTTP/1.1\r\nHost: localhost\r\n\r\n")
                peer.recv(100)

        for _ in range(5):
            await deferToThread(leave)
        answer = await self.client(lambda client: client.call("GET", "/v1/status"))
        self.assertEqual(answer["name"], "localhost")

    async def test_brokenInTheMiddle(self) -> None:
        """
        An export that fails half way is broken off, so that nobody takes it for whole.
        """
        export = self.store.export

        def broken(account: str | None = None) -> Any:
            for number, site in enumerate(export(account)):
                if number == 1500:
                    raise KeyError("row")
                yield site

        sites = [{"account": f"a{n}", "domains": [{"name": f"d{n}.test"}]} for n in range(2000)]
        await self.client(lambda client: client.call("POST", "/v1/apply", {"sites": sites}))
        self.patch(self.store, "export", broken)
        with self.assertRaises(ConfigError) as caught:
            await self.client(lambda client: list(client.lines("/v1/export")))
        self.assertIn("broke its answer off", str(caught.exception))
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)

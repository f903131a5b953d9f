"""Tests of `hostedge.api.app`, over treq's in-memory network."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import Deferred, TimeoutError, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.api.app import Api, Threads
from hostedge.api.guard import Guard
from hostedge.api.parts import InThread
from hostedge.errors import ConfigError
from hostedge.model.keys import secret_reference
from hostedge.observe.sites import BOUNDS
from hostedge.store.history import History
from hostedge.store.reader import StoreReader
from hostedge.store.served import ServedZones
from hostedge.store.writer import RouteStore
from tests.api.node import SITE, RecordedNode, words


class ApiTestCase(SynchronousTestCase):
    """A real store, a recorded node, and calls without a socket."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.store = RouteStore(self.folder / "store.db", words(), lambda: 1000.0)
        self.addCleanup(self.store.close)
        self.reader = StoreReader(self.folder / "store.db", words())
        self.addCleanup(self.reader.close)
        self.node = RecordedNode()
        self.use(maybeDeferred)

    def use(self, writing: InThread) -> None:
        threads = Threads(writing, maybeDeferred)
        history = History(self.folder / "store.db")
        served = ServedZones(self.folder / "store.db", words(), ("node.test",), ("192.0.2.1",))
        parts = self.store, history, served, self.node, words(), threads
        self.clock = Clock()
        logs = self.folder / "log"
        api = Api(*parts, lambda _: "root", self.folder, logs=logs, clock=self.clock)
        self.treq = StubTreq(Guard(api.resource()))

    def start(self, method: str, path: str, body: object = None) -> Deferred[Any]:
        data = {} if body is None else {"data": body if isinstance(body, bytes) else _json(body)}
        headers = {} if method == "GET" else {"content-type": "application/json"}
        return self.treq.request(method, f"http://localhost{path}", headers=headers, **data)

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Status and answer of one call."""
        response = self.successResultOf(self.start(method, path, body))
        self.treq.flush()
        content = self.successResultOf(response.content())
        if response.headers.getRawHeaders("content-type") == ["application/json"]:
            return response.code, json.loads(content)
        return response.code, content

    def refused(self, method: str, path: str, body: object = None) -> tuple[int, str, str]:
        """Status, place and problem of a call that is refused."""
        status, answer = self.call(method, path, body)
        return status, answer["error"]["where"], answer["error"]["problem"]

    def apply(self, *sites: object, **more: object) -> Any:
        status, answer = self.call("POST", "/v1/apply", {"sites": sites, **more})
        self.assertEqual(status, 200, answer)
        return answer


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


class ApplyTests(ApiTestCase):
    """Sites are made true."""

    def test_applied(self) -> None:
        """
        The answer lists what was created; the revision was announced before it came.
        """
        answer = self.apply(SITE)
        self.assertEqual(answer["revision"], 1)
        self.assertEqual(
            [(each["key"], each["what"]) for each in answer["changes"]],
            [
                ("account/demo", "created"),
                ("app/demo/hello", "created"),
                ("domain/demo.test", "created"),
            ],
        )
        self.assertEqual(self.node.asked, [("announce", 1)])

    def test_answersOnlyWhenLive(self) -> None:
        """
        There is no answer before the change is live.
        """
        live: Deferred[None] = Deferred()
        self.node.live = lambda _: live
        calling = self.start("POST", "/v1/apply", {"sites": [SITE]})
        self.treq.flush()
        self.assertNoResult(calling)
        live.callback(None)
        self.treq.flush()
        self.assertEqual(self.successResultOf(calling).code, 200)

    def test_callerGoneIsAnnouncedStill(self) -> None:
        """
        A caller that hangs up while the store writes does not keep the change from the edges.
        """
        writing: Deferred[Any] = Deferred()
        self.use(lambda work, *given: writing.addCallback(lambda _: work(*given)))
        calling = self.start("POST", "/v1/apply", {"sites": [SITE]})
        calling.addErrback(lambda _: None)
        calling.cancel()
        self.treq.flush()
        writing.callback(None)
        self.assertEqual(self.node.asked, [("announce", 1)])

    def test_changedAndDeleted(self) -> None:
        """
        What a site does not name any more is deleted.
        """
        self.apply(SITE)
        answer = self.apply({"account": "demo", "apps": [{**SITE["apps"][0], "idle": "1h"}]})
        self.assertEqual(
            {each["key"]: each["what"] for each in answer["changes"]},
            {"domain/demo.test": "deleted", "app/demo/hello": "changed"},
        )

    def test_dryRun(self) -> None:
        """
        A dry run says the same and changes nothing; nobody is told.
        """
        answer = self.apply(SITE, dry_run=True)
        self.assertEqual((answer["revision"], len(answer["changes"])), (0, 3))
        self.assertTrue(answer["dry_run"])
        self.assertEqual((self.reader.revision(), self.node.asked), (0, []))

    def test_wrongSite(self) -> None:
        """
        The error leads to the value that is wrong; not even the other accounts are changed.
        """
        wrong = {"account": "b", "apps": [{"name": "x", "runtime": "cobol"}]}
        status, where, problem = self.refused("POST", "/v1/apply", {"sites": [SITE, wrong]})
        self.assertEqual((status, where), (422, "sites[1]: apps[0] (x): runtime"))
        self.assertEqual(problem, "want one of command, not 'cobol'")
        self.assertEqual(self.reader.revision(), 0)

    def test_othersName(self) -> None:
        """
        A name that another account has is refused by the store.
        """
        self.apply(SITE)
        status, where, _ = self.refused(
            "POST",
            "/v1/apply",
            {"sites": [{"account": "other", "domains": [{"name": "demo.test"}]}]},
        )
        self.assertEqual(status, 422)
        self.assertIn("other", where)

    def test_wrongBodies(self) -> None:
        """
        Bodies that are no such call are refused with the key that is wrong.
        """
        for body, where in (
            (b"{", "body"),
            (b"\xff", "body"),
            (b"[" * 100_000, "body"),
            ([], "body"),
            ({}, "body: sites"),
            ({"sites": {}}, "body: sites"),
            ({"sites": [], "dry_run": 1}, "body: dry_run"),
            ({"sites": [], "dryrun": True}, "body: dryrun"),
        ):
            status, place, problem = self.refused("POST", "/v1/apply", body)
            self.assertEqual((status, place), (400, where))
            self.assertNotIn("\n", problem)


class SecretTests(ApiTestCase):
    """Private keys."""

    def test_notAKey(self) -> None:
        """
        Only private keys are kept.
        """
        self.assertEqual(
            self.refused("PUT", "/v1/secrets", {"values": [_private_key(), "geheim"]}),
            (422, "values[1]", "want an unencrypted private key in PEM"),
        )
        status, place, _ = self.refused("PUT", "/v1/secrets", {"values": [{}]})
        self.assertEqual((status, place), (422, "values[0]"))

    def test_references(self) -> None:
        """
        Keys are answered with the references that stand for them, in their order.
        """
        keys = [_private_key(), _private_key()]
        status, answer = self.call("PUT", "/v1/secrets", {"values": [*keys, keys[0]]})
        wanted = [secret_reference(each) for each in (*keys, keys[0])]
        self.assertEqual((status, answer["references"]), (200, wanted))


class UndoTests(ApiTestCase):
    """What was changed is put back."""

    def undo(self, revision: int, **more: object) -> Any:
        status, answer = self.call("POST", "/v1/undo", {"revision": revision, **more})
        self.assertEqual(status, 200, answer)
        return answer

    def test_undone(self) -> None:
        """
        The answer is that of `apply`; it comes once the new revision is announced.
        """
        self.apply(SITE)
        self.apply({**SITE, "domains": []})
        self.node.asked.clear()
        created = [{"key": "domain/demo.test", "what": "created"}]
        dry = self.undo(2, dry_run=True)
        self.assertEqual(dry, {"revision": 2, "dry_run": True, "changes": created})
        self.assertEqual((self.reader.revision(), self.node.asked), (2, []))
        self.assertEqual(self.undo(2), {"revision": 3, "dry_run": False, "changes": created})
        self.assertEqual(self.node.asked, [("announce", 3)])
        self.assertEqual(self.store.undo(3, "you").revision, 4)

    def test_refused(self) -> None:
        """
        Somebody else's later change is a conflict; what never was is not found.
        """
        self.apply(SITE)
        self.apply({**SITE, "domains": []})
        refused = self.refused("POST", "/v1/undo", {"revision": 1})
        self.assertEqual(refused[:2], (409, "revision 1"))
        self.assertIn("domain/demo.test was changed again at revision 2", refused[2])
        self.assertIn("by root", refused[2])
        for revision in (0, 3, -1):
            refused = self.refused("POST", "/v1/undo", {"revision": revision})
            self.assertEqual(refused[:2], (404, "revision"))
        wrong = self.refused("POST", "/v1/undo", {"revision": "1"})
        self.assertEqual(wrong[:2], (400, "body: revision"))
        self.assertEqual(self.reader.revision(), 2)


class ReadingTests(ApiTestCase):
    """What the store holds."""

    def test_export(self) -> None:
        """
        One account a line, in the form that can be applied again.
        """
        other = {"account": "other"}
        self.apply(SITE, other)
        status, lines = self.call("GET", "/v1/export")
        self.assertEqual(status, 200)
        self.assertEqual([json.loads(line) for line in lines.splitlines()], [SITE, other])

    def test_exportOfOne(self) -> None:
        """
        Only the account asked for; one that does not exist is 404.
        """
        self.apply(SITE, {"account": "other"})
        _, lines = self.call("GET", "/v1/export?account=other")
        self.assertEqual(json.loads(lines), {"account": "other"})
        self.assertEqual(
            self.refused("GET", "/v1/export?account=nobody"),
            (404, "account", "there is no account nobody"),
        )

    def test_changes(self) -> None:
        """
        History after a revision: who, when, what.
        """
        self.apply(SITE)
        self.apply({"account": "other"})
        _, lines = self.call("GET", "/v1/changes?since=1")
        self.assertEqual(
            json.loads(lines),
            {
                "revision": 2,
                "time": 1000.0,
                "who": "root",
                "key": "account/other",
                "what": "created",
                "before": None,
                "after": {"name": "other"},
            },
        )
        self.assertEqual(len(self.call("GET", "/v1/changes")[1].splitlines()), 4)

    def test_changesOfAKey(self) -> None:
        """
        One object's history, or that of all below a prefix; a mistake is refused.
        """
        self.apply(SITE)
        self.apply({"account": "other"})
        for key, count in (("app/demo/hello", 1), ("account/", 2), ("demo.test", 1)):
            lines = self.call("GET", f"/v1/changes?key={key}")[1].splitlines()
            self.assertEqual(len(lines), count)
        self.assertEqual(self.refused("GET", "/v1/changes?key=apps/x")[:2], (400, "key"))

    def test_diff(self) -> None:
        """
        From what to what a revision has changed its objects; there has to be one.
        """
        self.apply(SITE)
        self.apply({**SITE, "domains": []})
        (line,) = self.call("GET", "/v1/diff?to=2")[1].splitlines()
        entry = json.loads(line)
        self.assertEqual((entry["key"], entry["after"]), ("domain/demo.test", None))
        self.assertEqual(entry["before"]["name"], "demo.test")
        self.assertEqual(self.refused("GET", "/v1/diff?to=3")[:2], (404, "to"))

    def test_wrongQueries(self) -> None:
        """
        A parameter that is no number, or is given twice, is named.
        """
        for query in ("since=x", "since=-1", "since=%C2%B2", "since=1&since=2", "since=%FF"):
            self.assertEqual(self.refused("GET", f"/v1/changes?{query}")[:2], (400, "since"))

    def test_backup(self) -> None:
        """
        The copy is whole, and nothing of it stays in the state folder.
        """
        self.apply(SITE)
        before = set(self.folder.iterdir())
        status, copy = self.call("GET", "/v1/backup")
        self.assertEqual(status, 200)
        path = Path(self.mktemp())
        path.write_bytes(copy)
        database = sqlite3.connect(path)
        self.addCleanup(database.close)
        self.assertEqual(database.execute("SELECT name FROM domains").fetchall(), [("demo.test",)])
        self.assertEqual(set(self.folder.iterdir()), before)

    def test_backupWithoutRoom(self) -> None:
        """
        A backup that cannot be made is 503, with the reason.
        """
        for path in self.folder.iterdir():
            path.unlink()
        self.folder.rmdir()
        status, _, problem = self.refused("GET", "/v1/backup")
        self.assertEqual(status, 503)
        self.assertIn("cannot be written", problem)


class NodeTests(ApiTestCase):
    """What the other roles are asked."""

    def test_statusAndApps(self) -> None:
        """
        Their answers are passed on.
        """
        self.node.report = {"name": "localhost"}
        self.node.apps = [{"app": "demo/hello"}]
        self.assertEqual(self.call("GET", "/v1/status"), (200, {"name": "localhost"}))
        self.assertEqual(self.call("GET", "/v1/apps"), (200, {"apps": [{"app": "demo/hello"}]}))

    def test_sitesAndRefusals(self) -> None:
        """
        So is what sites do, with the bounds of its buckets, and what was refused.
        """
        self.node.active = [{"index": 0, "pid": 7, "sites": []}]
        status, answer = self.call("GET", "/v1/sites")
        self.assertEqual(status, 200)
        self.assertEqual(answer, {"bounds": list(BOUNDS), "edges": self.node.active})
        self.node.refusals = [{"verbatim": False, "request": "GET /"}]
        status, answer = self.call("GET", "/v1/refused?cause=loop&site=a.test&id=x")
        self.assertEqual(self.node.asked[-1], ("refused", "loop", "a.test", "x"))
        self.assertEqual((status, len(answer["refused"])), (200, 1))
        self.assertEqual(self.refused("GET", "/v1/refused?cause=no")[0], 400)

    def test_metrics(self) -> None:
        """
        The same report, for Prometheus.
        """
        self.node.report = {"keeper": True, "revision": 3, "edges": []}
        status, text = self.call("GET", "/metrics")
        self.assertEqual(status, 200)
        self.assertIn(b"\nhostedge_revision 3.0\n", text)
        self.node.error = ConfigError("keeper", "does not answer")
        self.assertEqual(self.refused("GET", "/metrics")[0], 503)

    def test_explain(self) -> None:
        """
        URL and method reach an edge; the steps come back.
        """
        self.node.steps = [{"step": "host"}]
        status, answer = self.call("GET", "/v1/explain?url=https://demo.test/a%3Fb&method=post")
        self.assertEqual((status, answer["steps"]), (200, [{"step": "host"}]))
        self.assertEqual(self.node.asked, [("explain", "https://demo.test/a?b", "POST", 0)])

    def test_explainThePast(self) -> None:
        """
        So does a revision; who has changed last what decided is told.
        """
        self.apply(SITE)
        self.apply({**SITE, "domains": []})
        self.node.asked.clear()
        self.node.steps = [{"step": "host", "key": "domain/demo.test"}]
        (host,) = self.call("GET", "/v1/explain?url=http://demo.test/&at=1")[1]["steps"]
        self.assertEqual(self.node.asked, [("explain", "http://demo.test/", "GET", 1)])
        changed = {"key": "domain/demo.test", "revision": 1, "time": 1000.0, "who": "root"}
        self.assertEqual(host, {"step": "host", "changed": changed})
        refused = self.refused("GET", "/v1/explain?url=http://demo.test/&at=3")
        self.assertEqual(refused[:2], (404, "at"))

    def test_explainOfNothing(self) -> None:
        """
        What is no URL is refused before an edge is asked.
        """
        self.assertEqual(self.refused("GET", "/v1/explain?url=x")[:2], (400, "url"))
        self.assertEqual(self.refused("GET", "/v1/explain")[:2], (400, "url"))
        self.assertEqual(self.node.asked, [])

    def test_restart(self) -> None:
        """
        The keeper is told which app; a refusal of its has the status of its cause.
        """
        path = "/v1/apps/demo/hello/restart"
        self.assertEqual(self.call("POST", path), (200, {"app": "demo/hello", "restarted": True}))
        self.assertEqual(self.node.asked, [("restart", "demo/hello")])
        self.node.refusal = "not_configured"
        self.assertEqual(self.refused("POST", path), (404, "demo/hello", "there is no such app"))
        self.node.refusal = "suspended"
        self.assertEqual(self.refused("POST", path)[0], 503)
        self.node.refusal = "it is being swapped"
        self.assertEqual(self.refused("POST", path), (409, "demo/hello", "it is being swapped"))

    def test_roleNotThere(self) -> None:
        """
        A role that is away or silent is 503, not an error of ours.
        """
        self.node.error = ConfigError("keeper", "does not answer now")
        self.assertEqual(self.refused("GET", "/v1/apps"), (503, "keeper", "does not answer now"))
        self.node.error = TimeoutError()
        self.assertEqual(self.refused("GET", "/v1/status")[0], 503)

    def test_fullDisk(self) -> None:
        """
        A store that cannot grow is no fault of ours: who calls reads what is wrong.
        """
        with self.store._engine.connect() as connection:
            # no more pages than it has
            connection.exec_driver_sql("PRAGMA max_page_count = 1")
        site = {"account": {"name": "demo"}, "apps": []}
        page = {"status": 404, "page": "x" * 60_000}
        site["domains"] = [
            {"name": f"d{n}.localhost", "errors": [page], "mappings": []} for n in range(10)
        ]
        self.assertEqual(
            self.refused("POST", "/v1/apply", {"sites": [site]}),
            (503, "store", "database or disk is full"),
        )
        self.assertEqual(self.call("GET", "/v1/status")[0], 200)

    def test_ourOwnFault(self) -> None:
        """
        An exception is one entry in the log; the answer has its id and nothing of its text.
        """
        self.node.error = KeyError("inner")
        status, answer = self.call("GET", "/v1/status")
        self.assertEqual(status, 500)
        self.assertNotIn("inner", json.dumps(answer))
        (failure,) = self.flushLoggedErrors(KeyError)
        self.assertEqual(failure.value.args, ("inner",))
        self.assertIn(answer["error"]["id"], answer["error"]["problem"])


class PathTests(ApiTestCase):
    """What is no call."""

    def test_unknownPaths(self) -> None:
        """
        A path without a call is 404, also when only a slash is too many.
        """
        for path in ("/", "/v1", "/v1/nothing", "/v1/status/", "/v2/status"):
            self.assertEqual(self.refused("GET", path)[0], 404, path)

    def test_wrongMethod(self) -> None:
        """
        The methods that a call has are named.
        """
        self.assertEqual(
            self.refused("POST", "/v1/status"), (405, "/v1/status", "want GET, not POST")
        )

    def test_guardIsBefore(self) -> None:
        """
        A request for another host never reaches the resource.
        """
        response = self.successResultOf(self.treq.get("http://evil.example/v1/status"))
        self.assertEqual((response.code, self.node.asked), (421, []))


def _private_key() -> str:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )

    key = generate_private_key(SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

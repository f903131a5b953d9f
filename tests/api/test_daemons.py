"""Tests of `hostedge.api.daemons`, over treq's in-memory network."""

from __future__ import annotations

from typing import Any

from hostedge.api.daemons import LOOK, PATIENCE
from hostedge.errors import ConfigError
from tests.api.node import SITE
from tests.api.test_app import ApiTestCase

ROW: dict[str, Any] = {"app": "demo/hello", "state": "READY", "generation": 3, "pid": 9}


class Calls(ApiTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.apply(SITE)
        self.node.asked.clear()


class OneAppTests(Calls):
    """`GET /v1/apps/ACCOUNT/APP` and its journey."""

    def test_known(self) -> None:
        """
        What the keeper knows, and the start that failed.
        """
        self.node.apps = [ROW]
        self.node.journeys = {"demo/hello": {"reason": "it died"}}
        status, answer = self.call("GET", "/v1/apps/demo/hello")
        self.assertEqual((status, answer), (200, {"app": ROW, "journey": {"reason": "it died"}}))
        status, answer = self.call("GET", "/v1/apps/demo/hello/journey")
        self.assertEqual((status, answer), (200, {"reason": "it died"}))

    def test_cold(self) -> None:
        """
        One that was not asked for is cold, and no start of it has failed.
        """
        _, answer = self.call("GET", "/v1/apps/demo/hello")
        self.assertEqual((answer["app"]["state"], answer["journey"]), ("COLD", None))
        self.assertIn("first request", answer["app"]["reason"])
        switched = [{**app, "enabled": False} for app in SITE["apps"]]
        self.apply({**SITE, "apps": switched})
        _, answer = self.call("GET", "/v1/apps/demo/hello")
        self.assertIn("switched off", answer["app"]["reason"])
        status, where, problem = self.refused("GET", "/v1/apps/demo/hello/journey")
        self.assertEqual((status, where), (404, "demo/hello"))
        self.assertIn("no start of it has failed", problem)

    def test_notThere(self) -> None:
        """
        An app that is not in the store is not there.
        """
        for path in ("/v1/apps/demo/no", "/v1/apps/no/hello", "/v1/apps/demo/no/journey"):
            self.assertEqual(self.refused("GET", path)[0], 404, path)

    def test_noKeeper(self) -> None:
        """
        Without a keeper nothing is known.
        """
        self.node.error = ConfigError("keeper", "does not answer now")
        self.assertEqual(self.refused("GET", "/v1/apps/demo/hello")[0], 503)


class EventsTests(Calls):
    """`GET /v1/events`."""

    def setUp(self) -> None:
        super().setUp()
        self.node.happened = [
            {"number": number, "time": 100.0 * number, "app": "demo/hello", "event": "queued"}
            for number in (1, 2, 3)
        ]

    def asked(self) -> Any:
        return self.node.asked[-1][1:]

    def test_last(self) -> None:
        """
        Without a word the last ones, or so many; and where to go on.
        """
        _, answer = self.call("GET", "/v1/events?app=demo/")
        self.assertEqual((len(answer["events"]), answer["next"]), (3, 3))
        self.assertEqual(self.asked(), (-50, "demo/", False))
        self.call("GET", "/v1/events?last=7")
        self.assertEqual(self.asked(), (-7, "", False))
        _, answer = self.call("GET", "/v1/events?last=0")
        self.assertEqual((answer["events"], answer["next"]), ([], 3))

    def test_after(self) -> None:
        """
        Who follows asks for what comes after a number; where nothing came it stays the same.
        """
        _, answer = self.call("GET", "/v1/events?after=2&wait=1&app=demo/hello")
        self.assertEqual(self.asked(), (2, "demo/hello", True))
        self.assertEqual([each["number"] for each in answer["events"]], [3])
        _, answer = self.call("GET", "/v1/events?after=3")
        self.assertEqual((answer["events"], answer["next"]), ([], 3))

    def test_since(self) -> None:
        """
        All since a time, however many messages they take.
        """
        _, answer = self.call("GET", "/v1/events?since=1970-01-01T00:03:00Z")
        self.assertEqual([each["number"] for each in answer["events"]], [2, 3])
        self.assertEqual([each[1] for each in self.node.asked], [0, 3])
        _, answer = self.call("GET", "/v1/events?since=1980-01-01")
        self.assertEqual((answer["events"], answer["next"]), ([], 3))

    def test_wrong(self) -> None:
        """
        What is no number and no time is refused.
        """
        for words in ("after=x", "after=-3", "last=100000", "since=yesterday", "after=1&after=2"):
            self.assertEqual(self.refused("GET", f"/v1/events?{words}")[0], 400, words)


class LogTests(Calls):
    """`GET /v1/apps/ACCOUNT/APP/log`."""

    def setUp(self) -> None:
        super().setUp()
        self.log = self.folder / "log/apps/demo/hello.log"
        self.log.parent.mkdir(parents=True)

    def read(self, words: str = "") -> Any:
        status, answer = self.call("GET", f"/v1/apps/demo/hello/log?{words}")
        self.assertEqual(status, 200, answer)
        return answer

    def test_lastLines(self) -> None:
        """
        So many lines, the last one also when it has not ended.
        """
        self.log.write_text("one\ntwo\nthree\nfou")
        self.assertEqual(self.read("lines=2")["lines"], ["three", "fou"])
        self.assertEqual(self.read("lines=0")["lines"], [])
        self.assertEqual(len(self.read()["lines"]), 4)

    def test_follow(self) -> None:
        """
        Who follows gets whole lines, each once, as soon as they are there.
        """
        self.log.write_text("one\ntw")
        answer = self.read("wait=1")
        self.assertEqual(answer["lines"], ["one"])
        following = self.start("GET", f"/v1/apps/demo/hello/log?after={answer['next']}&wait=1")
        self.clock.advance(LOOK)
        self.assertNoResult(following)
        with self.log.open("a") as log:
            log.write("o\nthree\n")
        self.clock.advance(LOOK)
        self.treq.flush()
        response = self.successResultOf(following)
        self.treq.flush()
        told = self.successResultOf(response.json())
        self.assertEqual((told["lines"], told["cut"]), (["two", "three"], False))
        self.assertEqual(self.read(f"after={told['next']}")["lines"], [])

    def test_patience(self) -> None:
        """
        Where nothing is said the answer is empty after a while, and nothing waits any more.
        """
        self.log.write_text("one\n")
        mark = self.read()["next"]
        following = self.start("GET", f"/v1/apps/demo/hello/log?after={mark}&wait=1")
        self.clock.pump([LOOK] * (round(PATIENCE / LOOK) + 2))
        self.treq.flush()
        response = self.successResultOf(following)
        self.treq.flush()
        told = self.successResultOf(response.json())
        self.assertEqual(told, {"lines": [], "next": mark, "cut": False})
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_notYet(self) -> None:
        """
        An app that was never started has said nothing; its first lines come to who follows.
        """
        answer = self.read()
        self.assertEqual(answer["lines"], [])
        self.log.write_text("one\n")
        answer = self.read(f"after={answer['next']}")
        self.assertEqual((answer["lines"], answer["cut"]), (["one"], False))

    def test_refused(self) -> None:
        """
        No other file is read: neither through a name nor through a link.
        """
        (self.folder / "log/edge.log").write_text("ours\n")
        for path in ("/v1/apps/../edge/log", "/v1/apps/%2e%2e/edge/log", "/v1/apps/demo/no/log"):
            self.assertEqual(self.call("GET", path)[0], 404, path)
        self.log.symlink_to(self.folder / "log/edge.log")
        self.assertEqual(self.refused("GET", "/v1/apps/demo/hello/log")[0], 409)
        for words in ("lines=x", "lines=99999", "after=x", "after=1.x"):
            status, _, _ = self.refused("GET", f"/v1/apps/demo/hello/log?{words}")
            self.assertEqual(status, 400, words)


class SuspendTests(Calls):
    """`POST /v1/accounts/ACCOUNT/suspend` and `resume`."""

    def test_both(self) -> None:
        """
        One call each: a change with who made it, live when it is answered, and what has run.
        """
        at_rest = [{"app": "demo/x", "state": state} for state in ("COLD", "FAILED", "DISABLED")]
        self.node.apps = [ROW, *at_rest, {"app": "d/x", "state": "READY"}]
        status, answer = self.call("POST", "/v1/accounts/demo/suspend")
        self.assertEqual((status, answer["suspended"]), (200, True))
        self.assertEqual([each["app"] for each in answer["stopped"]], ["demo/hello"])
        self.assertEqual(answer["changes"], [{"key": "account/demo", "what": "changed"}])
        self.assertEqual(self.node.asked[-1], ("announce", answer["revision"]))
        site = next(self.store.export("demo"))
        self.assertTrue(site.account.suspended)
        self.assertEqual([app.name for app in site.apps], ["hello"])
        status, again = self.call("POST", "/v1/accounts/demo/suspend")
        self.assertEqual((again["changes"], again["revision"]), ([], answer["revision"]))
        status, answer = self.call("POST", "/v1/accounts/demo/resume")
        self.assertEqual((status, answer["suspended"], answer["stopped"]), (200, False, []))
        self.assertFalse(next(self.store.export("demo")).account.suspended)

    def test_withoutKeeper(self) -> None:
        """
        It is suspended although nobody can say what runs.
        """
        self.node.error = ConfigError("keeper", "does not answer now")
        status, answer = self.call("POST", "/v1/accounts/demo/suspend")
        self.assertEqual((status, answer["stopped"]), (200, None))

    def test_nobody(self) -> None:
        """
        An account that is not there cannot be suspended.
        """
        self.assertEqual(self.refused("POST", "/v1/accounts/no/suspend")[0], 404)

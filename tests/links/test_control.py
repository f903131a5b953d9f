"""
Tests for `hostedge.links.control`, with real peers of the other roles over memory.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.test.iosim import IOPump, connectedServerAndClient
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import ConfigError
from hostedge.ipc import (
    Backends,
    Certify,
    Changed,
    Daemon,
    Daemons,
    Edges,
    Evaluate,
    Events,
    Explain,
    Hello,
    Refused,
    Replace,
    Report,
    Restart,
    Sites,
)
from hostedge.links.control import (
    EVALUATION,
    LOOK,
    MAX_SOURCE,
    PATIENCE,
    ControlLinks,
    EdgePeer,
)
from hostedge.net.link import LinkPeer, hello
from hostedge.observe.page import page_of
from hostedge.observe.refused import KEPT, Refusals
from hostedge.observe.sites import Sites as ActiveSites
from hostedge.settings import Settings
from hostedge.supervise.events import Events as History


class EdgeEnd(LinkPeer):
    """An edge that can be made to hang."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []
        self.hung: list[Deferred[dict[str, Any]]] | None = None
        self.ring = Refusals(lambda: 5.0)
        self.active = ActiveSites(lambda: 0.0)

    @Changed.responder
    def changed(self, revision: int) -> Any:
        self.seen.append(revision)
        if self.hung is None:
            return {}
        self.hung.append(Deferred())
        return self.hung[-1]

    @Report.responder
    def report(self) -> dict[str, Any]:
        return {"report": json.dumps({"in_flight": 3}).encode()}

    @Refused.responder
    def refused(self, before: int, cause: str, site: str, id: str) -> dict[str, Any]:
        return {"refused": self.ring.page(before, cause, site, id)}

    @Sites.responder
    def sites_after(self, after: int) -> dict[str, Any]:
        return {"sites": self.active.page(after, {})}

    @Backends.responder
    def backends_after(self, after: int) -> dict[str, Any]:
        told = ({"number": number, "backend": "x" * 200} for number in range(after + 1, 1001))
        return {"backends": page_of(told)}

    @Evaluate.responder
    def evaluate(self, source: str) -> Any:
        answer = {"printed": f"{source}!", "failed": source == "1/0"}
        if self.hung is None:
            return answer
        self.hung.append(Deferred())
        return self.hung[-1].addCallback(lambda _: answer)

    @Explain.responder
    def explain(self, url: str, method: str, at: int) -> dict[str, Any]:
        steps = [
            {"step": "host", "answer": url, "reason": f"at {at}"},
            {"step": "daemon", "answer": "a/x", "reason": ""},
            {"step": "daemon", "answer": "a/y", "reason": ""},
        ]
        return {"steps": json.dumps(steps).encode()}


class KeeperEnd(LinkPeer):
    """A keeper that says which edges live and notes which it has to replace."""

    def __init__(self, test: ControlLinksTests) -> None:
        super().__init__()
        self.test = test

    @Hello.responder
    def hello(self, **_: Any) -> dict[str, Any]:
        return {"revision": 0}

    @Changed.responder
    def changed(self, revision: int) -> dict[str, Any]:
        self.test.keeper_saw.append(revision)
        return {}

    @Edges.responder
    def edges(self) -> dict[str, Any]:
        return {
            "edges": [{"index": n, "pid": p, "age": 1.0} for n, p in enumerate(self.test.living)]
        }

    @Replace.responder
    def replace(self, pid: int) -> dict[str, Any]:
        self.test.replaced.append(pid)
        self.test.living.remove(pid)
        return {}

    @Events.responder
    def events(self, after: int, app: str, wait: bool) -> dict[str, Any]:
        return {"events": self.test.happened.page(after, app)}

    @Daemons.responder
    def daemons(self, after: str) -> dict[str, Any]:
        following = {"": [{"app": "a/x"}], "a/x": [{"app": "b/y"}], "b/y": []}
        return {"apps": json.dumps(following[after]).encode()}

    @Daemon.responder
    def daemon(self, app: str) -> dict[str, Any]:
        known = {
            "state": "BACKOFF",
            "since": 61.2,
            "generation": 3,
            "pid": 77,
            "reason": "exit status 1",
        }
        return {"app": json.dumps(known if app == "a/x" else None).encode()}

    @Restart.responder
    def restart(self, app: str) -> dict[str, Any]:
        return {"refusal": f"no {app}"}


class ControlLinksTests(SynchronousTestCase):
    """Who has to know of a change, and who is replaced."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.head = 4
        self.living: list[int] = []
        self.replaced: list[int] = []
        self.keeper_saw: list[int] = []
        self.happened = History(self.clock, lambda app, line: None)
        self.pumps: list[IOPump] = []
        nowhere = Settings(file=Path("x"), state=Path("/nowhere"), homes=Path("/"), name="n1")
        self.links = ControlLinks(
            self.clock, nowhere, lambda: self.head, lambda name: succeed(f"not {name}")
        )

    def connect(self, server: Any, client: Any) -> tuple[Any, Any]:
        at_client, at_server, pump = connectedServerAndClient(server, client)
        self.pumps.append(pump)
        pump.flush()
        return at_client, at_server

    def link_keeper(self) -> None:
        def control_end() -> LinkPeer:
            peer = LinkPeer()
            peer.link = self.links.keeper
            return peer

        self.connect(lambda: KeeperEnd(self), control_end)

    def link_edge(self, pid: int, revision: int = 4) -> EdgeEnd:
        """An edge that lives, links and says hello."""
        if pid not in self.living:
            self.living.append(pid)
        end: EdgeEnd = self.connect(lambda: self.links.make_peer(pid), EdgeEnd)[0]
        arguments = {**hello("edge", self.living.index(pid), revision), "pid": pid}
        end.callRemote(Hello, **arguments)
        self.flush()
        return end

    def flush(self) -> None:
        while any([pump.pump() for pump in self.pumps]):
            pass

    def run_(self, coroutine: Any) -> Deferred[Any]:
        running = Deferred.fromCoroutine(coroutine)
        self.flush()
        return running

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / LOOK)):
            self.clock.advance(LOOK)
            self.flush()

    def test_liveWhenAllHaveAnswered(self) -> None:
        """
        A change counts when every living edge and the keeper have taken it in.
        """
        self.link_keeper()
        first, second = self.link_edge(10), self.link_edge(11)
        second.hung = []
        announced = self.run_(self.links.announce(5))
        self.assertNoResult(announced)
        self.assertEqual((first.seen[-1], second.seen[-1]), (5, 5))
        second.hung[0].callback({})
        self.flush()
        self.successResultOf(announced)
        self.assertEqual((self.keeper_saw[-1], self.replaced), (5, []))

    def test_hungEdgeIsReplaced(self) -> None:
        """
        An edge that does not answer in time is ended before the call returns.
        """
        self.link_keeper()
        self.link_edge(10)
        self.link_edge(11).hung = []
        announced = self.run_(self.links.announce(5))
        self.pass_time(PATIENCE / 2)
        self.assertNoResult(announced)
        self.pass_time(PATIENCE)
        self.successResultOf(announced)
        self.assertEqual(self.replaced, [11])

    def test_edgeThatIsNotLinkedYet(self) -> None:
        """
        An edge forked a moment ago is waited for: it may have loaded what has just changed.
        """
        self.link_keeper()
        self.link_edge(10)
        self.living.append(12)
        announced = self.run_(self.links.announce(5))
        self.pass_time(LOOK)
        self.assertNoResult(announced)
        self.head = 5
        late = self.link_edge(12)
        self.pass_time(LOOK)
        self.successResultOf(announced)
        self.assertEqual((late.seen, self.replaced), ([5], []))

    def test_edgeThatHasDied(self) -> None:
        """
        A dead edge is not waited for.
        """
        self.link_keeper()
        end = self.link_edge(10)
        end.hung = []
        announced = self.run_(self.links.announce(5))
        self.living.clear()
        end.transport.loseConnection()
        self.pass_time(LOOK)
        self.successResultOf(announced)

    def test_withoutKeeper(self) -> None:
        """
        While there is no keeper the linked edges decide.
        """
        end = self.link_edge(10)
        announced = self.run_(self.links.announce(5))
        self.successResultOf(announced)
        self.assertEqual(end.seen[-1], 5)

    def test_status(self) -> None:
        """
        Status names every living edge, linked or not, with what it says of itself.
        """
        self.link_keeper()
        self.link_edge(10)
        self.living.append(12)
        status = self.successResultOf(self.run_(self.links.status()))
        self.assertEqual((status["name"], status["revision"], status["keeper"]), ("n1", 4, True))
        linked, other = status["edges"]
        self.assertEqual((linked["pid"], linked["linked"], linked["in_flight"]), (10, True, 3))
        self.assertEqual((other["pid"], other["linked"]), (12, False))

    def test_refused(self) -> None:
        """
        What the edges have refused comes in pieces that a message can hold, the newest first;
        no more than the node keeps.
        """
        self.link_keeper()
        client = SimpleNamespace(client="::1", client_port=1, local_port=2, protocol="HTTP/1.1")
        for pid, count in ((10, 40), (11, KEPT)):
            edge = self.link_edge(pid)
            edge.ring = Refusals(lambda pid=pid: float(pid))  # type: ignore[misc]
            for number in range(count):
                # escaped, each is larger than an eighth of a message
                edge.ring.keep("loop", client, b"http", f"{pid}-{number}", b"\0" * 5000)
        found = self.successResultOf(self.run_(self.links.refused("", "", "")))
        self.assertEqual([each["id"] for each in found], [f"11-{n}" for n in reversed(range(KEPT))])
        found = self.successResultOf(self.run_(self.links.refused("loop", "", "10-7")))
        self.assertEqual([(each["id"], each["number"]) for each in found], [("10-7", 8)])
        found = self.successResultOf(self.run_(self.links.refused("bad_host", "", "")))
        self.assertEqual(found, [])

    def test_sites(self) -> None:
        """
        What active sites do comes edge by edge, in pieces that a message can hold.
        """
        self.link_keeper()
        names = {10: [f"{number}." + "x" * 200 for number in range(500)], 11: ["0.a.test"]}
        for pid, active in names.items():
            edge = self.link_edge(pid)
            for name in active:
                edge.active.add(name).begun += 1
        edges = self.successResultOf(self.run_(self.links.sites()))
        self.assertEqual({e["pid"]: [s["site"] for s in e["sites"]] for e in edges}, names)

    def test_backends(self) -> None:
        """What has gone to back ends comes like that as well."""
        self.link_keeper()
        self.link_edge(10)
        (edge,) = self.successResultOf(self.run_(self.links.backends()))
        self.assertEqual([each["number"] for each in edge["backends"]], [*range(1, 1001)])

    def test_keeperAnswers(self) -> None:
        """
        Daemons come piece by piece; a restart is passed on.
        """
        self.link_keeper()
        daemons = self.successResultOf(self.run_(self.links.daemons()))
        self.assertEqual([each["app"] for each in daemons], ["a/x", "b/y"])
        self.assertEqual(self.successResultOf(self.run_(self.links.restart("a/x"))), "no a/x")

    def test_nobodyToAsk(self) -> None:
        """
        Without a keeper or an edge the operator is told which one is missing.
        """
        failure = self.failureResultOf(self.run_(self.links.daemons()), ConfigError)
        self.assertIn("keeper: does not answer", str(failure.value))
        failure = self.failureResultOf(self.run_(self.links.explain("/", "GET")), ConfigError)
        self.assertIn("no edge has answered", str(failure.value))

    def test_lastEvents(self) -> None:
        """
        The last ones, also if a message does not hold as many; after a number as it holds.
        """
        self.link_keeper()
        for number in range(900):
            self.happened.tell("queued", f"a/x{number}", reason="y" * 150)

        def asked(after: int) -> list[str]:
            events = self.successResultOf(self.run_(self.links.events(after, "", False)))
            return [each["app"] for each in events]

        self.assertEqual(asked(-800), [f"a/x{number}" for number in range(100, 900)])
        self.assertEqual(asked(-3), ["a/x897", "a/x898", "a/x899"])
        self.assertEqual(len(asked(-1000)), 900)
        self.assertLess(len(asked(1)), 500)

    def test_explain(self) -> None:
        """
        An edge explains; control passes its words on.
        """
        self.link_edge(10)
        steps = self.successResultOf(self.run_(self.links.explain("http://a/", "GET")))
        self.assertEqual(steps[0], {"step": "host", "answer": "http://a/", "reason": "at 0"})
        self.assertEqual(
            [(step["answer"], step["reason"]) for step in steps[1:]],
            [(name, "the keeper does not answer; what runs goes on") for name in ("a/x", "a/y")],
        )

    def test_explainDaemon(self) -> None:
        """
        What only the keeper knows of an app is added to the edge's words.
        """
        self.link_keeper()
        self.link_edge(10)
        steps = self.successResultOf(self.run_(self.links.explain("http://a/", "GET")))
        self.assertEqual(
            [(step["answer"], step["reason"]) for step in steps[1:]],
            [
                ("a/x: BACKOFF", "for 61 s, generation 3, pid 77, exit status 1"),
                ("a/y: COLD", "it does not run; a request that gets to it starts it"),
            ],
        )

    def test_explainThePast(self) -> None:
        """
        Which revision is meant reaches the edge; what the keeper knows is told to be of now.
        """
        self.link_keeper()
        self.link_edge(10)
        steps = self.successResultOf(self.run_(self.links.explain("http://a/", "GET", 7)))
        self.assertEqual(
            [(step["answer"], step["reason"]) for step in steps],
            [
                ("http://a/", "at 7"),
                ("a/x: BACKOFF", "now: for 61 s, generation 3, pid 77, exit status 1"),
                ("a/y: COLD", "now: it does not run, if there is such an app now"),
            ],
        )

    def evaluated(self, index: int, source: str) -> Deferred[tuple[str, bool]]:
        return self.run_(self.links.evaluate(index, source))

    def refusal(self, asked: Deferred[Any]) -> str:
        return str(self.failureResultOf(asked, ConfigError).value)

    def test_evaluate(self) -> None:
        """
        What is typed for an edge goes to that one; its text comes back, and whether it failed.
        """
        self.link_edge(10)
        self.link_edge(11)
        self.assertEqual(self.successResultOf(self.evaluated(1, "1 + 1")), ("1 + 1!", False))
        self.assertEqual(self.successResultOf(self.evaluated(1, "1/0")), ("1/0!", True))
        self.assertEqual(
            self.refusal(self.evaluated(7, "1")), "edge 7: is not linked; linked: 0, 1"
        )
        long = self.refusal(self.evaluated(0, "\u20ac" * (MAX_SOURCE // 3 + 1)))
        self.assertEqual(long, f"edge 0: want at most {MAX_SOURCE} bytes of source")

    def test_evaluateNewest(self) -> None:
        """
        While an edge is being replaced, the one that takes its place is asked.
        """
        draining = self.link_edge(10)
        draining.hung = []
        arguments = {**hello("edge", 0, 4), "pid": 12}
        end: EdgeEnd = self.connect(lambda: self.links.make_peer(12), EdgeEnd)[0]
        end.callRemote(Hello, **arguments)
        self.flush()
        self.assertEqual(self.successResultOf(self.evaluated(0, "x")), ("x!", False))

    def test_evaluateGivesUp(self) -> None:
        """
        An edge that hangs, or ends, while it is asked is a sentence.
        """
        end = self.link_edge(10)
        end.hung = []
        asked = self.evaluated(0, "while True: pass")
        self.pass_time(EVALUATION - 1)
        self.assertNoResult(asked)
        self.pass_time(2)
        self.assertIn("edge 0: has not answered in 10 s", self.refusal(asked))
        asked = self.evaluated(0, "x")
        end.transport.loseConnection()
        self.flush()
        self.assertIn("edge 0: ended before it answered", self.refusal(asked))

    def test_certify(self) -> None:
        """
        An edge's question for a certificate is answered with why not.
        """
        edge, _ = self.connect(lambda: EdgePeer(self.links, 9), LinkPeer)
        asked = edge.callRemote(Certify, name="x.example")
        self.flush()
        self.assertEqual(self.successResultOf(asked), {"refusal": "not x.example"})

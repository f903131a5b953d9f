"""
Control's side of the links: a change is live on every edge before an API call returns.

In:  the API calls `announce`, `status`, `explain`…, the manhole `evaluate`; edges ask for
     certificates.
Out: `Changed` to every edge and the keeper; an edge that does not answer is replaced.

    <- Hello revision / revision        an edge; it counts as live once it is
    -> Changed revision                 sent at once after its Hello, and at every change
    <- Certify name / refusal
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.protocols.amp import Command
from twisted.python.failure import Failure

from hostedge.errors import ConfigError
from hostedge.ipc import (
    Backends,
    Certify,
    Changed,
    Daemon,
    DaemonCounts,
    Daemons,
    Edges,
    Evaluate,
    Events,
    Explain,
    Hello,
    Journey,
    Refused,
    Replace,
    Report,
    Restart,
    Sites,
    Upgrade,
)
from hostedge.net.link import LOST, LinkClient, LinkPeer, Silent, forget, hello
from hostedge.observe.refused import KEPT
from hostedge.settings import Settings

PATIENCE = 2.0  # seconds that an edge has to take in a change before it is replaced
LOOK = 0.02  # seconds between two looks at who has answered
EVENTS = 20.0  # seconds that the keeper waits for something to happen
EVALUATION = 10.0  # seconds that an operator waits for what was typed for an edge
MAX_SOURCE = 60_000  # bytes of it: a value of AMP has 64 KiB


class EdgePeer(LinkPeer):
    """What control answers to one edge, and how far that edge has come."""

    def __init__(self, links: ControlLinks, pid: int) -> None:
        super().__init__()
        self._links = links
        self.pid = pid
        self.index = -1
        self.revision = -1

    @Hello.responder
    def hello(
        self, pid: int, started: int, role: str, index: int, revision: int, version: str = ""
    ) -> dict[str, int]:
        self.index = index
        # the pid as the kernel knows it decides; the answer goes out before the catching up
        self._links.edge_came(self)
        return {"revision": self._links.head()}

    @Certify.responder
    def certify(self, name: str) -> Deferred[dict[str, str]]:
        return self._links.certify(name).addCallback(lambda refusal: {"refusal": refusal})

    def tell(self, revision: int) -> Deferred[None]:
        """Have the edge take in a revision; it is live there when this fires without a failure."""

        def told(_: object) -> None:
            self.revision = max(self.revision, revision)

        asked: Deferred[Any] = self.callRemote(Changed, revision=revision)
        return asked.addCallback(told)

    def connectionLost(self, reason: Failure = LinkPeer.ENDED) -> None:
        super().connectionLost(reason)
        self._links.edge_gone(self)


class ControlLinks:
    """All that control says to the other roles, as the API needs it."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        head: Callable[[], int],
        certify: Callable[[str], Deferred[str]],
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self.head = head
        self.certify = certify
        self._edges: dict[int, EdgePeer] = {}
        self.keeper = LinkClient(
            reactor, settings.keeper_socket, LinkPeer, self._keeper_came, lambda: None
        )

    def make_peer(self, pid: int) -> EdgePeer:
        return EdgePeer(self, pid)

    def edge_came(self, peer: EdgePeer) -> None:
        self._edges[peer.pid] = peer
        peer.tell(self.head()).addErrback(forget)

    def edge_gone(self, peer: EdgePeer) -> None:
        if self._edges.get(peer.pid) is peer:
            del self._edges[peer.pid]

    def _keeper_came(self) -> None:
        self.keeper.call(Hello, **hello("control", 0, self.head())).addErrback(forget)
        # a change whose announcement the keeper's absence has swallowed
        self.keeper.call(Changed, revision=self.head()).addErrback(forget)

    async def living(self) -> list[dict[str, Any]]:
        """
        The edges that live, as the keeper says; without a keeper, those that are linked.
        """
        try:
            answer = await self._ask(self.keeper.call(Edges))
        except LOST:
            return [{"index": p.index, "pid": p.pid, "age": 0.0} for p in self._edges.values()]
        edges: list[dict[str, Any]] = answer["edges"]
        return edges

    def _ask(self, asked: Deferred[Any]) -> Deferred[Any]:
        return asked.addTimeout(PATIENCE, self._reactor)

    async def announce(self, revision: int) -> None:
        """
        Return when every living edge and the keeper have taken in this revision.

        An edge that has not within `PATIENCE` is ended, so that it cannot serve what was.
        """
        deadline = self._reactor.seconds() + PATIENCE
        told = [peer.tell(revision) for peer in self._edges.values()]
        told.append(self.keeper.call(Changed, revision=revision))
        await DeferredList([self._ask(each).addErrback(forget) for each in told])
        while late := [
            each["pid"] for each in await self.living() if self._is_behind(each, revision)
        ]:
            if self._reactor.seconds() >= deadline:
                await DeferredList([self._replace(pid) for pid in late])
                return
            # forked a moment ago, or linking again
            await deferLater(self._reactor, LOOK)

    def _is_behind(self, edge: dict[str, Any], revision: int) -> bool:
        peer = self._edges.get(edge["pid"])
        return peer is None or peer.revision < revision

    def _replace(self, pid: int) -> Deferred[Any]:
        self.log.warn("edge {pid} did not take in a change and is replaced", pid=pid)
        asked = self._ask(self.keeper.call(Replace, pid=pid))
        return asked.addErrback(self._end_alone, pid).addErrback(forget)

    def _end_alone(self, failure: Failure, pid: int) -> None:
        """Without a keeper nobody else ends an edge that serves what was."""
        failure.trap(*LOST)
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    async def status(self) -> dict[str, Any]:
        """What every role says of itself."""
        # all at once: each one that hangs would take its 2 seconds
        asked = {
            pid: self._ask(peer.callRemote(Report)).addErrback(forget)
            for pid, peer in self._edges.items()
        }
        reports = []
        for edge in await self.living():
            report: dict[str, Any] = {"linked": edge["pid"] in asked}
            if report["linked"]:
                answer = await asked[edge["pid"]]
                report |= json.loads(answer["report"]) if answer else {}
            reports.append({**edge, **report})
        return {
            "name": self._settings.name,
            "revision": self.head(),
            "keeper": self.keeper.connected,
            "edges": reports,
        }

    async def refused(self, cause: str, site: str, id: str) -> list[dict[str, Any]]:
        """
        The last requests that any edge has refused, the newest first, each with the edge's index;
        an empty word asks for nothing.
        """
        wanted = {"cause": cause, "site": site, "id": id}
        asking = [
            Deferred.fromCoroutine(self._refused_by(peer, wanted)) for peer in self._edges.values()
        ]
        every = [each for answer in asking for each in await answer]
        every.sort(key=lambda each: -each["time"])
        return every[:KEPT]

    async def _refused_by(self, peer: EdgePeer, wanted: dict[str, str]) -> list[dict[str, Any]]:
        refused: list[dict[str, Any]] = []
        while True:
            before = refused[-1]["number"] if refused else 0
            asked = self._ask(peer.callRemote(Refused, before=before, **wanted))
            answer = await asked.addErrback(forget)
            page = json.loads(answer["refused"]) if answer else []
            if not page:
                return refused
            refused += [{**each, "edge": peer.index} for each in page]

    async def sites(self) -> list[dict[str, Any]]:
        """What each edge's active sites do; an edge that does not answer is not there."""
        return await self._lists(Sites, "sites")

    async def backends(self) -> list[dict[str, Any]]:
        """What has gone to each edge's apps and pools; one that does not answer is not there."""
        return await self._lists(Backends, "backends")

    async def _lists(self, command: type[Command], word: str) -> list[dict[str, Any]]:
        """What every edge has a list of, which comes in pages."""
        peers = list(self._edges.values())
        asking = [Deferred.fromCoroutine(self._listed(peer, command, word)) for peer in peers]
        return [
            {"index": peer.index, "pid": peer.pid, word: await answer}
            for peer, answer in zip(peers, asking, strict=True)
        ]

    async def _listed(
        self, peer: EdgePeer, command: type[Command], word: str
    ) -> list[dict[str, Any]]:
        listed: list[dict[str, Any]] = []
        while True:
            after = listed[-1]["number"] if listed else 0
            answer = await self._ask(peer.callRemote(command, after=after)).addErrback(forget)
            page = json.loads(answer[word]) if answer else []
            if not page:
                return listed
            listed += page

    async def daemons(self) -> list[dict[str, Any]]:
        """
        Every app that the keeper knows of.

        Raises:
            ConfigError: the keeper does not answer.
        """
        apps: list[dict[str, Any]] = []
        while True:
            answer = await self._ask_keeper(Daemons, after=apps[-1]["app"] if apps else "")
            piece = json.loads(answer["apps"])
            if not piece:
                return apps
            apps += piece

    async def daemon(self, app: str) -> dict[str, Any] | None:
        """
        One of them; None: the keeper does not know it.

        Raises:
            ConfigError: the keeper does not answer.
        """
        answer = await self._ask_keeper(Daemon, app=app)
        daemon: dict[str, Any] | None = json.loads(answer["app"])
        return daemon

    async def journey(self, app: str) -> dict[str, Any] | None:
        """
        The last start of an app that failed.

        Raises:
            ConfigError: the keeper does not answer.
        """
        answer = await self._ask_keeper(Journey, app=app)
        journey: dict[str, Any] | None = json.loads(answer["journey"])
        return journey

    async def events(self, after: int, app: str, wait: bool) -> list[dict[str, Any]]:
        """
        What has happened after a number, as many as a message holds, with `wait` as soon as there
        is something; below 0 all of the last so many.

        Raises:
            ConfigError: the keeper does not answer, or has ended meanwhile.
        """
        patience = EVENTS + PATIENCE if wait else PATIENCE
        events: list[dict[str, Any]] = []
        seen = after
        while True:
            answer = await self._ask_keeper(Events, patience, after=seen, app=app, wait=wait)
            found = json.loads(answer["events"])
            events += found
            if not found or len(events) >= -after:
                # meanwhile there may have come more
                return events[min(after, 0) :]
            seen = events[-1]["number"]

    async def daemon_counts(self) -> dict[str, Any]:
        """
        What the keeper counts of apps.

        Raises:
            ConfigError: it does not answer.
        """
        counts: dict[str, Any] = json.loads((await self._ask_keeper(DaemonCounts))["counts"])
        return counts

    async def restart(self, app: str) -> str:
        """Empty, or why the app cannot be restarted."""
        answer = await self._ask_keeper(Restart, app=app)
        return str(answer["refusal"])

    async def upgrade(self) -> str:
        """Begin an upgrade of the node; empty, or why not."""
        answer = await self._ask_keeper(Upgrade)
        return str(answer["refusal"])

    def upgraded(self) -> dict[str, Any] | None:
        """How far the last upgrade has come; None: there was none since the node began."""
        try:
            record: dict[str, Any] = json.loads(self._settings.upgrade_record.read_text())
        except (OSError, ValueError):
            return None
        return record

    async def _ask_keeper(
        self, command: Any, patience: float = PATIENCE, **arguments: object
    ) -> Any:
        asked = self.keeper.call(command, **arguments)
        try:
            return await asked.addTimeout(patience, self._reactor)
        except LOST:
            raise ConfigError("keeper", "does not answer now; it is being restarted") from None

    async def explain(self, url: str, method: str, at: int = 0) -> list[dict[str, Any]]:
        """
        What an edge would do with a request for this URL, or would have done at a revision.

        Raises:
            ConfigError: no edge is linked.
        """
        for peer in list(self._edges.values()):
            asked = self._ask(peer.callRemote(Explain, url=url, method=method, at=at))
            answer = await asked.addErrback(forget)
            if answer is not None:
                steps: list[dict[str, Any]] = json.loads(answer["steps"])
                return [await self._completed(step, at) for step in steps]
        raise ConfigError("explain", "no edge has answered; try again")

    async def evaluate(self, index: int, source: str) -> tuple[str, bool]:
        """
        What an operator's source comes to inside an edge, as text, and whether it failed there.

        Raises:
            ConfigError: there is no such edge, or it has not answered.
        """
        where = f"edge {index}"
        # of two, the one that drains came first
        peers = {peer.index: peer for peer in self._edges.values()}
        if index not in peers:
            there = ", ".join(map(str, sorted(peers))) or "none"
            raise ConfigError(where, f"is not linked; linked: {there}")
        if len(source.encode(errors="replace")) > MAX_SOURCE:
            raise ConfigError(where, f"want at most {MAX_SOURCE} bytes of source")
        asked: Deferred[Any] = peers[index].callRemote(Evaluate, source=source)
        try:
            answer = await asked.addTimeout(EVALUATION, self._reactor)
        except Silent:
            problem = f"has not answered in {EVALUATION:.0f} s; what was typed may go on there"
            raise ConfigError(where, problem) from None
        except LOST:
            raise ConfigError(where, "ended before it answered; another takes its place") from None
        return answer["printed"], answer["failed"]

    async def _completed(self, step: dict[str, Any], at: int) -> dict[str, Any]:
        """A step as it is, but that of a daemon with what the keeper knows of it."""
        if step["step"] != "daemon":
            return step
        name = step["answer"]
        try:
            answer = await self._ask(self.keeper.call(Daemon, app=name))
        except LOST:
            return {**step, "reason": "the keeper does not answer; what runs goes on"}
        daemon = json.loads(answer["app"])
        state, reason = "COLD", "it does not run; a request that gets to it starts it"
        if daemon is not None:
            state, reason = daemon["state"], _described(daemon)
        elif at:
            reason = "it does not run, if there is such an app now"
        return {**step, "answer": f"{name}: {state}", "reason": f"now: {reason}" if at else reason}


def _described(daemon: dict[str, Any]) -> str:
    """What the keeper knows of an app besides its state, in one line."""
    known = [f"for {daemon['since']:.0f} s"]
    if daemon["generation"]:
        known.append(f"generation {daemon['generation']}")
    if daemon["pid"]:
        known.append(f"pid {daemon['pid']}")
    if daemon["reason"]:
        known.append(daemon["reason"])
    return ", ".join(known)

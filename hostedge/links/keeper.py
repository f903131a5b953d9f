"""
The keeper's side of all links.

In:  edges wake apps and tell what they do; control tells what changed; the template links.
Out: calls on `Daemons` and `Family`; probes, moves and retirements to the edges.

    <- Hello                        every role, once a connection; whoever is not of the family goes
    <- Wake      / address          edge; <- Unwake when nobody waits there any more
    -> Expect, Probe, Moved, Quiesce, Retire, Cut, Drain
    <- Changed, Edges, Replace, Daemons, Daemon, Restart    control
    <- Events, Journey, DaemonCounts                        control
    -> InFlight  / requests         edge
    -> Fork      / pid              template
    <- TakeListener                 a new template;  -> TakeListener   when this keeper has none
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, Protocol

from attrs import asdict
from twisted.internet.defer import CancelledError, Deferred, DeferredList, fail, succeed
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.logger import Logger
from twisted.protocols.amp import MAX_VALUE_LENGTH
from twisted.python.failure import Failure

from hostedge.ipc import (
    Activity,
    Changed,
    Cut,
    Daemon,
    DaemonCounts,
    Daemons,
    Drain,
    Edges,
    Events,
    Expect,
    Failed,
    Fork,
    Hello,
    InFlight,
    Journey,
    Moved,
    Probe,
    Quiesce,
    Ready,
    Replace,
    Restart,
    Retire,
    StopProbe,
    TakeListener,
    Unwake,
    Upgrade,
    Use,
    Wake,
    Woken,
)
from hostedge.links import listeners as transfer
from hostedge.net.identity import kill
from hostedge.net.link import LOST, LinkPeer, forget
from hostedge.net.listener import Listener
from hostedge.supervise.family import Family
from hostedge.supervise.inheritance import Relative
from hostedge.supervise.remains import owner_of
from hostedge.supervise.roles import Roles

QUIESCE_PATIENCE = 1.0  # seconds; an edge that says nothing is busy
ONE_USER = Roles()
DAEMONS_PIECE = 25  # half a millisecond each: what it takes is looked for


class AppDaemons(Protocol):
    """The daemon manager: `supervise.daemons.Daemons`."""

    def wake(self, app: str, host: str) -> Deferred[Woken]: ...

    def ready(self, app: str, generation: int) -> None: ...

    def failed(self, app: str, generation: int, cause: str) -> None: ...

    def activity(self, edge: int, apps: list[Use]) -> None: ...

    def edge_came(self) -> None: ...

    def edge_gone(self, edge: int) -> None: ...

    def expected(self, app: str) -> float: ...

    def restart(self, app: str) -> str: ...

    def describe_app(self, app: str) -> dict[str, object] | None: ...

    def describe(self, after: str, limit: int) -> list[dict[str, object]]: ...

    def states(self) -> dict[str, int]: ...


class Told(Protocol):
    """What is known of what has happened: `supervise.chronicle.Chronicle`."""

    def page(self, after: int, app: str) -> bytes: ...

    def next(self, after: int, app: str) -> Deferred[bytes]: ...

    def failed(self, app: str) -> dict[str, Any] | None: ...

    def described(self, daemon: dict[str, Any]) -> dict[str, Any]: ...

    def counts(self) -> dict[str, Any]: ...


class KeeperPeer(LinkPeer):
    """What the keeper answers to one other process, whose pid the kernel has told."""

    def __init__(self, links: KeeperLinks, pid: int) -> None:
        super().__init__()
        self._links = links
        self.pid = pid
        self.role = ""
        self.index = -1
        # who waits there for an app, until it is answered
        self._waking: dict[str, Deferred[Woken]] = {}

    @Hello.responder
    def hello(
        self, pid: int, started: int, role: str, index: int, revision: int, version: str = ""
    ) -> dict[str, int]:
        relative = Relative(role, index, pid, started, version=version)
        # the kernel's word counts, not the peer's
        if pid == self.pid and self._links.came(self, relative):
            self.role, self.index = role, index
            self._links.introduced(self)
        else:
            # if what it says of itself is true: its pid may be another's by now
            kill(self.pid, started)
            if self.transport is not None:
                self.transport.loseConnection()
        return {"revision": revision}

    @Wake.responder
    def wake(self, app: str, host: str) -> Deferred[dict[str, Any]]:
        self._stop_waking(app)
        woken = self._waking[app] = self._links.daemons.wake(app, host)

        def answered(result: Woken | Failure) -> dict[str, Any]:
            if self._waking.get(app) is woken:
                del self._waking[app]
            if isinstance(result, Failure):
                result.trap(CancelledError)
                expected = self._links.daemons.expected(app)
                result = Woken(refusal="start_slow", retry=expected)
            return asdict(result)

        return woken.addBoth(answered)

    @Unwake.responder
    def unwake(self, app: str) -> dict[str, Any]:
        self._stop_waking(app)
        return {}

    def _stop_waking(self, app: str) -> None:
        woken = self._waking.get(app)
        if woken is not None:
            woken.cancel()

    @Ready.responder
    def ready(self, app: str, generation: int) -> dict[str, Any]:
        self._links.daemons.ready(app, generation)
        return {}

    @Failed.responder
    def failed(self, app: str, generation: int, cause: str) -> dict[str, Any]:
        self._links.daemons.failed(app, generation, cause)
        return {}

    @Activity.responder
    def activity(self, apps: list[dict[str, Any]]) -> dict[str, Any]:
        self._links.daemons.activity(self.index, [Use(**use) for use in apps])
        return {}

    @TakeListener.responder
    def take_listener(self, index: int) -> Deferred[dict[str, Any]]:
        return self._links.when_listening().addCallback(transfer.give, index)

    @Changed.responder
    def changed(self, revision: int) -> dict[str, Any]:
        self._links.store_changed(revision)
        return {}

    @Edges.responder
    def edges(self) -> dict[str, Any]:
        names = "index", "pid", "age", "leaving"
        return {"edges": [dict(zip(names, e, strict=True)) for e in self._links.family.edges()]}

    @Replace.responder
    def replace(self, pid: int) -> Deferred[dict[str, Any]]:
        return self._links.family.replace(pid).addCallback(lambda _: {})

    @Daemons.responder
    def describe(self, after: str) -> dict[str, Any]:
        described = self._links.told.described
        apps = [described(each) for each in self._links.daemons.describe(after, DAEMONS_PIECE)]
        while len(text := json.dumps(apps).encode()) > MAX_VALUE_LENGTH:
            # reasons end with what a daemon said last
            apps = apps[: len(apps) // 2]
        return {"apps": text}

    @Daemon.responder
    def describe_app(self, app: str) -> dict[str, Any]:
        known = self._links.daemons.describe_app(app)
        told = None if known is None else self._links.told.described(known)
        return {"app": json.dumps(told).encode()}

    @Events.responder
    def events(self, after: int, app: str, wait: bool) -> Deferred[dict[str, Any]]:
        told = self._links.told
        at_once = after < 0 or not wait
        answer = succeed(told.page(after, app)) if at_once else told.next(after, app)
        return answer.addCallback(lambda page: {"events": page})

    @Journey.responder
    def journey(self, app: str) -> dict[str, Any]:
        return {"journey": json.dumps(self._links.told.failed(app)).encode()}

    @DaemonCounts.responder
    def count(self) -> dict[str, Any]:
        counts = {**self._links.told.counts(), "apps": self._links.daemons.states()}
        return {"counts": json.dumps(counts).encode()}

    @Upgrade.responder
    def upgrade(self) -> dict[str, Any]:
        return {"refusal": self._links.upgrade()}

    @Restart.responder
    def restart(self, app: str) -> dict[str, Any]:
        return {"refusal": self._links.daemons.restart(app)}

    def connectionLost(self, reason: Failure = LinkPeer.ENDED) -> None:
        super().connectionLost(reason)
        for app in list(self._waking):
            self._stop_waking(app)
        self._links.gone(self)


class KeeperLinks:
    """Who is linked; what the daemon manager says to edges goes out here."""

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        store_changed: Callable[[int], None],
        patience: tuple[float, float] = (0.0, 0.0),
        roles: Roles = ONE_USER,
    ) -> None:
        self._reactor = reactor
        self.store_changed = store_changed
        self._roles = roles
        # of an edge that has been followed by another: seconds until it ends, and until its
        # WebSockets are told to go
        self.patience = patience
        self.family: Family
        self.daemons: AppDaemons
        self.told: Told
        self._edges: dict[int, KeeperPeer] = {}
        # by pid; two during an upgrade
        self._templates: dict[int, KeeperPeer] = {}
        self._listeners: tuple[Listener, ...] | None = None
        # when every edge, also one that links later, has to have ended
        self._drain_by: float | None = None
        self._awaiting: list[Deferred[tuple[Listener, ...]]] = []
        self._recovered: Deferred[tuple[Listener, ...]] | None = None

    def introduce(
        self, family: Family, daemons: AppDaemons, told: Told, upgrade: Callable[[], str]
    ) -> None:
        """Once, before anybody links."""
        self.family = family
        self.daemons = daemons
        self.told = told
        # begins one; why not, or empty
        self.upgrade = upgrade

    def make_peer(self, pid: int) -> KeeperPeer:
        return KeeperPeer(self, pid)

    def came(self, peer: KeeperPeer, relative: Relative) -> bool:
        if not self._roles.may_be(relative.role, owner_of(relative.pid)):
            return False
        if relative.role == "template":
            # the family asks it for edges at once
            self._templates[peer.pid] = peer
        if self.family.came(relative):
            return True
        if self._templates.get(peer.pid) is peer:
            del self._templates[peer.pid]
        return False

    def introduced(self, peer: KeeperPeer) -> None:
        if peer.role == "edge":
            if peer.index in self._edges:
                # its link has broken, which is about to be seen: what it probed it does no more
                self.daemons.edge_gone(peer.index)
            self._edges[peer.index] = peer
            self.daemons.edge_came()
            if self._drain_by is not None:
                left = max(0.0, self._drain_by - self._reactor.seconds())
                peer.callRemote(Drain, deadline=left).addErrback(forget)
            elif self.family.is_leaving(("edge", peer.index)):
                # the keeper that told it so may not have come to it
                self.let_go(peer.index)
        if peer.role in ("edge", "template") and self._recovered is not None:
            transfer.take(peer.callRemote).addCallbacks(self._taken, forget)

    def gone(self, peer: KeeperPeer) -> None:
        if self._templates.get(peer.pid) is peer:
            del self._templates[peer.pid]
            self.family.lost(peer.pid)
        if self._edges.get(peer.index) is peer:
            del self._edges[peer.index]
            self.family.lost(peer.pid)
            self.daemons.edge_gone(peer.index)

    def recover_listeners(self, patience: float) -> Deferred[tuple[Listener, ...]]:
        """
        Take the listeners back from the first edge or template that links and has them.

        Fails with Silent when nobody does in time.
        """

        def over(result: Any) -> Any:
            self._recovered = None
            return result

        self._recovered = Deferred()
        return self._recovered.addTimeout(patience, self._reactor).addBoth(over)

    def _taken(self, listeners: tuple[Listener, ...]) -> None:
        if not listeners:
            # a template whose keeper was killed before it had told them
            return
        if self._recovered is not None:
            self._recovered.callback(listeners)
            return
        # another relative was quicker, or all of them were too slow
        for listener in listeners:
            listener.socket.close()

    def listen(self, listeners: tuple[Listener, ...]) -> None:
        """From now on these are the node's public listeners."""
        self._listeners = listeners
        awaiting, self._awaiting = self._awaiting, []
        for waiting in awaiting:
            waiting.callback(listeners)

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """The public listeners, as far as they are known."""
        return self._listeners or ()

    def when_listening(self) -> Deferred[tuple[Listener, ...]]:
        """Fires with the public listeners, once they are bound or taken back."""
        if self._listeners is not None:
            return succeed(self._listeners)
        waiting: Deferred[tuple[Listener, ...]] = Deferred()
        self._awaiting.append(waiting)
        return waiting

    def fork(self, index: int) -> Deferred[int]:
        """Have the template fork an edge; fires with its pid."""
        template = self._templates.get(self.family.template)
        if template is None:
            return fail(ConnectionLost("the template is not linked"))
        asked: Deferred[Any] = template.callRemote(Fork, index=index)
        return asked.addCallback(lambda answer: int(answer["pid"]))

    # what supervise.daemons says to the edges

    def probe(
        self, edge: int | None, app: str, generation: int, address: str, host: str, held: bool
    ) -> int | None:
        """Have this edge probe, or any if it is gone; the edge's index, or None: there is none."""
        peer = self._edges.get(-1 if edge is None else edge)
        if peer is None:
            peer = next(iter(self._edges.values()), None)
        if peer is None:
            return None
        peer.callRemote(
            Probe, app=app, generation=generation, address=address, host=host, held=held
        ).addErrback(forget)
        return peer.index

    def stop_probe(self, edge: int, app: str) -> None:
        """What this edge was asked to probe has ended; its address may soon be another's."""
        peer = self._edges.get(edge)
        if peer is not None:
            peer.callRemote(StopProbe, app=app).addErrback(forget)

    def quiesce(self, app: str, generation: int) -> Deferred[bool]:
        """
        Ask every edge; True when all are idle. A dead edge is idle, one that is silent, at a loss
        or not linked now is busy.
        """
        if any(edge[0] not in self._edges for edge in self.family.edges()):
            return succeed(False)

        def failed(failure: Failure) -> dict[str, bool]:
            failure.trap(*LOST)
            return {"idle": failure.check(ConnectionDone, ConnectionLost) is not None}

        asked = [
            peer.callRemote(Quiesce, app=app, generation=generation)
            .addTimeout(QUIESCE_PATIENCE, self._reactor)
            .addErrback(failed)
            for peer in self._edges.values()
        ]
        return DeferredList(asked).addCallback(
            lambda answers: all(answer["idle"] for _, answer in answers)
        )

    def in_flight(self, app: str, generation: int) -> Deferred[list[dict[str, Any]]]:
        """What this generation worked on when it ended, as far as edges have told in time."""
        asked = [
            peer.callRemote(InFlight, app=app, generation=generation)
            .addTimeout(QUIESCE_PATIENCE, self._reactor)
            .addCallbacks(lambda answer: json.loads(answer["requests"]), forget)
            for peer in self._edges.values()
        ]
        return DeferredList(asked).addCallback(
            lambda answers: [each for _, requests in answers for each in requests or ()]
        )

    def moved(self, app: str, generation: int, address: str) -> None:
        self._tell(Moved, app=app, generation=generation, address=address)

    def expect(self, app: str, seconds: float) -> None:
        self._tell(Expect, app=app, seconds=seconds)

    def retire(self, app: str, generation: int, deadline: float) -> None:
        self._tell(Retire, app=app, generation=generation, deadline=deadline)

    def cut(self, accounts: Iterable[str]) -> None:
        """End what runs for these accounts on every edge: they are suspended."""
        for account in accounts:
            self._tell(Cut, account=account, reason="suspended")

    def drain(self, deadline: float) -> None:
        self._drain_by = self._reactor.seconds() + deadline
        self._tell(Drain, deadline=deadline)

    def let_go(self, edge: int) -> None:
        """This edge has been followed by another: it ends when all that it does is done."""
        peer = self._edges.get(edge)
        if peer is not None:
            deadline, sockets = self.patience
            peer.callRemote(Drain, deadline=deadline, sockets=sockets).addErrback(forget)

    def _tell(self, command: Any, **arguments: object) -> None:
        for peer in self._edges.values():
            peer.callRemote(command, **arguments).addErrback(forget)

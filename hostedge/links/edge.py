"""
An edge's two links: to the keeper, which runs the daemons, and to control, which changes things.

In:  messages of the keeper and of control; wakes and certificates that the data path asks for.
Out: calls on `Backends`, `Hosts` and the acceptors.

    -> Hello           <- Changed 0..n          control; once caught up, the edge counts as live
    -> Hello, Activity                          keeper
    -> Wake            / generation, address
    <- Expect          the next answer to Wake takes so long
    <- Probe           -> Ready | Failed
    <- Quiesce         / idle
    <- InFlight        / requests
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from attrs import asdict
from twisted.application.service import MultiService
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from hostedge.errors import PeerError
from hostedge.ipc import (
    Activity,
    Backends,
    Certify,
    Changed,
    Cut,
    Drain,
    Evaluate,
    Expect,
    Explain,
    Failed,
    Hello,
    InFlight,
    Moved,
    Probe,
    Quiesce,
    Ready,
    Refused,
    Report,
    Retire,
    Sites,
    StopProbe,
    TakeListener,
    Unwake,
    Use,
    Wake,
    Woken,
)
from hostedge.links import listeners as transfer
from hostedge.net.link import LOST, RETRY, LinkClient, LinkPeer, forget, hello
from hostedge.net.listener import Listener
from hostedge.settings import Settings

ACTIVITY_EVERY = 1.0  # seconds; idle times are minutes
CERTIFY = 8.0  # seconds in which control comes back; a handshake has 10
ACTIVITY_PIECE = 200  # apps a message: far below AMP's 64 KiB a value


class Apps(Protocol):
    """The edge's side of the daemons: `http.backends.Backends`."""

    def expect(self, app: str, seconds: float) -> None: ...

    def moved(self, app: str, generation: int, address: str) -> None: ...

    def quiesce(self, app: str, generation: int) -> bool: ...

    def retire(self, app: str, generation: int, deadline: float) -> None: ...

    def cut(self, account: str, reason: str) -> None: ...

    def last_requests(self, app: str, generation: int) -> list[dict[str, Any]]: ...

    def probe(
        self, app: str, generation: int, address: str, host: str, held: bool
    ) -> Deferred[None]: ...

    def stop_probe(self, app: str) -> None: ...

    def activity(self) -> list[Use]: ...

    def keeper_lost(self) -> None: ...

    def keeper_back(self) -> None: ...


class Edge(Protocol):
    """What the links may ask of the edge as a whole."""

    listeners: tuple[Listener, ...]

    def changed(self, revision: int) -> None:
        """Take in the store up to this revision."""

    def revision(self) -> int:
        """What has been taken in."""

    def explain(self, url: str, method: str, at: int) -> list[dict[str, object]]: ...

    def report(self) -> dict[str, object]: ...

    def refused(self, before: int, cause: str, site: str, id: str) -> bytes: ...

    def sites(self, after: int) -> bytes: ...

    def backends(self, after: int) -> bytes: ...

    def drain(self, deadline: float, sockets: float = 0.0) -> None: ...


class Inside(Protocol):
    """What an operator sees of the edge: `console.inside.Inside`."""

    def evaluate(self, source: str) -> Deferred[tuple[str, bool]]:
        """What there is to be shown, and whether it failed."""


class KeeperPeer(LinkPeer):
    """What an edge answers to the keeper."""

    def __init__(self, links: EdgeLinks) -> None:
        super().__init__()
        self._links = links

    @Probe.responder
    def probe(
        self, app: str, generation: int, address: str, host: str, held: bool
    ) -> dict[str, Any]:
        self._links.probe(app, generation, address, host, held)
        return {}

    @StopProbe.responder
    def stop_probe(self, app: str) -> dict[str, Any]:
        self._links.apps.stop_probe(app)
        return {}

    @Expect.responder
    def expect(self, app: str, seconds: float) -> dict[str, Any]:
        self._links.apps.expect(app, seconds)
        return {}

    @Moved.responder
    def moved(self, app: str, generation: int, address: str) -> dict[str, Any]:
        self._links.apps.moved(app, generation, address)
        return {}

    @InFlight.responder
    def in_flight(self, app: str, generation: int) -> dict[str, Any]:
        requests = self._links.apps.last_requests(app, generation)
        return {"requests": json.dumps(requests).encode()}

    @Quiesce.responder
    def quiesce(self, app: str, generation: int) -> dict[str, Any]:
        return {"idle": self._links.apps.quiesce(app, generation)}

    @Retire.responder
    def retire(self, app: str, generation: int, deadline: float) -> dict[str, Any]:
        self._links.apps.retire(app, generation, deadline)
        return {}

    @Cut.responder
    def cut(self, account: str, reason: str) -> dict[str, Any]:
        self._links.apps.cut(account, reason)
        return {}

    @TakeListener.responder
    def take_listener(self, index: int) -> dict[str, Any]:
        return transfer.give(self._links.edge.listeners, index)

    @Drain.responder
    def drain(self, deadline: float, sockets: float | None = None) -> dict[str, Any]:
        self._links.edge.drain(deadline, sockets or 0.0)
        return {}


class ControlPeer(LinkPeer):
    """What an edge answers to control."""

    def __init__(self, links: EdgeLinks) -> None:
        super().__init__()
        self._links = links

    @Changed.responder
    def changed(self, revision: int) -> dict[str, Any]:
        self._links.edge.changed(revision)
        return {}

    @Explain.responder
    def explain(self, url: str, method: str, at: int) -> dict[str, Any]:
        return {"steps": json.dumps(self._links.edge.explain(url, method, at)).encode()}

    @Evaluate.responder
    def evaluate(self, source: str) -> Deferred[dict[str, Any]]:
        evaluating = self._links.inside.evaluate(source)
        return evaluating.addCallback(lambda told: {"printed": told[0], "failed": told[1]})

    @Refused.responder
    def refused(self, before: int, cause: str, site: str, id: str) -> dict[str, Any]:
        return {"refused": self._links.edge.refused(before, cause, site, id)}

    @Sites.responder
    def sites(self, after: int) -> dict[str, Any]:
        return {"sites": self._links.edge.sites(after)}

    @Backends.responder
    def backends(self, after: int) -> dict[str, Any]:
        return {"backends": self._links.edge.backends(after)}

    @Report.responder
    def report(self) -> dict[str, Any]:
        return {"report": json.dumps(self._links.edge.report()).encode()}


class EdgeLinks:
    """
    Both links of one edge. What the data path asks of the keeper stays asked while the
    keeper is away: `Apps.keeper_back` repeats it.
    """

    log = Logger()

    def __init__(self, reactor: Any, settings: Settings, index: int) -> None:
        self._reactor = reactor
        self._index = index
        self.apps: Apps
        self.edge: Edge
        self.inside: Inside
        self._keeper = LinkClient(
            reactor,
            settings.keeper_socket,
            lambda: KeeperPeer(self),
            self._keeper_came,
            lambda: self.apps.keeper_lost(),
        )
        self._control = LinkClient(
            reactor,
            settings.control_socket,
            lambda: ControlPeer(self),
            self._control_came,
            lambda: None,
        )
        self._telling = LoopingCall(self._tell_activity)
        self._telling.clock = reactor
        self.service = MultiService()
        self._keeper.setServiceParent(self.service)
        self._control.setServiceParent(self.service)

    def introduce(self, edge: Edge, apps: Apps, inside: Inside) -> None:
        """Once, before the service starts."""
        self.edge = edge
        self.apps = apps
        self.inside = inside

    def _hello(self) -> dict[str, object]:
        return hello("edge", self._index, self.edge.revision())

    def _keeper_came(self) -> None:
        self._keeper.call(Hello, **self._hello()).addErrback(forget)
        self.apps.keeper_back()
        if not self._telling.running:
            self._telling.start(ACTIVITY_EVERY, now=False)

    def _control_came(self) -> None:
        self._control.call(Hello, **self._hello()).addErrback(forget)

    def _tell_activity(self) -> None:
        if not self._keeper.connected:
            return
        apps = self.apps.activity()
        for start in range(0, len(apps), ACTIVITY_PIECE):
            piece = [asdict(use) for use in apps[start : start + ACTIVITY_PIECE]]
            self._keeper.call(Activity, apps=piece).addErrback(forget)

    def wake(self, app: str, host: str) -> Deferred[Woken]:
        """
        Have the keeper start the app or say where it is.

        Fails with ConnectionLost when the keeper goes away; ask again when it is back. Cancel it
        when nobody waits any more.
        """

        def unwake(_: Deferred[Woken]) -> None:
            self._keeper.call(Unwake, app=app).addErrback(forget)

        waking: Deferred[Woken] = Deferred(unwake)

        def answered(answer: dict[str, Any] | Failure) -> None:
            if waking.called:
                return
            if isinstance(answer, Failure):
                waking.errback(answer)
            else:
                waking.callback(Woken(**answer))

        self._keeper.call(Wake, app=app, host=host).addBoth(answered)
        return waking

    def probe(self, app: str, generation: int, address: str, host: str, held: bool) -> None:
        """Find out when a new generation answers and tell the keeper."""

        def answered(_: None) -> Deferred[Any]:
            return self._keeper.call(Ready, app=app, generation=generation)

        def broke(failure: Failure) -> Deferred[Any]:
            # what the link lost is asked again by the keeper that comes back
            failure.trap(PeerError, OSError)
            cause = str(failure.value) or type(failure.value).__name__
            return self._keeper.call(Failed, app=app, generation=generation, cause=cause)

        probing = self.apps.probe(app, generation, address, host, held)
        # cancelled: nobody waits for the outcome any more
        probing.addCallbacks(answered, broke).addErrback(
            lambda failure: failure.trap(CancelledError, *LOST) and None
        ).addErrback(lambda failure: self.log.failure("probe of {app}", failure, app=app))

    def certify(self, name: str) -> Deferred[str]:
        """
        Have control's CA sign this name; fires with why not, or with nothing. Control that is
        away for a moment, as in an upgrade, is waited for.
        """
        return Deferred.fromCoroutine(self._certify(name))

    async def _certify(self, name: str) -> str:
        deadline = self._reactor.seconds() + CERTIFY
        while True:
            try:
                answer = await self._control.call(Certify, name=name)
            except (ConnectionDone, ConnectionLost):
                if self._reactor.seconds() >= deadline:
                    return "control is not running"
                await deferLater(self._reactor, RETRY)
            except LOST:
                return "control is at a loss"
            else:
                return str(answer["refusal"])

    def stop(self) -> None:
        if self._telling.running:
            self._telling.stop()

"""
Tests for `hostedge.links.keeper` and, at the other end of the wire, `hostedge.links.edge`.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, execute, fail, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.test.iosim import IOPump, connectedServerAndClient
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import UpstreamFailed
from hostedge.ipc import (
    Certify,
    Changed,
    DaemonCounts,
    Daemons,
    Edges,
    Events,
    Expect,
    Fork,
    Hello,
    Journey,
    Restart,
    Upgrade,
    Use,
    Woken,
)
from hostedge.links.edge import ACTIVITY_PIECE, CERTIFY, EdgeLinks
from hostedge.links.edge import ControlPeer as ControlEnd
from hostedge.links.edge import KeeperPeer as EdgeEnd
from hostedge.links.keeper import QUIESCE_PATIENCE, KeeperLinks, KeeperPeer
from hostedge.net.identity import process_started
from hostedge.net.link import RETRY, LinkPeer, forget, hello
from hostedge.settings import Settings
from hostedge.supervise.chronicle import Chronicle
from hostedge.supervise.inheritance import Relative
from hostedge.supervise.roles import Roles


class RecordedDaemons:
    """The daemon manager as the links see it: notes what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.wakes: list[Deferred[Woken]] = []
        self.apps: list[dict[str, object]] = [{"app": "one/hello"}]

    def wake(self, app: str, host: str) -> Deferred[Woken]:
        self.told.append(("wake", app, host))
        self.wakes.append(Deferred())
        return self.wakes[-1]

    def ready(self, *told: Any) -> None:
        self.told.append(("ready", *told))

    def failed(self, *told: Any) -> None:
        self.told.append(("failed", *told))

    def activity(self, *told: Any) -> None:
        self.told.append(("activity", *told))

    def edge_came(self, *told: Any) -> None:
        self.told.append(("edge_came", *told))

    def edge_gone(self, *told: Any) -> None:
        self.told.append(("edge_gone", *told))

    def expected(self, app: str) -> float:
        return 2.5

    def restart(self, app: str) -> str:
        return f"there is no app {app}"

    def describe(self, after: str, limit: int) -> list[dict[str, object]]:
        return self.apps[:limit] if not after else []

    def states(self) -> dict[str, int]:
        return {"READY": 1}


class RecordedFamily:
    """Knows who may come."""

    def __init__(self) -> None:
        self.welcome = True
        self.came_: list[Relative] = []
        self.template = 0
        self.leaving: list[tuple[str, int]] = []
        self.living = [(0, 77, 1.5, False)]

    def came(self, relative: Relative) -> bool:
        self.came_.append(relative)
        return self.welcome

    def lost(self, pid: int) -> None:
        self.came_.clear()

    def is_leaving(self, place: tuple[str, int]) -> bool:
        return place in self.leaving

    def edges(self) -> list[tuple[int, int, float, bool]]:
        return self.living


class RecordedApps:
    """The edge's side of the daemons, as its links see it."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.idle = True
        self.lost: list[dict[str, Any]] = []
        self.broken = False
        self.probed: Deferred[None] = succeed(None)
        self.busy: list[Use] = []

    def moved(self, *told: Any) -> None:
        self.told.append(("moved", *told))

    def expect(self, *told: Any) -> None:
        self.told.append(("expect", *told))

    def quiesce(self, *told: Any) -> bool:
        self.told.append(("quiesce", *told))
        if self.broken:
            raise RuntimeError
        return self.idle

    def retire(self, *told: Any) -> None:
        self.told.append(("retire", *told))

    def cut(self, *told: Any) -> None:
        self.told.append(("cut", *told))

    def probe(self, *told: Any) -> Deferred[None]:
        self.told.append(("probe", *told))
        return self.probed

    def activity(self) -> list[Use]:
        return self.busy

    def last_requests(self, *asked: Any) -> list[dict[str, Any]]:
        self.told.append(("last_requests", *asked))
        return self.lost

    def stop_probe(self, *told: Any) -> None:
        self.told.append(("stop_probe", *told))

    def keeper_lost(self) -> None:
        self.told.append(("keeper_lost",))

    def keeper_back(self) -> None:
        self.told.append(("keeper_back",))


class RecordedEdge:
    """An edge as a whole, as its links see it."""

    listeners = ()

    def __init__(self) -> None:
        self.drained: list[tuple[float, float]] = []

    def revision(self) -> int:
        return 5

    def drain(self, deadline: float, sockets: float = 0.0) -> None:
        self.drained.append((deadline, sockets))


def told_of(pid: int, role: str = "edge") -> dict[str, Any]:
    """What this process would say of itself."""
    return {**hello(role, 0, 0), "pid": pid, "started": process_started(pid)}


class KeeperAndEdgeTests(SynchronousTestCase):
    """Both ends of one link, over memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.changed: list[int] = []
        self.why_not = ""
        self.keeper = KeeperLinks(self.clock, self.changed.append, (305.0, 300.0))
        self.family, self.daemons = RecordedFamily(), RecordedDaemons()
        logs = Path(self.mktemp())
        self.chronicle = Chronicle(self.clock, logs, execute, self.keeper.in_flight)
        self.keeper.introduce(
            self.family,  # type: ignore[arg-type]
            self.daemons,  # type: ignore[arg-type]
            self.chronicle,
            lambda: self.why_not,
        )
        self.apps, self.edge = RecordedApps(), RecordedEdge()
        nowhere = Settings(file=Path("x"), state=Path("/nowhere"), homes=Path("/"))
        self.reactor = MemoryReactorClock()
        self.links = EdgeLinks(self.reactor, nowhere, 0)
        self.links.introduce(self.edge, self.apps, None)  # type: ignore[arg-type]
        self.peer, self.pump = self.connect()

    def connect(self) -> tuple[EdgeEnd, IOPump]:
        def edge_end() -> EdgeEnd:
            peer = EdgeEnd(self.links)
            peer.link = self.links._keeper
            return peer

        peer, _, pump = connectedServerAndClient(
            lambda: self.keeper.make_peer(os.getpid()), edge_end
        )
        pump.flush()
        return peer, pump

    def test_introduction(self) -> None:
        """
        An edge that links is known, and wakes that a keeper's absence left open are repeated.
        """
        (relative,) = self.family.came_
        self.assertEqual((relative.role, relative.index, relative.pid), ("edge", 0, os.getpid()))
        self.assertEqual(self.daemons.told, [("edge_came",)])
        self.assertEqual(self.apps.told, [("keeper_back",)])

    def test_goneEdge(self) -> None:
        """
        When the link ends, both sides know.
        """
        self.peer.transport.loseConnection()
        self.pump.flush()
        self.assertEqual(self.daemons.told[-1], ("edge_gone", 0))
        self.assertEqual(self.apps.told[-1], ("keeper_lost",))
        self.failureResultOf(self.links.wake("one/hello", "h"))

    def test_linkedAnew(self) -> None:
        """
        An edge that is back before the end of its old link is seen has left and come.
        """
        self.connect()
        self.assertEqual(self.daemons.told, [("edge_came",), ("edge_gone", 0), ("edge_came",)])
        self.peer.transport.loseConnection()
        self.pump.flush()
        self.assertEqual(self.daemons.told[-1], ("edge_came",))

    def test_stranger(self) -> None:
        """
        A process that claims a place which is held by another one is ended.
        """
        self.family.welcome = False
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        self.addCleanup(child.communicate)
        stranger, _, pump = connectedServerAndClient(
            lambda: KeeperPeer(self.keeper, child.pid), LinkPeer
        )
        stranger.callRemote(Hello, **told_of(child.pid)).addErrback(forget)
        pump.flush()
        self.assertEqual(child.wait(), -signal.SIGKILL)
        self.assertIsNone(stranger.transport)

    def test_roles(self) -> None:
        """
        A process takes no place of a role that its user does not have.
        """
        self.keeper = KeeperLinks(self.clock, self.changed.append, roles=Roles((1, 1)))
        self.keeper.introduce(
            self.family,  # type: ignore[arg-type]
            self.daemons,  # type: ignore[arg-type]
            self.chronicle,
            lambda: "",
        )
        came = len(self.family.came_)
        for role, welcome in (("edge", 1), ("control", 0), ("elsewhat", 0)):
            child = subprocess.Popen(["sleep", "60"])
            self.addCleanup(child.wait)
            self.addCleanup(child.kill)
            peer, _, pump = connectedServerAndClient(
                lambda pid=child.pid: KeeperPeer(self.keeper, pid),  # type: ignore[misc]
                LinkPeer,
            )
            peer.callRemote(Hello, **told_of(child.pid, role)).addErrback(forget)
            pump.flush()
            self.assertEqual(len(self.family.came_), came + welcome, role)
            came = len(self.family.came_)

    def test_reusedPid(self) -> None:
        """
        A process whose pid has become another's ends nobody; its link is closed.
        """
        child = subprocess.Popen(["sleep", "60"])
        self.addCleanup(child.wait)
        self.addCleanup(child.kill)
        stranger, _, pump = connectedServerAndClient(
            lambda: KeeperPeer(self.keeper, child.pid), LinkPeer
        )
        told = told_of(child.pid)
        stranger.callRemote(Hello, **{**told, "started": told["started"] - 1}).addErrback(forget)
        self.family.welcome = False
        pump.flush()
        self.assertIsNone(child.poll())
        self.assertIsNone(stranger.transport)

    def test_wake(self) -> None:
        """
        A wake is answered when the daemon manager knows, with where the app is or why not.
        """
        woken = self.links.wake("one/hello", "one.localhost")
        self.pump.flush()
        self.assertEqual(self.daemons.told[-1], ("wake", "one/hello", "one.localhost"))
        self.assertNoResult(woken)
        self.daemons.wakes[0].callback(Woken(3, "unix:/x", "", 0.0))
        self.pump.flush()
        self.assertEqual(self.successResultOf(woken), Woken(3, "unix:/x", "", 0.0))

    def test_nobodyWaits(self) -> None:
        """
        A wake that is cancelled, or whose edge is gone, is none for the daemon manager either.
        """
        woken = self.links.wake("one/hello", "one.localhost")
        self.pump.flush()
        woken.cancel()
        self.pump.flush()
        self.failureResultOf(woken, CancelledError)
        self.assertTrue(self.daemons.wakes[0].called)
        self.links.wake("one/hello", "one.localhost").addErrback(lambda _: None)
        self.pump.flush()
        self.assertFalse(self.daemons.wakes[1].called)
        self.peer.transport.loseConnection()
        self.pump.flush()
        self.assertTrue(self.daemons.wakes[1].called)

    def test_expect(self) -> None:
        """
        How long a start takes is told to the edge's apps.
        """
        told = self.keeper._edges[0].callRemote(Expect, app="one/hello", seconds=2.5)
        self.pump.flush()
        self.successResultOf(told)
        self.assertEqual(self.apps.told[-1], ("expect", "one/hello", 2.5))

    def test_probe(self) -> None:
        """
        The edge that is named probes and says how it went.
        """
        self.assertEqual(self.keeper.probe(0, "one/hello", 3, "unix:/x", "h", True), 0)
        self.pump.flush()
        self.assertEqual(self.daemons.told[-1], ("ready", "one/hello", 3))
        self.apps.probed = fail(UpstreamFailed("bad_response", "no HTTP"))
        # the named edge is gone: any other does
        self.assertEqual(self.keeper.probe(9, "one/hello", 4, "unix:/x", "h", True), 0)
        self.pump.flush()
        self.assertEqual(self.daemons.told[-1], ("failed", "one/hello", 4, "bad_response: no HTTP"))

    def test_stopProbe(self) -> None:
        """
        A probe that is called off ends without a word to the keeper or to the log.
        """
        self.apps.probed = Deferred()
        self.keeper.probe(0, "one/hello", 3, "unix:/x", "h", False)
        self.keeper.stop_probe(0, "one/hello")
        # the edge that probed is gone, and its probe with it
        self.keeper.stop_probe(9, "one/hello")
        self.pump.flush()
        self.assertEqual(self.apps.told[-1], ("stop_probe", "one/hello"))
        told = len(self.daemons.told)
        self.apps.probed.cancel()
        self.pump.flush()
        self.assertEqual(len(self.daemons.told), told)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_nobodyToProbe(self) -> None:
        """
        Without an edge nobody can probe.
        """
        lonely = KeeperLinks(self.clock, self.changed.append)
        self.assertIsNone(lonely.probe(None, "one/hello", 3, "unix:/x", "h", True))

    def test_quiesce(self) -> None:
        """
        Idle means that every edge said so.
        """
        idle = self.keeper.quiesce("one/hello", 3)
        self.pump.flush()
        self.assertTrue(self.successResultOf(idle))
        self.apps.idle = False
        busy = self.keeper.quiesce("one/hello", 3)
        self.pump.flush()
        self.assertFalse(self.successResultOf(busy))

    def test_silentEdgeIsBusy(self) -> None:
        """
        An edge that does not answer in time may have requests; a dead one has none.
        """
        silent = self.keeper.quiesce("one/hello", 3)
        self.clock.advance(QUIESCE_PATIENCE)
        self.assertFalse(self.successResultOf(silent))
        dying = self.keeper.quiesce("one/hello", 3)
        self.peer.transport.loseConnection()
        self.pump.flush()
        self.assertTrue(self.successResultOf(dying))

    def test_unsureEdgeIsBusy(self) -> None:
        """
        An edge that lives but is not linked cannot be asked, one that fails has not promised.
        """
        self.apps.broken = True
        failing = self.keeper.quiesce("one/hello", 3)
        self.pump.flush()
        self.assertFalse(self.successResultOf(failing))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
        self.apps.broken = False
        self.family.living.append((1, 78, 0.1, False))
        self.assertFalse(self.successResultOf(self.keeper.quiesce("one/hello", 3)))

    def test_secondTemplate(self) -> None:
        """
        A template whose place is held does not take over the forking from the one that holds it.
        """

        class Template(LinkPeer):
            @Fork.responder
            def fork(self, index: int) -> dict[str, int]:
                return {"pid": 100 + index}

        first, _, pump = connectedServerAndClient(
            lambda: self.keeper.make_peer(os.getpid()), Template
        )
        first.callRemote(Hello, **hello("template", 0, 0))
        pump.flush()
        self.family.template = os.getpid()
        self.family.welcome = False
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        self.addCleanup(child.communicate)
        second, _, strange = connectedServerAndClient(
            lambda: KeeperPeer(self.keeper, child.pid), Template
        )
        second.callRemote(Hello, **told_of(child.pid, "template")).addErrback(forget)
        strange.flush()
        forked = self.keeper.fork(5)
        pump.flush()
        self.assertEqual(self.successResultOf(forked), 105)

    def test_tells(self) -> None:
        """
        Moves, retirements, cuts and the drain reach the edge.
        """
        self.keeper.moved("one/hello", 3, "unix:/x")
        self.keeper.retire("one/hello", 2, 30.0)
        self.keeper.cut(["one"])
        self.keeper.drain(5.0)
        self.pump.flush()
        self.assertEqual(
            self.apps.told[1:],
            [
                ("moved", "one/hello", 3, "unix:/x"),
                ("retire", "one/hello", 2, 30.0),
                ("cut", "one", "suspended"),
            ],
        )
        self.assertEqual(self.edge.drained, [(5.0, 0.0)])
        self.clock.advance(2)
        self.connect()
        self.assertEqual(self.edge.drained[1:], [(3.0, 0.0)])

    def test_letGo(self) -> None:
        """
        One edge that has been followed is told to leave, and told again by the next keeper; its
        WebSockets have their own time.
        """
        self.keeper.let_go(7)
        self.keeper.let_go(0)
        self.pump.flush()
        self.assertEqual(self.edge.drained, [(305.0, 300.0)])
        self.family.leaving.append(("edge", 0))
        self.connect()
        self.assertEqual(self.edge.drained, [(305.0, 300.0)] * 2)

    def test_upgrade(self) -> None:
        """
        Control orders an upgrade and learns why there is none.
        """
        control, _, pump = connectedServerAndClient(
            lambda: self.keeper.make_peer(os.getpid()), LinkPeer
        )
        self.why_not = "an upgrade is under way"
        asked = control.callRemote(Upgrade)
        pump.flush()
        self.assertEqual(self.successResultOf(asked), {"refusal": "an upgrade is under way"})

    def test_inFlight(self) -> None:
        """
        Edges name the requests that a generation had; one that does not answer has none.
        """
        self.apps.lost = [{"method": "GET", "path": "/x"}]
        asked = self.keeper.in_flight("one/hello", 3)
        self.pump.flush()
        self.assertEqual(self.successResultOf(asked), self.apps.lost)
        self.assertEqual(self.apps.told[-1], ("last_requests", "one/hello", 3))
        asked = self.keeper.in_flight("one/hello", 3)
        self.clock.advance(QUIESCE_PATIENCE)
        self.assertEqual(self.successResultOf(asked), [])

    def test_certifyWaitsForControl(self) -> None:
        """
        A name is signed when control comes back in time, and refused when it does not.
        """

        class Control(LinkPeer):
            @Certify.responder
            def certify(self, name: str) -> dict[str, str]:
                return {"refusal": f"not {name}"}

        def edge_end() -> ControlEnd:
            peer = ControlEnd(self.links)
            peer.link = self.links._control
            return peer

        refused = self.links.certify("a.test")
        self.reactor.advance(CERTIFY - 1)
        asked = self.links.certify("b.test")
        self.reactor.pump([RETRY] * 11)
        self.assertEqual(self.successResultOf(refused), "control is not running")
        self.assertNoResult(asked)
        _, _, pump = connectedServerAndClient(Control, edge_end)
        self.reactor.advance(RETRY)
        pump.flush()
        self.assertEqual(self.successResultOf(asked), "not b.test")

    def test_activityInPieces(self) -> None:
        """
        What thousands of apps do travels in messages that AMP can carry.
        """
        self.apps.busy = [
            Use(f"account-{n}/hello", 1, n, 0.5) for n in range(2 * ACTIVITY_PIECE + 1)
        ]
        self.links._tell_activity()
        self.pump.flush()
        told = [told for told in self.daemons.told if told[0] == "activity"]
        self.assertEqual([len(apps) for _, _, apps in told], [ACTIVITY_PIECE, ACTIVITY_PIECE, 1])
        self.assertEqual(told[0][1:], (0, self.apps.busy[:ACTIVITY_PIECE]))
        self.links.stop()

    def test_controlAsks(self) -> None:
        """
        Control hears of edges and daemons, and its changes are passed on.
        """
        control, _, pump = connectedServerAndClient(
            lambda: self.keeper.make_peer(os.getpid()), LinkPeer
        )
        asked = [
            control.callRemote(Edges),
            control.callRemote(Changed, revision=9),
            control.callRemote(Daemons, after=""),
            control.callRemote(Restart, app="one/x"),
        ]
        pump.flush()
        edges, _, daemons, restarted = (self.successResultOf(each) for each in asked)
        self.assertEqual(edges, {"edges": [{"index": 0, "pid": 77, "age": 1.5, "leaving": False}]})
        self.assertEqual(self.changed, [9])
        self.assertEqual(json.loads(daemons["apps"]), [{"app": "one/hello", "start": None}])
        self.assertEqual(restarted["refusal"], "there is no app one/x")

    def test_whatHasHappened(self) -> None:
        """
        Control hears of events at once or when there are some, of the last start that failed,
        and of what is counted.
        """
        control, _, pump = connectedServerAndClient(
            lambda: self.keeper.make_peer(os.getpid()), LinkPeer
        )
        waiting = control.callRemote(Events, after=0, app="one/x", wait=True)
        nothing = control.callRemote(Events, after=-5, app="", wait=True)
        pump.flush()
        self.assertEqual(self.successResultOf(nothing), {"events": b"[]"})
        self.assertNoResult(waiting)
        self.chronicle.tell("launched", "one/x", 4, pid=9)
        self.chronicle.tell("exited", "one/x", 4, exit=1, reason="it died")
        self.clock.advance(0)
        pump.flush()
        events = json.loads(self.successResultOf(waiting)["events"])
        self.assertEqual([each["event"] for each in events], ["launched", "exited"])
        asked = [
            control.callRemote(Journey, app="one/x"),
            control.callRemote(Journey, app="one/y"),
            control.callRemote(DaemonCounts),
            control.callRemote(Daemons, after=""),
        ]
        pump.flush()
        journey, none, counts, _ = (self.successResultOf(each) for each in asked)
        self.assertEqual(json.loads(journey["journey"])["reason"], "it died")
        self.assertEqual(none["journey"], b"null")
        told = json.loads(counts["counts"])
        self.assertEqual((told["apps"], told["starts"]), ({"READY": 1}, {"ok": 0, "failed": 1}))

    def test_longReasons(self) -> None:
        """
        Apps whose reasons would not fit one message travel in smaller pieces.
        """
        self.daemons.apps = [{"app": f"one/{n}", "reason": "x" * 2000} for n in range(100)]
        control, _, pump = connectedServerAndClient(
            lambda: self.keeper.make_peer(os.getpid()), LinkPeer
        )
        asked = control.callRemote(Daemons, after="")
        pump.flush()
        told = json.loads(self.successResultOf(asked)["apps"])
        first = [{**each, "start": None} for each in self.daemons.apps[: len(told)]]
        self.assertEqual(told, first)
        self.assertGreater(len(told), 20)

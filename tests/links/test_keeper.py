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

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.test.iosim import IOPump, connectedServerAndClient
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import UpstreamFailed
from hostedge.ipc import Changed, Daemons, Edges, Fork, Hello, Restart, Use, Woken
from hostedge.links.edge import ACTIVITY_PIECE, EdgeLinks
from hostedge.links.edge import KeeperPeer as EdgeEnd
from hostedge.links.keeper import QUIESCE_PATIENCE, KeeperLinks, KeeperPeer
from hostedge.net.link import LinkPeer, hello
from hostedge.settings import Settings
from hostedge.supervise.inheritance import Relative


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


class RecordedFamily:
    """Knows who may come."""

    def __init__(self) -> None:
        self.welcome = True
        self.came_: list[Relative] = []
        self.living = [(0, 77, 1.5)]

    def came(self, relative: Relative) -> bool:
        self.came_.append(relative)
        return self.welcome

    def template_lost(self) -> None:
        self.came_.clear()

    def edges(self) -> list[tuple[int, int, float]]:
        return self.living


class RecordedApps:
    """The edge's side of the daemons, as its links see it."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.idle = True
        self.broken = False
        self.probed: Deferred[None] = succeed(None)
        self.busy: list[Use] = []

    def moved(self, *told: Any) -> None:
        self.told.append(("moved", *told))

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
        self.drained: list[float] = []

    def revision(self) -> int:
        return 5

    def drain(self, deadline: float) -> None:
        self.drained.append(deadline)


class KeeperAndEdgeTests(SynchronousTestCase):
    """Both ends of one link, over memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.changed: list[int] = []
        self.keeper = KeeperLinks(self.clock, self.changed.append)
        self.family, self.daemons = RecordedFamily(), RecordedDaemons()
        self.keeper.introduce(self.family, self.daemons)  # type: ignore[arg-type]
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
        self.assertEqual(self.daemons.told, [("edge_came", 0)])
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
        asked = stranger.callRemote(Hello, **{**hello("edge", 0, 0), "pid": child.pid})
        pump.flush()
        self.successResultOf(asked)
        self.assertEqual(child.wait(), -signal.SIGKILL)

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
        self.family.living.append((1, 78, 0.1))
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
        self.family.welcome = False
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        self.addCleanup(child.communicate)
        second, _, strange = connectedServerAndClient(
            lambda: KeeperPeer(self.keeper, child.pid), Template
        )
        second.callRemote(Hello, **{**hello("template", 0, 0), "pid": child.pid})
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
        self.assertEqual(self.edge.drained, [5.0])

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
        self.assertEqual(edges, {"edges": [{"index": 0, "pid": 77, "age": 1.5}]})
        self.assertEqual(self.changed, [9])
        self.assertEqual(daemons["apps"], b'[{"app": "one/hello"}]')
        self.assertEqual(restarted["refusal"], "there is no app one/x")

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
        self.assertEqual(told, self.daemons.apps[: len(told)])
        self.assertGreater(len(told), 20)

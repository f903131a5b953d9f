"""
Tests for `hostedge.supervise.family`.
"""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.net.identity import process_started
from hostedge.supervise.family import CONTROL_LATEST, PAUSE_MAX, STEADY, Family, pause
from hostedge.supervise.inheritance import Relative

# pids that exist, so that their start times can be read: every test process has these two
ME, PARENT = os.getpid(), os.getppid()


class Machine:
    """A `Processes` that starts nothing and remembers everything."""

    def __init__(self) -> None:
        self.running: dict[str, Callable[[], None]] = {}
        self.spawned: list[str] = []
        self.forks: list[tuple[int, Deferred[int]]] = []
        self.signals: list[tuple[str, int]] = []
        self.refuses = False

    def spawn(self, role: str, ended: Callable[[], None]) -> tuple[int, Signalled]:
        if self.refuses:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        self.spawned.append(role)
        self.running[role] = ended
        return ME, Signalled(self, role)

    def watch(self, pid: int, started: int, ended: Callable[[], None]) -> Signalled:
        self.running[f"pid {pid}"] = ended
        return Signalled(self, f"pid {pid}")

    def fork(self, index: int) -> Deferred[int]:
        forked: Deferred[int] = Deferred()
        self.forks.append((index, forked))
        return forked


class Signalled:
    """A `Watched` that notes what it is sent."""

    def __init__(self, machine: Machine, name: str) -> None:
        self._machine = machine
        self._name = name

    def signal(self, number: int) -> None:
        self._machine.signals.append((self._name, number))


def relative(role: str, index: int, pid: int) -> Relative:
    return Relative(role, index, pid, process_started(pid))


class FamilyTests(SynchronousTestCase):
    """Every place is filled, again and again."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.machine = Machine()
        self.noted: list[list[Relative]] = []
        self.ended: list[int] = []
        self.store = True
        self.counted: list[int] = []
        self.family = Family(
            self.clock,
            self.machine,
            1,
            self.noted.append,
            self.ended.append,
            lambda: self.store,
            lambda: self.counted,
        )

    def link_template(self) -> None:
        self.assertTrue(self.family.came(relative("template", 0, ME)))

    def test_startSpawns(self) -> None:
        """
        The template is spawned; edges wait for it, and control for the first of them.
        """
        self.family.start()
        self.assertEqual(self.machine.spawned, ["template"])
        self.assertEqual(self.machine.forks, [])
        self.link_template()
        self.assertEqual([index for index, _ in self.machine.forks], [0])
        self.assertEqual(self.machine.spawned, ["template"])
        self.family.came(relative("edge", 0, PARENT))
        self.assertEqual(self.machine.spawned, ["template", "control"])
        self.clock.advance(CONTROL_LATEST)
        self.assertEqual(self.machine.spawned, ["template", "control"])

    def test_controlMakesTheStore(self) -> None:
        """
        Without a store there is no edge to wait for: control starts at once.
        """
        self.store = False
        self.family.start()
        self.assertEqual(self.machine.spawned, ["control", "template"])

    def test_controlWaitsForNobody(self) -> None:
        """
        An edge that does not come keeps nobody from changing the node.
        """
        self.family.start()
        self.clock.advance(CONTROL_LATEST)
        self.assertEqual(self.machine.spawned, ["template", "control"])

    def test_forkedEdgeIsWatched(self) -> None:
        """
        An edge that ends is forked again, and its place in the page is cleared.
        """
        self.family.start()
        self.link_template()
        self.machine.forks[0][1].callback(PARENT)
        self.assertEqual([(i, pid) for i, pid, _, _ in self.family.edges()], [(0, PARENT)])
        self.clock.advance(STEADY)
        self.machine.running[f"pid {PARENT}"]()
        self.assertEqual(self.ended, [0])
        self.clock.advance(0)
        self.assertEqual(len(self.machine.forks), 2)

    def test_quickDeathsPause(self) -> None:
        """
        Who keeps ending at once is started ever more slowly, up to a bound.
        """
        self.family.start()
        self.clock.advance(CONTROL_LATEST)
        for _ in range(3):
            before = len(self.machine.spawned)
            self.machine.running["control"]()
            self.clock.advance(0.05)
            self.assertEqual(len(self.machine.spawned), before)
            self.clock.advance(PAUSE_MAX)
            self.assertEqual(len(self.machine.spawned), before + 1)
        self.assertEqual([pause(n) for n in (0, 1, 2, 100)], [0.0, 0.1, 0.2, PAUSE_MAX])

    def test_cannotBeStarted(self) -> None:
        """
        What the kernel refuses to start is tried again; a successor is given up.
        """
        self.machine.refuses = True
        self.family.start()
        self.clock.advance(CONTROL_LATEST)
        self.assertRaises(OSError, self.family.add, "template")
        self.assertFalse(self.family.is_there(("template", 1)))
        self.machine.refuses = False
        self.clock.advance(PAUSE_MAX)
        self.assertEqual(sorted(self.machine.spawned), ["control", "template"])

    def test_noStoreNoEdge(self) -> None:
        """
        Before control has made the store no edge is forked.
        """
        self.store = False
        self.family.start()
        self.link_template()
        self.assertEqual(self.machine.forks, [])
        self.store = True
        self.clock.advance(1)
        self.assertEqual(len(self.machine.forks), 1)

    def test_failedForkIsRepeated(self) -> None:
        """
        A template that dies while it forks costs only time.
        """
        self.family.start()
        self.link_template()
        self.machine.forks[0][1].errback(ConnectionLost())
        self.clock.advance(1)
        self.assertEqual(len(self.machine.forks), 2)

    def test_adoption(self) -> None:
        """
        The family of a killed keeper is taken over, not started twice.
        """
        self.family.adopt((relative("control", 0, ME), relative("edge", 0, PARENT)))
        self.family.start()
        self.assertEqual(self.machine.spawned, ["template"])
        self.link_template()
        self.assertEqual(self.machine.forks, [])
        self.assertEqual({r.role for r in self.noted[-1]}, {"control", "edge", "template"})

    def test_cannotBeNoted(self) -> None:
        """
        A disk without room for the note costs the note: processes are watched and replaced.
        """
        self.patch(self.family, "_note", self._no_room)
        self.family.adopt((relative("control", 0, ME),))
        self.family.start()
        self.assertTrue(self.family.living("control"))

    def _no_room(self, relatives: list[Relative]) -> None:
        raise OSError(errno.ENOSPC, "no room")

    def test_endedWithoutKeeper(self) -> None:
        """
        What an edge held that ended while there was no keeper counts no longer.
        """
        self.counted = [0, 3]
        self.family.adopt((relative("edge", 0, PARENT),))
        self.assertEqual(self.ended, [3])

    def test_adoptedPlaces(self) -> None:
        """
        Edges may be at any places; as many are kept filled as there are to be.
        """
        self.family.adopt((relative("edge", 3, PARENT),))
        self.family.start()
        self.link_template()
        self.assertEqual(self.machine.forks, [])
        self.assertEqual(self.family.edge_places(), [("edge", 3)])

    def test_twoTemplatesAreAdopted(self) -> None:
        """
        Where an upgrade was broken off the newer template stays.
        """
        older, newer = sorted(
            (relative("template", 0, ME), relative("template", 1, PARENT)),
            key=lambda each: (each.started, each.pid),
        )
        self.family.adopt((newer, older))
        self.assertEqual(self.family.template, newer.pid)
        self.clock.advance(0)
        self.assertEqual(self.machine.signals, [(f"pid {older.pid}", signal.SIGKILL)])

    def test_successor(self) -> None:
        """
        One more edge has a place of its own; when it is confirmed and the other one has left,
        nobody follows that.
        """
        self.family.start()
        self.link_template()
        self.machine.forks[0][1].callback(PARENT)
        place = self.family.add("edge")
        self.assertEqual((place, self.machine.forks[1][0]), (("edge", 1), 1))
        self.machine.forks[1][1].callback(ME)
        self.assertFalse(self.family.is_linked(place))
        self.assertTrue(self.family.came(relative("edge", 1, ME)))
        self.assertTrue(self.family.is_linked(place))
        self.family.confirm(place)
        self.family.leave(("edge", 0), 30.0)
        self.assertEqual(
            [(pid, leaving) for _, pid, _, leaving in self.family.edges()],
            [(PARENT, True), (ME, False)],
        )
        self.assertEqual(
            {(r.pid, r.leaving) for r in self.noted[-1] if r.role == "edge"},
            {(PARENT, True), (ME, False)},
        )
        self.machine.running[f"pid {PARENT}"]()
        self.clock.advance(60)
        self.assertEqual(self.ended, [0])
        self.assertEqual(len(self.machine.forks), 2)
        self.assertFalse(self.family.is_there(("edge", 0)))
        self.assertEqual(self.machine.signals, [])

    def test_successorWaitsForTheTemplate(self) -> None:
        """
        One more edge that is wanted before the template has linked is forked once it has.
        """
        self.family.adopt((relative("edge", 0, PARENT),))
        self.family.start()
        self.family.add("edge")
        self.assertEqual(self.machine.forks, [])
        self.link_template()
        self.assertEqual([index for index, _ in self.machine.forks], [1])

    def test_lateLeaver(self) -> None:
        """
        Who has not left in time is ended.
        """
        self.family.adopt((relative("edge", 0, PARENT),))
        self.family.leave(("edge", 0), 30.0)
        self.clock.advance(29)
        self.assertEqual(self.machine.signals, [])
        self.clock.advance(1)
        self.assertEqual(self.machine.signals, [(f"pid {PARENT}", signal.SIGKILL)])

    def test_failedSuccessor(self) -> None:
        """
        One that ends while it is on trial, or cannot be forked, is not tried again.
        """
        self.family.start()
        self.link_template()
        self.machine.forks[0][1].callback(PARENT)
        place = self.family.add("edge")
        self.machine.forks[1][1].errback(ConnectionLost())
        self.assertFalse(self.family.is_there(place))
        place = self.family.add("edge")
        self.machine.forks[2][1].callback(ME)
        self.machine.running[f"pid {ME}"]()
        self.clock.advance(60)
        self.assertFalse(self.family.is_there(place))
        self.assertEqual(len(self.machine.forks), 3)

    def test_agedEdges(self) -> None:
        """
        Edges of another template than the present one are known, those that are noted too.
        """
        self.family.start()
        self.link_template()
        self.machine.forks[0][1].callback(PARENT)
        self.assertEqual(self.family.aged(), [])
        (edge,) = (each for each in self.noted[-1] if each.role == "edge")
        self.assertEqual(edge.template, ME)
        self.family.adopt((relative("template", 5, PARENT),))
        self.family.use(("template", 5))
        self.assertEqual(self.family.aged(), [("edge", 0)])

    def test_version(self) -> None:
        """
        What a process says of its code is noted.
        """
        self.family.start()
        told = relative("template", 0, ME)
        self.assertTrue(self.family.came(evolve(told, version="1.2")))
        self.assertEqual([each.version for each in self.noted[-1]], ["1.2"])

    def test_strangerHasToGo(self) -> None:
        """
        A second process for a place that is held is not let in.
        """
        self.family.adopt((relative("edge", 0, PARENT),))
        self.assertFalse(self.family.came(relative("edge", 0, ME)))
        self.assertFalse(self.family.came(relative("edge", 7, ME)))

    def test_replace(self) -> None:
        """
        A hung edge is killed, and nothing but an edge can be replaced so.
        """
        self.family.adopt((relative("edge", 0, PARENT), relative("control", 0, ME)))
        self.assertIsNone(self.successResultOf(self.family.replace(ME)))
        gone = self.family.replace(PARENT)
        self.assertEqual(self.machine.signals, [(f"pid {PARENT}", signal.SIGKILL)])
        self.assertNoResult(gone)
        self.machine.running[f"pid {PARENT}"]()
        self.assertIsNone(self.successResultOf(gone))

    def test_stopping(self) -> None:
        """
        After `no_more` whoever ends stays away, and the last one is told of.
        """
        self.store = False
        self.family.start()
        self.family.no_more()
        empty = self.family.when_empty()
        self.machine.running["control"]()
        self.assertNoResult(empty)
        self.machine.running["template"]()
        self.assertIsNone(self.successResultOf(empty))
        self.clock.advance(60)
        self.assertEqual(self.machine.spawned, ["control", "template"])

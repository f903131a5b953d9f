"""
Tests for `hostedge.supervise.upgrade`; a whole node is upgraded in `tests.live.test_upgrade`.
"""

from __future__ import annotations

import errno
import signal
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.supervise import upgrade as supervise_upgrade
from hostedge.supervise.family import CONTROL, Place
from hostedge.supervise.inheritance import Relative
from hostedge.supervise.upgrade import (
    CONTROL_END,
    KEEPERS,
    PATIENCE,
    SETTLE,
    Record,
    Upgrade,
    read_record,
)

BEGAN = 1000


class PlayedFamily:
    """A family whose processes come at once, or not at all; each began when it was added."""

    def __init__(self) -> None:
        self.now = 10
        self.held: dict[Place, Relative] = {}
        self.linked: set[Place] = set()
        self.gone: list[Place] = []
        self.current: Place = ("template", 0)
        self.told: list[tuple[Any, ...]] = []
        # roles of which nobody links, and of which everybody ends at once
        self.hung: set[str] = set()
        self.dies: set[str] = set()
        for place in (self.current, CONTROL, ("edge", 0), ("edge", 1)):
            self.begin(place)

    def begin(self, place: Place) -> None:
        self.now += 1
        by = self.template if place[0] == "edge" else 0
        self.held[place] = Relative(*place, self.now, self.now, template=by)
        if place[0] not in self.hung:
            self.linked.add(place)
        if place[0] in self.dies:
            del self.held[place]
            self.linked.discard(place)

    @property
    def template(self) -> int:
        holder = self.held.get(self.current)
        return holder.pid if holder else 0

    def template_place(self) -> Place:
        return self.current

    def add(self, role: str) -> Place:
        free = next(n for n in range(9) if (role, n) not in self.held)
        self.told.append(("add", role, free))
        self.begin((role, free))
        return role, free

    def holder(self, place: Place) -> Relative | None:
        return self.held.get(place)

    def is_there(self, place: Place) -> bool:
        return place in self.held

    def is_linked(self, place: Place) -> bool:
        return place in self.linked

    def use(self, place: Place) -> None:
        self.told.append(("use", *place))
        self.current = place

    def confirm(self, place: Place) -> None:
        self.told.append(("confirm", *place))

    def leave(self, place: Place, patience: float = 0.0) -> None:
        self.told.append(("leave", *place, patience))
        self.gone.append(place)

    def edge_places(self) -> list[Place]:
        return [place for place in self.held if place[0] == "edge" and place not in self.gone]

    def aged(self) -> list[Place]:
        return [e for e in self.edge_places() if self.held[e].template != self.template]

    def signal_one(self, place: Place, number: int) -> None:
        self.told.append(("signal", *place, number))
        if "control" not in self.hung or number == 9:
            self.linked.discard(place)
            self.begin(place)


class UpgradeTests(SynchronousTestCase):
    """What follows what, and what stops it."""

    def setUp(self) -> None:
        # new code is not really run here, and would be what takes signals again
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self.addCleanup(signal.pthread_sigmask, signal.SIG_SETMASK, before)
        self.clock = Clock()
        self.family = PlayedFamily()
        self.path = Path(self.mktemp())
        self.checking: Deferred[str] = Deferred()
        self.handed_over = 0
        self.refuses: OSError | None = None
        self.edges = 2
        self.settled = True
        self.family.now = BEGAN

    def make(self) -> Upgrade:
        return Upgrade(
            self.clock,
            self.path,
            self.family,
            lambda edge: self.family.told.append(("let go", edge)),
            99.0,
            self.edges,
            lambda: BEGAN,
            lambda: self.checking,
            lambda: self.settled,
            self.hand_over,
        )

    def hand_over(self) -> None:
        self.handed_over += 1
        if self.refuses is not None:
            raise self.refuses

    def record(self) -> Record:
        record = read_record(self.path)
        assert record is not None
        return record

    def go_on(self) -> Record:
        """The upgrade as the new code goes on with it, to its end."""
        upgrade = self.make()
        self.assertEqual(upgrade.order(), "")
        if not self.checking.called:
            self.checking.callback("")
        self.clock.advance(0)
        self.make().resume()
        for _ in range(int(100 / 0.02)):
            self.clock.advance(0.02)
        return self.record()

    def test_steps(self) -> None:
        """
        A new edge has linked before an old one is told to leave, one after the other; control
        comes last.
        """
        record = self.go_on()
        self.assertEqual((record.state, record.reason), ("done", ""))
        self.assertEqual(
            [each["step"] for each in record.steps],
            ["check", "keeper", "template", "edge 2", "edge 3", "control"],
        )
        self.assertEqual(
            self.family.told,
            [
                ("add", "template", 1),
                ("confirm", "template", 1),
                ("use", "template", 1),
                ("add", "edge", 2),
                ("confirm", "edge", 2),
                ("leave", "edge", 0, 99.0),
                ("let go", 0),
                ("add", "edge", 3),
                ("confirm", "edge", 3),
                ("leave", "edge", 1, 99.0),
                ("let go", 1),
                ("leave", "template", 0, 0.0),
                ("signal", "control", 0, 15),
            ],
        )

    def test_noRoom(self) -> None:
        """
        On a disk that is full the new code is not executed: it would not know why. Who has to go
        on with an upgrade does so, whatever can be written.
        """

        def full(path: Path, text: str) -> None:
            raise OSError(errno.ENOSPC, "no room")

        upgrade = self.make()
        upgrade.order()
        no_room = self.patch(supervise_upgrade, "replace_file", full)
        self.checking.callback("")
        self.clock.advance(0)
        self.assertEqual(self.handed_over, 0)
        no_room.restore()
        # it is over, though it could not be noted
        self.checking = Deferred()
        self.assertEqual(upgrade.order(), "")
        self.checking.callback("")
        self.clock.advance(0)
        self.assertEqual(self.handed_over, 1)
        self.patch(supervise_upgrade, "replace_file", full)
        self.make().resume()
        for _ in range(int(100 / 0.02)):
            self.clock.advance(0.02)
        self.assertEqual(self.family.told[-1], ("signal", "control", 0, 15))

    def test_unsettled(self) -> None:
        """
        The keeper waits for apps that are coming up, but not for ever.
        """
        self.settled = False
        self.make().order()
        self.checking.callback("")
        self.clock.pump([0.02] * 10)
        self.assertEqual((self.record().step, self.handed_over), ("keeper", 0))
        self.settled = True
        self.clock.pump([0.02, 0])
        self.assertEqual(self.handed_over, 1)
        self.settled = False
        self.make().order()
        self.clock.pump([0.02] * int(SETTLE / 0.02 + 2))
        self.assertEqual(self.handed_over, 2)

    def test_checkFails(self) -> None:
        """
        Code that cannot run the node is not executed, and nobody is replaced.
        """
        upgrade = self.make()
        upgrade.order()
        self.assertEqual(upgrade.order(), "an upgrade is under way, at the step check")
        self.checking.callback("exit status 1: SyntaxError: invalid syntax")
        record = self.record()
        self.assertEqual((record.state, record.step), ("stopped", "check"))
        self.assertIn("cannot run this node: exit status 1: SyntaxError", record.reason)
        self.assertEqual((self.handed_over, self.family.told), (0, []))
        self.checking = Deferred()
        self.assertEqual(upgrade.order(), "")

    def test_cannotBeExecuted(self) -> None:
        """
        The keeper that could not become another goes on, and takes the next order.
        """
        self.refuses = FileNotFoundError(2, "No such file or directory")
        upgrade = self.make()
        upgrade.order()
        self.checking.callback("")
        self.clock.advance(0)
        self.assertIn("could not be executed: No such file", self.record().reason)
        self.assertEqual(upgrade.order(), "")

    def test_abandoned(self) -> None:
        """
        A node that is told to end does so as the code that it is, also in the last moment.
        """
        upgrade = self.make()
        upgrade.abandon()
        upgrade.order()
        upgrade.abandon()
        self.assertEqual(self.record().reason, "the node was told to end")
        self.checking = Deferred()
        upgrade.order()
        self.checking.callback("")
        before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self.assertIn(signal.SIGTERM, before)
        upgrade.abandon()
        self.clock.advance(1)
        self.assertEqual((self.record().state, self.handed_over), ("stopped", 0))
        self.assertNotIn(signal.SIGTERM, signal.pthread_sigmask(signal.SIG_BLOCK, ()))

    def test_nothingToResume(self) -> None:
        """
        A keeper that starts without an upgrade, or after one, replaces nobody.
        """
        self.make().resume()
        self.path.write_text("{")
        self.make().resume()
        self.path.unlink()
        self.go_on()
        told = self.family.told[:]
        self.make().resume()
        self.assertEqual(self.family.told, told)

    def test_killedKeeper(self) -> None:
        """
        Whatever is new already is not replaced again when another keeper goes on.
        """
        self.family.hung.add("edge")
        upgrade = self.make()
        upgrade.order()
        self.checking.callback("")
        self.clock.advance(0)
        self.make().resume()
        self.clock.advance(1)
        self.assertEqual(self.record().step, "edge 2")
        # it came when the keeper was gone
        self.family.hung.clear()
        self.family.linked.add(("edge", 2))
        del self.family.told[:]
        self.clock = Clock()
        self.make().resume()
        self.clock.pump([0.02] * 200)
        self.assertEqual(self.record().state, "done")
        self.assertNotIn("template", [words[1] for words in self.family.told if words[0] == "add"])
        self.assertEqual(self.family.edge_places(), [("edge", 2), ("edge", 3)])

    def test_killedWhileChecking(self) -> None:
        """
        Nothing was begun that another keeper should go on with.
        """
        self.make().order()
        self.make().resume()
        self.assertIn("while the new code was being checked", self.record().reason)

    def test_keepersEndAgainAndAgain(self) -> None:
        """
        An upgrade that ends every keeper is given up.
        """
        self.family.hung.add("template")
        self.make().order()
        self.checking.callback("")
        for _ in range(KEEPERS + 1):
            self.make().resume()
        self.assertIn(f"has ended {KEEPERS} times", self.record().reason)

    def test_templateDoesNotCome(self) -> None:
        """
        A template that ends, or hangs, is given up; the old one goes on.
        """
        self.family.dies.add("template")
        self.assertIn("ended as it began", self.go_on().reason)
        self.assertEqual(self.family.current, ("template", 0))
        self.assertEqual(len(self.family.edge_places()), 2)

    def test_hungTemplate(self) -> None:
        """
        As long as it may link is bounded.
        """
        self.family.hung.add("template")
        record = self.go_on()
        self.assertIn(f"template has not come up in {PATIENCE:.0f} s", record.reason)
        self.assertIn(("leave", "template", 1, 0.0), self.family.told)

    def test_edgeDoesNotCome(self) -> None:
        """
        The old edges stay, and the old template with them.
        """
        self.family.hung.add("edge")
        record = self.go_on()
        self.assertIn(f"edge 2 has not come up in {PATIENCE:.0f} s", record.reason)
        self.assertEqual((record.state, record.step), ("stopped", "edge 2"))
        self.assertNotIn(("let go", 0), self.family.told)
        self.assertEqual(self.family.current, ("template", 0))
        self.assertEqual(self.family.gone, [("edge", 2), ("template", 1)])

    def test_fewerEdges(self) -> None:
        """
        Where the settings want fewer edges than there were, the surplus is not followed.
        """
        self.edges = 1
        self.assertEqual(self.go_on().state, "done")
        self.assertEqual(len(self.family.edge_places()), 1)

    def test_hungControl(self) -> None:
        """
        Control that does not end when it is told to is ended.
        """
        self.family.hung.add("control")
        self.family.linked.add(CONTROL)
        record = self.go_on()
        signals = [words[-1] for words in self.family.told if words[0] == "signal"]
        self.assertEqual(signals, [15, 9])
        self.assertGreater(CONTROL_END, 0)
        self.assertIn("control has not come up", record.reason)

"""
Tests for `hostedge.supervise.placement`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.model.names import Size
from hostedge.model.site import Account
from hostedge.runtimes.start import Start
from hostedge.settings import Accounts
from hostedge.supervise.containment import Containment
from hostedge.supervise.group_limits import AccountLimits, LeafLimits
from hostedge.supervise.journal import Entry
from hostedge.supervise.placement import Placement
from hostedge.supervise.users import Users

START = Start(("true",), "socket")


class NotingContainment(Containment):
    """One that makes no groups, and notes for what it was asked."""

    def __init__(self) -> None:
        super().__init__(Clock(), None)
        self.asked: list[tuple[Any, ...]] = []

    def place(self, *asked: Any) -> None:
        self.asked.append(asked)

    def limit(self, *asked: Any) -> None:
        self.asked.append(asked)
        raise OSError("not now")

    forget = limit


class PlacementTests(SynchronousTestCase):
    """Who, where, and with what bounds."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.homes = self.folder / "homes"
        self.homes.mkdir(parents=True)
        self.containment = NotingContainment()

    def test_plan(self) -> None:
        """
        What an account may take is told to the kernel in its own measures.
        """
        placement = Placement(self.containment, self.homes)
        account = Account(
            "one", memory=Size(1 << 30), pids=50, weight=7, cpu_percent=150, file_size=Size(9)
        )
        self.assertIsNone(placement.place(account, "app", 3, START))
        whose, plan, own, _ = self.containment.asked[0]
        self.assertEqual(whose, ("one", "app", 3))
        self.assertEqual(
            plan,
            AccountLimits(memory=1 << 30, pids=50, cpu=1.5, cpu_weight=7, io_weight=7),
        )
        self.assertEqual(own, LeafLimits(whole=True))
        words = placement.confinement(account).words()
        self.assertIn("limit=FSIZE:9:9", words)
        self.assertFalse([word for word in words if word.startswith("view=")])

    def test_noBounds(self) -> None:
        """
        Without words of its own an account has the machine's memory and CPUs; a bound below what
        the kernel takes is the least that it does.
        """
        placement = Placement(self.containment, self.homes)
        placement.place(Account("one"), "app", 1, Start(("true",), "socket", whole=False))
        placement.place(Account("one", memory=Size(1)), "app", 2, START)
        (_, plan, own, _), (_, least, _, _) = self.containment.asked
        self.assertEqual((plan.memory, plan.cpu, own.whole), (None, None, False))
        self.assertEqual(least.memory, 1 << 20)

    def test_changed(self) -> None:
        """
        Other bounds are told at once, and that nothing runs any more; where the kernel takes
        neither, nothing else is lost.
        """
        placement = Placement(self.containment, self.homes)
        placement.limit(Account("one", pids=5))
        placement.rested("one")
        self.assertEqual(self.containment.asked, [("one", AccountLimits(pids=5)), ("one",)])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 2)

    def test_view(self) -> None:
        """
        An account that sees only its own has its home in its view, and no other.
        """
        placement = Placement(self.containment, self.homes)
        words = placement.confinement(Account("one", view="own")).words()
        self.assertIn(f"view={self.homes / 'one'}", words)

    def test_outOfMemory(self) -> None:
        """
        Processes that were ended for memory are told of as their app's.
        """
        placement = Placement(self.containment, self.homes)
        heard: list[tuple[str, int, int]] = []
        placement.out_of_memory = lambda *told: heard.append(told)
        placement.place(Account("one"), "app", 3, START)
        told = self.containment.asked[0][3]
        for more in (1, 2):
            told(more)
        self.assertEqual(heard, [("one/app", 3, 1), ("one/app", 3, 2)])

    def test_shared(self) -> None:
        """
        Where all have one user nothing has to be waited for.
        """
        placement = Placement(self.containment, self.homes)
        self.assertIsNone(placement.prepare("one"))
        self.assertEqual((placement.owner("one"), placement.uid("one")), (None, os.geteuid()))
        named = Placement(self.containment, self.homes, owner=(7, 8))
        self.assertEqual((named.owner("one"), named.uid("one")), ((7, 8), 7))

    def test_ownUsers(self) -> None:
        """
        An account is given a user before anything of it runs, once however many ask.
        """
        first = 30_000 if os.geteuid() == 0 else os.geteuid()
        users = Users(self.folder / "users", Accounts("own", first, first + 9), self.homes)
        if os.geteuid() != 0:
            self.patch(users, "_free", os.geteuid)
        waiting: list[tuple[Any, ...]] = []

        def in_thread(*call: Any) -> Deferred[Any]:
            done: Deferred[Any] = Deferred()
            waiting.append((done, *call))
            return done

        placement = Placement(self.containment, self.homes, users=users, in_thread=in_thread)
        self.assertRaises(OSError, placement.owner, "one")
        asked = [placement.prepare("one"), placement.prepare("one")]
        self.assertEqual(len(waiting), 1)
        done, call, account = waiting[0]
        maybeDeferred(call, account).chainDeferred(done)
        for each in asked:
            assert each is not None
            self.successResultOf(each)
        self.assertEqual(len(waiting), 1)
        self.assertEqual(placement.owner("one"), (first, first))
        self.assertIsNone(placement.prepare("one"))

    def test_leftMeanwhile(self) -> None:
        """
        Who leaves while an account is given its user does not have another one given beside it:
        neither to this account nor to the next.
        """
        users = Users(self.folder / "users", Accounts("own", 1, 9), self.homes)
        threads: list[tuple[Deferred[Any], str]] = []

        def in_thread(call: Any, account: str) -> Deferred[Any]:
            done: Deferred[Any] = Deferred()
            threads.append((done, account))
            return done

        placement = Placement(self.containment, self.homes, users=users, in_thread=in_thread)
        left = placement.prepare("one")
        assert left is not None
        left.cancel()
        self.failureResultOf(left, CancelledError)
        again, other = placement.prepare("one"), placement.prepare("two")
        assert again is not None
        assert other is not None
        self.assertEqual([account for _, account in threads], ["one"])
        threads[0][0].callback((7, 7))
        self.successResultOf(again)
        self.assertEqual([account for _, account in threads], ["one", "two"])
        threads[1][0].errback(OSError("no room"))
        self.failureResultOf(other, OSError)
        # what has failed is tried again
        placement.prepare("two")
        self.assertEqual(len(threads), 3)

    def test_noGroup(self) -> None:
        """
        What was launched without a group is looked for in none.
        """
        placement = Placement(self.containment, self.homes)
        self.assertIsNone(placement.find(Entry("boot", "one/app", 3, "unix:/x", "digest")))

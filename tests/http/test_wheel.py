"""Timeouts: never early, never forgotten, no wake-ups without need."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.wheel import GRAIN, HORIZON, NEVER, Wheel


class Fuse:
    """Remembers when it burnt."""

    def __init__(self, clock: Clock, deadline: float) -> None:
        self.clock = clock
        self.deadline = deadline
        self.due = 0
        self.burnt: list[float] = []

    def timed_out(self) -> None:
        self.burnt.append(self.clock.seconds())


class WheelTests(SynchronousTestCase):
    """A wheel on a fake clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.wheel = Wheel(self.clock, self.clock.seconds)

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([0.1] * round(seconds * 10))

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.floats(0.0, 20.0), min_size=1, max_size=8), st.floats(0.0, 3.0))
    def test_neverEarlyHardlyLate(self, deadlines: list[float], start: float) -> None:
        """Each burns once, at its deadline or at most a grain after it."""
        clock = Clock()
        clock.advance(start)
        wheel = Wheel(clock, clock.seconds)
        fuses = [Fuse(clock, clock.seconds() + d) for d in deadlines]
        for fuse in fuses:
            wheel.watch(fuse)
        clock.pump([0.1] * 220)
        for fuse, d in zip(fuses, deadlines, strict=True):
            self.assertEqual(len(fuse.burnt), 1)
            self.assertGreaterEqual(fuse.burnt[0], start + d - 1e-6)
            self.assertLess(fuse.burnt[0], start + d + 2 * GRAIN + 0.2)

    def test_plainAssignmentMovesTheDeadline(self) -> None:
        """A deadline that is only assigned counts, further away or more than a horizon ahead."""
        fuse = Fuse(self.clock, 2.0)
        self.wheel.watch(fuse)
        self.pass_time(1)
        fuse.deadline = NEVER
        self.pass_time(20)
        self.assertEqual(fuse.burnt, [])
        fuse.deadline = self.wheel.now + HORIZON
        self.pass_time(HORIZON + 2 * GRAIN)
        self.assertEqual(len(fuse.burnt), 1)

    def test_hasten(self) -> None:
        """A nearer deadline is met after `hasten`."""
        fuse = Fuse(self.clock, 60.0)
        self.wheel.watch(fuse)
        fuse.deadline = 1.0
        self.wheel.hasten(fuse)
        self.pass_time(2)
        self.assertEqual(len(fuse.burnt), 1)

    def test_forgotten(self) -> None:
        """What is forgotten does not burn; without anything to watch no call is pending."""
        fuse = Fuse(self.clock, 1.0)
        self.wheel.watch(fuse)
        self.wheel.forget(fuse)
        self.wheel.forget(fuse)
        self.pass_time(2)
        self.assertEqual((fuse.burnt, self.clock.getDelayedCalls()), ([], []))
        fuse.deadline = self.clock.seconds() + 1
        self.wheel.watch(fuse)
        self.pass_time(2)
        self.assertEqual(len(fuse.burnt), 1)

    def test_failingTimeout(self) -> None:
        """A timeout that raises is logged; the others still burn."""

        class Dud(Fuse):
            def timed_out(self) -> None:
                raise ZeroDivisionError

        dud, fuse = Dud(self.clock, 1.0), Fuse(self.clock, 1.0)
        self.wheel.watch(dud)
        self.wheel.watch(fuse)
        self.pass_time(2)
        self.assertEqual(len(fuse.burnt), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_soon(self) -> None:
        """What is to happen soon happens in another turn, once, with nothing watched."""
        happened: list[int] = []
        self.wheel.soon(lambda: happened.append(1))
        self.assertEqual(happened, [])
        self.clock.advance(0)
        self.clock.advance(10)
        self.assertEqual(happened, [1])

    def test_forgetsItselfWhileBurning(self) -> None:
        """A connection that ends in its timeout is not put back."""

        class Ending(Fuse):
            def timed_out(inner) -> None:  # noqa: N805
                super().timed_out()
                self.wheel.forget(inner)

        fuse = Ending(self.clock, 1.0)
        self.wheel.watch(fuse)
        self.pass_time(2)
        self.assertEqual((len(fuse.burnt), self.clock.getDelayedCalls()), (1, []))

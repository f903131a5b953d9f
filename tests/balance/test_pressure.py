"""What `hostedge.balance.pressure` decides."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.balance.pressure import (
    ENTERED,
    HYSTERESIS,
    LEAST_IDLE,
    Burden,
    Step,
    idle_time,
    step_for,
)

SHARE = st.floats(0, 2)


class PressureTests(SynchronousTestCase):
    """One number, and the steps of a ladder."""

    def test_heaviest(self) -> None:
        """What presses most is all that counts, and has a name."""
        burden = Burden(connections=0.2, memory=0.75, lag=0.1)
        self.assertEqual((burden.pressure, burden.heaviest), (0.75, "memory"))
        self.assertEqual(Burden().pressure, 0.0)

    def test_entered(self) -> None:
        """Each step is entered above its mark, and not on it."""
        for pressure, step in (
            *((0.0, Step.CALM), (0.70, Step.CALM), (0.71, Step.SHORTEN), (0.80, Step.SHORTEN)),
            *((0.81, Step.NARROW), (0.98, Step.NARROW), (0.99, Step.PAUSE), (3.0, Step.PAUSE)),
        ):
            self.assertIs(step_for(pressure, Step.CALM), step, pressure)

    def test_left(self) -> None:
        """A step is left only where the pressure is lower by the hysteresis."""
        for pressure, before, step in (
            *((0.94, Step.PAUSE, Step.PAUSE), (0.92, Step.PAUSE, Step.NARROW)),
            *((0.76, Step.NARROW, Step.NARROW), (0.74, Step.NARROW, Step.SHORTEN)),
            *((0.66, Step.SHORTEN, Step.SHORTEN), (0.64, Step.SHORTEN, Step.CALM)),
            *((0.76, Step.PAUSE, Step.NARROW), (0.2, Step.PAUSE, Step.CALM)),
        ):
            self.assertIs(step_for(pressure, before), step, (pressure, before))

    @given(SHARE, SHARE, st.sampled_from(Step))
    def test_neverFlutters(self, pressure: float, other: float, before: Step) -> None:
        """What differs by less than the hysteresis does not enter and leave the same step."""
        step = step_for(pressure, before)
        self.assertIs(step_for(pressure, step), step)
        if abs(other - pressure) < HYSTERESIS * 0.99:
            self.assertFalse(step_for(other, step) < step and pressure > ENTERED.get(step, 9))

    def test_idleTime(self) -> None:
        """From the first step on it goes down in a straight line, and never below the least."""
        self.assertEqual(idle_time(60, 0.69, Step.CALM), 60)
        self.assertEqual(idle_time(60, 0.70, Step.SHORTEN), 60)
        self.assertAlmostEqual(idle_time(65, 0.825, Step.NARROW), 35)
        for pressure in (0.95, 0.99, 2.0):
            self.assertAlmostEqual(idle_time(60, pressure, Step.PAUSE), LEAST_IDLE)
        self.assertEqual(idle_time(60, 0.67, Step.SHORTEN), 60)
        self.assertEqual(idle_time(2, 0.95, Step.NARROW), 2)

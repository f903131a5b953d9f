"""When bytes count as silent, and when as too slow."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.pace import Pace


class PaceTests(SynchronousTestCase):
    """Looks every five seconds; 30 s of patience, 500 bytes a second over 10 s."""

    def lags(self, pace: Pace, now: float, amount: int, rate: float = 500.0) -> bool:
        return pace.lags(now, amount, 30.0, rate, 10.0)

    def test_silence(self) -> None:
        """Nothing at all is borne for so long, whatever the rate may be."""
        for rate in (0.0, 500.0):
            pace = Pace(0.0)
            self.assertFalse(self.lags(pace, 29.0, 0, rate))
            self.assertTrue(self.lags(pace, 30.0, 0, rate))

    def test_afterSilence(self) -> None:
        """Whoever goes on after a silence has to make up for it; a byte does not."""
        for amount, lags in ((14_000, True), (15_000, False)):
            pace = Pace(0.0)
            self.assertFalse(self.lags(pace, 29.0, 0))
            self.assertEqual(self.lags(pace, 29.5, amount), lags)

    def test_byteByByte(self) -> None:
        """A byte now and then is not silence, and is too slow."""
        pace = Pace(0.0)
        self.assertFalse(self.lags(pace, 5.0, 1))
        self.assertTrue(self.lags(pace, 10.0, 2))
        patient = Pace(0.0)
        for second in range(5, 600, 5):
            self.assertFalse(self.lags(patient, second, second // 5, rate=0))

    def test_grace(self) -> None:
        """The first seconds are not held against it."""
        pace = Pace(0.0, grace=10.0)
        for second in (5, 10, 15):
            self.assertFalse(self.lags(pace, second, second))
        self.assertTrue(self.lags(pace, 20.0, 20))

    def test_everyWindow(self) -> None:
        """What was fast once may not rest on that."""
        pace = Pace(0.0)
        self.assertFalse(self.lags(pace, 10.0, 1_000_000))
        self.assertFalse(self.lags(pace, 15.0, 1_000_001))
        self.assertTrue(self.lags(pace, 20.0, 1_000_002))

    def test_ourOwnFault(self) -> None:
        """Time in which it could not go on does not count."""
        pace = Pace(0.0)
        for second in range(5, 300, 5):
            pace.rest(second, 0)
        self.assertFalse(self.lags(pace, 324.0, 0))
        self.assertTrue(self.lags(pace, 325.0, 0))

    @given(st.lists(st.floats(0.1, 20.0), min_size=1, max_size=50))
    def test_fastEnough(self, pauses: list[float]) -> None:
        """Whoever keeps the rate is never cut off, whenever it is looked at."""
        pace, now, amount = Pace(0.0), 0.0, 0
        for pause in pauses:
            now += pause
            amount += int(pause * 500) + 1
            self.assertFalse(self.lags(pace, now, amount))

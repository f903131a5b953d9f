"""How often who may ask which site, by `hostedge.net.rates`."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.model.site import Rate
from hostedge.net.rates import REMEMBERED, Limiter, Rates, RateTable
from hostedge.net.sources import SourceTable
from hostedge.observe.counters import make_counters
from hostedge.wire.networks import parse_networks

A, B = "192.0.2.1", "2001:db8::1"
PROXY = "10.0.0.1"


class RatesTests(SynchronousTestCase):
    """Two edges with one table."""

    def setUp(self) -> None:
        self.now = 5000.0
        path = Path(self.mktemp())
        path.mkdir()
        self.slots = SourceTable.create(path / "sources").slots
        self.keeper = RateTable.create(path / "rates")
        self.counters = make_counters()
        self.places = [0, 1]
        self.rates = [
            Rates(
                RateTable.open(path / "rates"),
                self.slots,
                place,
                self.places,
                parse_networks([PROXY]),
                lambda: self.now,
                self.counters,
            )
            for place in range(2)
        ]

    def limiters(self, rate: Rate, site: str = "a.test") -> list[Limiter]:
        return [each.limiter(site, rate) for each in self.rates]

    def taken(self, limiter: Limiter, count: int, client: str = A) -> int:
        return sum(not limiter.ask(client) for _ in range(count))

    def test_burst(self) -> None:
        """As many at once as it says, of each source by itself, and of each site."""
        for burst in (1, 2, 3, 10, 200):
            limiter = self.limiters(Rate(1, burst=burst), f"{burst}.test")[0]
            self.assertEqual(self.taken(limiter, burst + 50), burst)
            self.assertEqual(self.taken(limiter, burst + 50, B), burst)
            # the same /64
            self.assertEqual(self.taken(limiter, 50, "2001:db8::2"), 0)
            self.assertEqual(self.taken(limiter, 2 * burst, PROXY), 2 * burst)
            self.assertEqual(self.taken(limiter, 2 * burst, ""), 2 * burst)

    def test_rate(self) -> None:
        """Whoever asks all the time gets what the rate says; whoever waits as told is let in."""
        for rate in (Rate(50, burst=200), Rate(5), Rate(1), Rate(100, 60.0), Rate(1, 10.0, 3)):
            limiter = self.limiters(rate, repr(rate))[0]
            self.taken(limiter, 1000)
            step = rate.per / rate.requests / 20
            taken = 0
            for _ in range(4000):
                self.now += step
                taken += not limiter.ask(A)
            self.assertLess(abs(taken - 200), 12, rate)
            wait = limiter.ask(A)
            while not wait:
                wait = limiter.ask(A)
            self.now += wait * 0.99
            self.assertTrue(limiter.ask(A))
            self.now += wait * 0.02
            self.assertFalse(limiter.ask(A))

    @settings(max_examples=30)
    @given(st.integers(1, 40), st.integers(1, 200), st.floats(1.0, 3.0))
    def test_patient(self, requests: int, burst: int, patience: float) -> None:
        """Whoever keeps to the rate is never refused, for however long."""
        rate = Rate(requests, burst=burst)
        limiter = self.limiters(rate, repr(rate) + repr(patience))[0]
        for _ in range(500):
            self.assertEqual(limiter.ask(A), 0.0)
            self.now += patience / requests

    def test_edges(self) -> None:
        """On all edges together it is the same, but for what each of them keeps to itself."""
        one, other = self.limiters(Rate(50, burst=200))
        taken = 0
        for _ in range(500):
            taken += self.taken(one, 1) + self.taken(other, 1)
        self.assertGreaterEqual(taken, 200)
        self.assertLessEqual(taken, 300)
        before = taken
        for _ in range(2000):
            self.now += 0.005
            taken += self.taken(one, 1) + self.taken(other, 1)
        self.assertLess(abs(taken - before - 500), 60)
        # one that has not been asked yet knows as soon as it is more than a little
        self.now += 3600
        self.assertEqual(self.taken(one, 500), 200)
        self.assertLess(self.taken(other, 500), 55)

    def test_fewAreNobodyElses(self) -> None:
        """Whoever asks for little is not refused, though the table is full of others' floods."""
        one, other = self.limiters(Rate(10, burst=40))
        for number in range(8000):
            self.taken(one, 60, f"10.1.{number >> 8}.{number & 255}")
        self.assertEqual(self.taken(other, 9, "192.0.2.77"), 9)

    def test_slowestFades(self) -> None:
        """Two pairs in one slot fade as slowly as the slower of them."""
        for first, second in ((1.0, 100.0), (100.0, 1.0)):
            self.keeper.clear(0)
            self.keeper.add(0, (5, 6), 10, self.now, first)
            self.keeper.add(0, (5, 6), 10, self.now, second)
            self.assertGreater(self.keeper.level([0], (5, 6), self.now + 10), 18)
        self.assertLess(self.keeper.level([0], (5, 6), self.now + 2000), 0.001)
        self.keeper.add(0, (5, 6), 10, self.now + 2000, 1.0)
        self.assertLess(self.keeper.level([0], (5, 6), self.now + 2010), 0.001)

    def test_bounded(self) -> None:
        """An edge remembers so many; who asks most is remembered longest."""
        limiter = self.limiters(Rate(10))[0]
        self.taken(limiter, 10)
        for number in range(2 * REMEMBERED):
            limiter.ask(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        self.assertLessEqual(len(self.rates[0].asked), REMEMBERED)
        self.assertEqual(self.taken(limiter, 10), 0)

    def test_edgeThatEnded(self) -> None:
        """What a dead edge was asked counts no more."""
        one, other = self.limiters(Rate(10, burst=40))
        self.taken(one, 40)
        self.assertLess(self.taken(other, 40), 40)
        self.keeper.clear(0)
        self.now += 600
        self.assertEqual(self.taken(other, 60), 40)

    def test_dryRun(self) -> None:
        """A dry run is counted."""
        limiter = self.limiters(Rate(10, dry_run=True))[0]
        self.taken(limiter, 15)
        self.assertEqual(self.counters["rate_dry_run"], 5)

    def test_alone(self) -> None:
        """Where there is no other edge nobody is told anything."""
        rates = self.rates[0]
        self.places.remove(1)
        self.assertEqual(rates.others, [])
        limiter = rates.limiter("a.test", Rate(10))
        self.assertEqual(self.taken(limiter, 50), 10)
        self.assertEqual(self.keeper.level([0], self.slots(f"{A} a.test"), self.now), 0.0)

"""What `hostedge.observe.tally` makes of answers."""

from __future__ import annotations

from attrs import frozen
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.observe.sites import BOUNDS, IDLE, Activity, Sites
from hostedge.observe.tally import Tally


@frozen
class Ended:
    """An exchange that has ended."""

    status: int
    total: float
    sent: int = 10
    site: Activity | None = None


class TallyTests(SynchronousTestCase):
    """One edge's answers."""

    def test_counts(self) -> None:
        """Each answer counts once: by its status, in the bucket of its time; and is handed on."""
        recorded: list[Ended] = []
        tally = Tally(Sites(lambda: 0.0), recorded.append)
        ended = [Ended(200, 0.0005), Ended(204, 0.001), Ended(404, 0.0011), Ended(499, 3600.0)]
        for each in ended:
            tally.record(each)
        report = tally.report()
        self.assertEqual(report["statuses"], {"2xx": 2, "4xx": 2})
        buckets = [0] * (len(BOUNDS) + 1)
        buckets[0], buckets[1], buckets[-1] = 2, 1, 1
        self.assertEqual(report["durations"], buckets)
        self.assertEqual(report["bytes"], 40)
        self.assertAlmostEqual(float(str(report["seconds"])), 3600.0026)
        self.assertEqual(recorded, ended)

    def test_bySite(self) -> None:
        """
        A site's own are told apart, and with all others; how long a WebSocket was open is in no
        latency. What has fallen idle meanwhile is still in the sum.
        """
        clock = Clock()
        sites = Sites(clock.seconds)
        tally = Tally(sites, lambda ended: None)
        site = sites.add("a.test")
        site.begun += 3
        for each in (Ended(200, 0.0005, site=site), Ended(502, 3.0, site=site), Ended(404, 1.0)):
            tally.record(each)
        tally.record(Ended(101, 3600.0, site=site))
        said = site.tell(0)
        self.assertEqual((said["requests"], said["statuses"]), (3, [1, 1, 0, 0, 1]))
        self.assertEqual((said["bytes"], said["seconds"]), (30, 3.0005))
        self.assertEqual([n for n, count in enumerate(said["durations"]) if count], [0, 11])
        seconds = 0.0
        for _ in range(3):
            report = tally.report()
            self.assertEqual(report["statuses"], {"1xx": 1, "2xx": 1, "4xx": 1, "5xx": 1})
            self.assertEqual(report["bytes"], 40)
            self.assertGreaterEqual(float(str(report["seconds"])), seconds)
            seconds = float(str(report["seconds"]))
            self.assertAlmostEqual(seconds, 4.0005)
            self.assertEqual(sum(report["durations"]), 3)  # type: ignore[call-overload]
            clock.advance(IDLE)
            sites.page(0, {})
        self.assertEqual(sites.active, {})

    def test_bounds(self) -> None:
        """They rise."""
        self.assertEqual(sorted(set(BOUNDS)), list(BOUNDS))

"""What `hostedge.observe.tally` makes of answers."""

from __future__ import annotations

from typing import Any

from attrs import frozen
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.observe.access_log import PARTS
from hostedge.observe.sites import BOUNDS, IDLE, Activity, Sites
from hostedge.observe.tally import PHASES, Tally


@frozen
class Ended:
    """An exchange that has ended."""

    status: int
    total: float
    sent: int = 10
    site: Activity | None = None
    spent: dict[str, float] | None = None
    first_byte: float = 0.0


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

    def test_phases(self) -> None:
        """Each phase counts the requests that spent time on it; a WebSocket's stay is no answer."""
        tally = Tally(Sites(lambda: 0.0), lambda ended: None)
        for ended in (
            Ended(200, 1.0, spent={"queue": 0.5, "answer": 0.0001}, first_byte=0.2),
            Ended(200, 1.0, spent={"queue": 0.75}),
            Ended(101, 99.0, spent={"answer": 98.0, "connect": 0.3}, first_byte=0.2),
            Ended(200, 1.0),
        ):
            tally.record(ended)
        phases: Any = tally.report()["phases"]
        self.assertEqual(phases.keys(), {"queue", "answer", "connect", "first_byte"})
        for phase, counts, seconds in (
            ("queue", {0.5: 1, 1.0: 1}, 1.25),
            ("answer", {0.001: 1}, 0.0001),
            ("connect", {0.5: 1}, 0.3),
            ("first_byte", {0.25: 2}, 0.4),
        ):
            told = phases[phase]
            self.assertEqual(
                {bound: n for bound, n in zip(BOUNDS, told["durations"], strict=False) if n}, counts
            )
            self.assertEqual(len(told["durations"]), len(BOUNDS) + 1)
            self.assertAlmostEqual(told["seconds"], seconds)
        self.assertEqual({*PHASES}, {*PARTS, "first_byte"})

    def test_protocols(self) -> None:
        """WebSockets are apart, by whichever protocol they came; so are both of HTTP."""
        tally = Tally(Sites(lambda: 0.0), lambda ended: None)
        for status in (200, 200, 404, 101, 101):
            tally.record(Ended(status, 0.1))
        tally.h2[2] += 1
        tally.h2[1] += 1
        self.assertEqual(
            tally.report()["protocols"],
            {"h1": {"2xx": 1, "4xx": 1}, "h2": {"2xx": 1}, "ws": {"1xx": 2}},
        )

    def test_bounds(self) -> None:
        """They rise."""
        self.assertEqual(sorted(set(BOUNDS)), list(BOUNDS))

"""What `hostedge.observe.tally` makes of answers."""

from __future__ import annotations

from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from hostedge.observe.tally import BOUNDS, Tally


@frozen
class Ended:
    """An exchange that has ended."""

    status: int
    total: float
    sent: int = 10


class TallyTests(SynchronousTestCase):
    """One edge's answers."""

    def test_counts(self) -> None:
        """Each answer counts once: by its status, in the bucket of its time; and is handed on."""
        recorded: list[Ended] = []
        tally = Tally(recorded.append)
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

    def test_bounds(self) -> None:
        """They rise."""
        self.assertEqual(sorted(set(BOUNDS)), list(BOUNDS))

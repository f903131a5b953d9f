"""Which sites have series: `hostedge.api.site_series`."""

from __future__ import annotations

from typing import Any

from prometheus_client.core import Metric
from twisted.trial.unittest import SynchronousTestCase

from hostedge.api.site_series import SiteSeries
from hostedge.observe.sites import BUCKETS, Activity


def edge(index: int, requests: dict[str, int]) -> dict[str, Any]:
    """What an edge tells: each site with answers of 200, one request in flight."""
    told = []
    for number, (name, count) in enumerate(requests.items(), 1):
        activity = Activity(name, number, 0.0)
        activity.begun, activity.counts[2 * BUCKETS] = count + 1, count
        activity.bytes, activity.seconds = 10 * count, 0.5 * count
        told.append(activity.tell(waiting=2))
    return {"index": index, "pid": 70 + index, "sites": told}


class ChosenTests(SynchronousTestCase):
    """From scrape to scrape."""

    def test_busiest(self) -> None:
        """Of more sites than there are series for, those that are asked most, on all edges."""
        series = SiteSeries(2)
        edges = [edge(0, {"a": 5, "b": 4, "c": 1}), edge(1, {"b": 4, "c": 1})]
        self.assertEqual(series.choose(edges), {"a", "b"})

    def test_keptWhileActive(self) -> None:
        """A busier one waits until one with series is idle everywhere."""
        series = SiteSeries(2)
        series.choose([edge(0, {"a": 5, "b": 4})])
        busier = {"a": 5, "b": 4, "c": 1000}
        self.assertEqual(series.choose([edge(0, busier)]), {"a", "b"})
        self.assertEqual(
            series.choose([edge(0, {"b": 4, "c": 1000}), edge(1, {"a": 1})]), {"a", "b"}
        )
        self.assertEqual(series.choose([edge(0, {"b": 4, "c": 1000})]), {"b", "c"})
        self.assertEqual(series.choose([]), set())

    def test_begun(self) -> None:
        """A site whose first request has not ended may have them."""
        self.assertEqual(SiteSeries(1).choose([edge(0, {"a": 0})]), {"a"})

    def test_none(self) -> None:
        """Zero series are none; how many sites are active is told all the same."""
        families = {each.name: each for each in SiteSeries(0).families([edge(0, {"a": 5})])}
        self.assertEqual(families["hostedge_active_sites"].samples[0].value, 1)
        self.assertFalse([s for f in families.values() for s in f.samples if "site" in s.labels])


class FamiliesTests(SynchronousTestCase):
    """What they say."""

    def values(self, families: list[Metric]) -> dict[tuple[str, ...], float]:
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in families
            for sample in family.samples
        }

    def test_values(self) -> None:
        """By edge and site, as the edge has it."""
        found = self.values(list(SiteSeries(5).families([edge(0, {"a": 4}), edge(1, {"a": 2})])))
        self.assertEqual(
            found,
            {
                ("hostedge_active_sites", "0"): 1,
                ("hostedge_active_sites", "1"): 1,
                ("hostedge_site_answers_total", "0", "a", "2xx"): 4,
                ("hostedge_site_answers_total", "1", "a", "2xx"): 2,
                ("hostedge_site_answered_bytes_total", "0", "a"): 40,
                ("hostedge_site_answered_bytes_total", "1", "a"): 20,
                ("hostedge_site_answering_seconds_total", "0", "a"): 2.0,
                ("hostedge_site_answering_seconds_total", "1", "a"): 1.0,
                ("hostedge_site_in_flight", "0", "a"): 1,
                ("hostedge_site_in_flight", "1", "a"): 1,
                ("hostedge_site_waiting", "0", "a"): 2,
                ("hostedge_site_waiting", "1", "a"): 2,
            },
        )

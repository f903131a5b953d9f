"""Series of apps and pools: `hostedge.api.backend_series`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hostedge.api.backend_series import BackendSeries
from hostedge.observe.traffic import COUNTS

GONE = {"number": 1, "kind": "", "backend": "", **dict.fromkeys(COUNTS, 0)}


def backend(number: int, name: str, requests: int, **more: Any) -> dict[str, Any]:
    """What an edge tells of one."""
    told = {**dict.fromkeys(COUNTS, 0), "in_flight": 1, "sockets": 0, "capacity": 4, "waiting": 2}
    told |= {"connections": 3, "states": {"up": 1}, "requests": requests}
    return {"number": number, "kind": "app", "backend": name, **told, **more}


def edge(*backends: dict[str, Any], gone: int = 0, pid: int = 70) -> dict[str, Any]:
    return {"index": 0, "pid": pid, "backends": [{**GONE, "requests": gone}, *backends]}


class SeriesTests(SynchronousTestCase):
    """From scrape to scrape."""

    def values(self, series: BackendSeries, *edges: dict[str, Any]) -> dict[tuple[str, ...], float]:
        return {
            (sample.name.removeprefix("hostedge_"), *sample.labels.values()): sample.value
            for family in series.families(list(edges))
            for sample in family.samples
        }

    def requests(self, series: BackendSeries, *edges: dict[str, Any]) -> dict[str, float]:
        found = self.values(series, *edges)
        return {key[-1]: n for key, n in found.items() if key[0] == "backend_requests_total"}

    def test_values(self) -> None:
        """Each that has series says all of itself; all others are one."""
        resting = {"up": 1, "resting": 2}
        found = self.values(
            BackendSeries(1),
            edge(
                backend(2, "a/one", 5, errors=1),
                backend(3, "a/two", 2, kind="pool", states=resting, retries=4),
                backend(4, "a/three", 1, kind="pool", states=resting, retries=5),
            ),
        )
        one, other = ("0", "app", "a/one"), ("0", "", "other")
        for key, value in {
            ("active_backends", "0"): 3,
            ("backend_requests_total", *one): 5,
            ("backend_errors_total", *one): 1,
            ("backend_in_flight", *one): 1,
            ("backend_servers", *one, "up"): 1,
            ("backend_requests_total", *other): 3,
            ("backend_retries_total", *other): 9,
            ("backend_waiting", *other): 4,
            ("backend_connections", *other): 6,
            ("backend_servers", *other, "up"): 2,
            ("backend_servers", *other, "resting"): 4,
        }.items():
            self.assertEqual(found[key], value, key)
        self.assertNotIn(("backend_servers", *one, "resting"), found)
        self.assertEqual({key[2:4] for key in found if len(key) > 3}, {one[1:], other[1:]})

    def test_others(self) -> None:
        """Nothing is counted twice or forgotten, whoever gets series, goes, or comes again."""
        series = BackendSeries(1)
        found = self.requests(series, edge(backend(2, "a", 9), backend(3, "b", 4)))
        self.assertEqual(found, {"a": 9, "other": 4})
        # one that has series is gone: only what nobody has told of it is new
        found = self.requests(series, edge(backend(3, "b", 5), backend(4, "c", 2), gone=10))
        self.assertEqual(found, {"b": 5, "other": 4 + 1 + 2})
        # so is one that had none, and one comes again
        found = self.requests(series, edge(backend(3, "b", 6), backend(5, "a", 1), gone=12))
        self.assertEqual(found, {"b": 6, "other": 8})
        # it is in no page, as it has gone between two of them
        found = self.requests(series, edge(backend(3, "b", 6), gone=12))
        self.assertEqual(found, {"b": 6, "other": 8})
        found = self.requests(series, edge(backend(3, "b", 7), gone=14))
        self.assertEqual(found, {"b": 7, "other": 9})

    def test_newEdge(self) -> None:
        """An edge that was replaced begins at zero, as its counters do."""
        series = BackendSeries(0)
        self.assertEqual(self.requests(series, edge(backend(2, "a", 9))), {"other": 9})
        self.assertEqual(self.requests(series, edge(backend(2, "a", 2), pid=71)), {"other": 2})
        self.assertEqual(self.requests(series), {})

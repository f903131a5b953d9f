"""
The series of apps and pools, for Prometheus: of the busiest, and one of all others together.

In:  `api.metrics`, with what `Node.backends` has answered.
Out: metric families by edge, kind and back end.

What is counted for all others is added up from one scrape to the next: so it grows, also when one
of them gets series of its own, or an edge forgets it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from hostedge.api.busiest import Busiest
from hostedge.http.lane import STATES
from hostedge.observe.traffic import COUNTS

_LABELS = ["edge", "kind", "backend"]
OTHER = ("", "other")
_TEXTS = {
    "requests": "requests that were sent to a back end",
    "reused": "of these, on a connection that had served one before",
    "connects": "connections made or tried to a back end",
    "connect_errors": "connections to a back end that could not be made",
    "errors": "requests to which it gave no whole and valid answer in time",
    "retries": "requests that were sent to it once more",
    "queue_seconds": "what requests that had to wait for a place have waited together",
    "ejections": "times that it, or a server of it, was left alone since it could not be reached",
}
_GAUGES = {
    "in_flight": "requests that have a place there",
    "sockets": "WebSockets that are open to it",
    "capacity": "places for requests that this edge has there",
    "waiting": "requests that wait for a place",
    "connections": "connections to it that are open",
}
Name = tuple[str, str]
# in the order of `COUNTS`
Counts = list[float]
_NOTHING: Counts = [0] * len(COUNTS)


class BackendSeries:
    """What was told at the last scrape, and who has series; `most` of them, 0: none."""

    def __init__(self, most: int) -> None:
        self._busiest: Busiest[Name] = Busiest(most)
        # of each edge's process: what each number had counted, what all others come to, and what
        # of that was told
        self._before: dict[int, dict[int, Counts]] = {}
        self._others: dict[int, Counts] = {}
        self._told: dict[int, Counts] = {}

    def families(self, edges: list[dict[str, Any]]) -> Iterator[Metric]:
        requests: Counter[Name] = Counter()
        for edge in edges:
            for each in edge["backends"]:
                if each["kind"]:
                    busy = each["requests"] + each["in_flight"] + each["waiting"]
                    requests[each["kind"], each["backend"]] += busy
        named = self._busiest.choose(requests)
        pids = {edge["pid"] for edge in edges}
        self._before = {pid: was for pid, was in self._before.items() if pid in pids}
        self._others = {pid: was for pid, was in self._others.items() if pid in pids}
        self._told = {pid: was for pid, was in self._told.items() if pid in pids}
        known = GaugeMetricFamily(
            "hostedge_active_backends", "apps and pools that anything has gone to", labels=["edge"]
        )
        counters = {
            name: CounterMetricFamily(f"hostedge_backend_{name}", text, labels=_LABELS)
            for name, text in _TEXTS.items()
        }
        gauges = {
            name: GaugeMetricFamily(f"hostedge_backend_{name}", text, labels=_LABELS)
            for name, text in _GAUGES.items()
        }
        servers = GaugeMetricFamily(
            "hostedge_backend_servers",
            "servers of a back end by their state; an app is one",
            labels=[*_LABELS, "state"],
        )
        for edge in edges:
            index = str(edge["index"])
            active = [each for each in edge["backends"] if each["kind"]]
            known.add_metric([index], len(active))
            rows = [each for each in active if (each["kind"], each["backend"]) in named]
            rest = [each for each in active if (each["kind"], each["backend"]) not in named]
            for each in (*rows, self._other(edge, named, rest)):
                labels = [index, each["kind"], each["backend"]]
                for name, counter in counters.items():
                    counter.add_metric(labels, each[name])
                for name, gauge in gauges.items():
                    gauge.add_metric(labels, each[name])
                for state in STATES:
                    if state == "up" or state in each["states"]:
                        servers.add_metric([*labels, state], each["states"].get(state, 0))
        yield from (known, *counters.values(), *gauges.values(), servers)

    def _other(
        self, edge: dict[str, Any], named: frozenset[Name], rest: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """All that have no series of their own, as if they were one."""
        before = self._before.get(edge["pid"], {})
        now = {each["number"]: [each[name] for name in COUNTS] for each in edge["backends"]}
        others = self._others.get(edge["pid"], _NOTHING)
        for each in edge["backends"]:
            if (each["kind"], each["backend"]) not in named:
                number = each["number"]
                others = _plus(_minus(others, before.get(number, _NOTHING)), now[number])
        for number in before.keys() - now.keys():
            # what has been told of it as one that is there has come again with those that are not
            others = _minus(others, before[number])
        self._before[edge["pid"]], self._others[edge["pid"]] = now, others
        # one that is forgotten between two pages is in none of them until the next scrape
        told = [*map(max, self._told.get(edge["pid"], _NOTHING), others)]
        self._told[edge["pid"]] = told
        states: Counter[str] = Counter()
        for each in rest:
            states.update(each["states"])
        sums = {name: sum([each[name] for each in rest]) for name in _GAUGES}
        counts = dict(zip(COUNTS, told, strict=True))
        return {"kind": OTHER[0], "backend": OTHER[1], **sums, **counts, "states": states}


def _plus(ones: Counts, others: Counts) -> Counts:
    return [one + other for one, other in zip(ones, others, strict=True)]


def _minus(ones: Counts, others: Counts) -> Counts:
    return [one - other for one, other in zip(ones, others, strict=True)]

"""
The series of sites, for Prometheus: only of active ones, and no more than a number of them.

In:  `api.metrics`, with what `Node.sites` has answered.
Out: metric families by edge and site.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from hostedge.api.busiest import Busiest

_LABELS = ["edge", "site"]


class SiteSeries:
    """Which sites have series; `most` of them, 0: none has."""

    def __init__(self, most: int) -> None:
        self._busiest: Busiest[str] = Busiest(most)

    def choose(self, edges: list[dict[str, Any]]) -> frozenset[str]:
        """The sites that have series from now on."""
        requests: Counter[str] = Counter()
        for edge in edges:
            for each in edge["sites"]:
                # also of one that has only begun
                requests[each["site"]] += each["requests"] + each["in_flight"]
        return self._busiest.choose(requests)

    def families(self, edges: list[dict[str, Any]]) -> Iterator[Metric]:
        active = GaugeMetricFamily(
            "hostedge_active_sites", "sites with a request in the last minutes", labels=["edge"]
        )
        for edge in edges:
            active.add_metric([str(edge["index"])], len(edge["sites"]))
        yield active
        named = self.choose(edges)
        answers = CounterMetricFamily(
            "hostedge_site_answers",
            "answers of a site by the class of their status",
            labels=[*_LABELS, "class"],
        )
        sent = CounterMetricFamily(
            "hostedge_site_answered_bytes",
            "bytes of the bodies of a site's answers",
            labels=_LABELS,
        )
        seconds = CounterMetricFamily(
            "hostedge_site_answering_seconds",
            "what all of a site's answers took together, WebSockets apart",
            labels=_LABELS,
        )
        in_flight = GaugeMetricFamily(
            "hostedge_site_in_flight", "requests of a site that are being answered", labels=_LABELS
        )
        waiting = GaugeMetricFamily(
            "hostedge_site_waiting", "requests of a site that wait for a place", labels=_LABELS
        )
        for edge in edges:
            index = str(edge["index"])
            for each in edge["sites"]:
                labels = [index, each["site"]]
                if each["site"] not in named:
                    continue
                for kind, count in enumerate(each["statuses"], 1):
                    if count:
                        answers.add_metric([*labels, f"{kind}xx"], count)
                sent.add_metric(labels, each["bytes"])
                seconds.add_metric(labels, each["seconds"])
                in_flight.add_metric(labels, each["in_flight"])
                waiting.add_metric(labels, each["waiting"])
        yield from (answers, sent, seconds, in_flight, waiting)

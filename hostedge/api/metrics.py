"""
What the node counts, for Prometheus.

In:  what `GET /v1/status` and `GET /v1/sites` are made of, and what has gone to back ends.
Out: an exposition in the format that the caller accepts: Prometheus text, or OpenMetrics.

Series are labelled by edge: an edge that is replaced begins at zero, which is what a scraper
expects of a counter. Of sites and back ends only the busiest have series: `api.busiest`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import accumulate, chain
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder

from hostedge.api import counter_series, daemon_metrics
from hostedge.api.backend_series import BackendSeries
from hostedge.api.parts import Node
from hostedge.api.site_series import SiteSeries
from hostedge.balance.pressure import Step
from hostedge.http.entrance import STAGES
from hostedge.observe.sites import BOUNDS
from hostedge.settings import Metrics

_LIMITS = (*(str(bound) for bound in BOUNDS), "+Inf")
_GAUGES = {
    "in_flight": "requests that are being answered",
    "uptime_seconds": "since the edge began",
    "store_revision": "the newest revision of the route store that is in force",
    "hosts": "names that are kept compiled",
    "pressure": "how much of what it can bear the edge has to bear: 1 is all",
    "overload_step": "0 calm, 1 idle connections get less time, 2 HTTP/2 as well, 3 none accepted",
    "reactor_lag_seconds": "how late its reactor was, a moment ago",
}
# in the report of an edge, where it is another word
_KEYS = {"uptime_seconds": "uptime", "store_revision": "revision", "reactor_lag_seconds": "lag"}


class Scrapes:
    """Whoever asks here again and again."""

    def __init__(self, node: Node, settings: Metrics) -> None:
        self._node = node
        self._sites = SiteSeries(settings.sites)
        self._backends = BackendSeries(settings.backends)

    async def answer(self, accept: str) -> tuple[bytes, str]:
        """The text and its media type, as the node is now."""
        status = await self._node.status()
        sites = self._sites.families(await self._node.sites())
        backends = self._backends.families(await self._node.backends())
        of_apps = await daemon_metrics.families(self._node)
        return exposition(status, chain(sites, backends, of_apps), accept)


def exposition(status: dict[str, Any], chosen: Iterable[Metric], accept: str) -> tuple[bytes, str]:
    """Give the text and its media type; `chosen`: families of what not all of has series."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(status, chosen))
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


class _Collector:
    """One scrape."""

    def __init__(self, status: dict[str, Any], chosen: Iterable[Metric]) -> None:
        self._status = status
        self._chosen = chosen

    def collect(self) -> Iterator[Metric]:
        status = self._status
        edges = [each for each in status["edges"] if "counters" in each]
        yield GaugeMetricFamily(
            "hostedge_keeper_up", "whether control reaches the keeper", int(status["keeper"])
        )
        yield GaugeMetricFamily(
            "hostedge_revision", "the newest revision of the route store", status["revision"]
        )
        living = GaugeMetricFamily(
            "hostedge_edges", "edges by whether they answer", labels=["state"]
        )
        living.add_metric(["linked"], len(edges))
        living.add_metric(["silent"], len(status["edges"]) - len(edges))
        yield living
        yield from _gauges(edges)
        yield from _answers(edges)
        yield _connections(edges)
        yield from counter_series.families(edges)
        yield from self._chosen


def _gauges(edges: list[dict[str, Any]]) -> Iterator[Metric]:
    for name, text in _GAUGES.items():
        family = GaugeMetricFamily(f"hostedge_{name}", text, labels=["edge"])
        for edge in edges:
            family.add_metric([str(edge["index"])], _gauge(edge, name))
        yield family


def _gauge(edge: dict[str, Any], name: str) -> float:
    if name == "hosts":
        return float(edge["hosts"]["hosts"])
    if name == "overload_step":
        return float(Step[str(edge["step"]).upper()])
    return float(edge[_KEYS.get(name, name)])


def _connections(edges: list[dict[str, Any]]) -> Metric:
    family = GaugeMetricFamily(
        "hostedge_connections",
        "connections of clients by where they stand: the handshake is of TLS or of a proxy before",
        labels=["edge", "state"],
    )
    for edge in edges:
        for stage in ("handshake", *STAGES, "dns"):
            family.add_metric([str(edge["index"]), stage], edge["stages"].get(stage, 0))
    return family


def _answers(edges: list[dict[str, Any]]) -> Iterator[Metric]:
    answers = CounterMetricFamily(
        "hostedge_requests",
        "requests that were answered, by protocol and the class of the status",
        labels=["edge", "protocol", "class"],
    )
    sent = CounterMetricFamily(
        "hostedge_answered_bytes", "bytes of the bodies of answers", labels=["edge"]
    )
    durations = HistogramMetricFamily(
        "hostedge_request_duration_seconds",
        "from the end of a request's head to the end of its answer",
        labels=["edge"],
    )
    phases = HistogramMetricFamily(
        "hostedge_phase_seconds",
        "what requests have spent their time on, of each those that did, as in the access log",
        labels=["edge", "phase"],
    )
    for edge in edges:
        index = str(edge["index"])
        for protocol, counts in edge["protocols"].items():
            for kind, count in counts.items():
                answers.add_metric([index, protocol, kind], count)
        sent.add_metric([index], edge["bytes"])
        durations.add_metric([index], _buckets(edge["durations"]), edge["seconds"])
        for phase, spent in edge["phases"].items():
            phases.add_metric([index, phase], _buckets(spent["durations"]), spent["seconds"])
    yield from (answers, sent, durations, phases)


def _buckets(durations: list[int]) -> list[tuple[str, float]]:
    return list(zip(_LIMITS, accumulate(durations), strict=True))

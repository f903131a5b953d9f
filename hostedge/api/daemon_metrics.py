"""
What the keeper counts of apps, for Prometheus.

In:  `api.metrics` at each scrape.
Out: families of series; their number does not grow with the number of apps.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from twisted.internet.defer import TimeoutError as DeferredTimeout

from hostedge.api.parts import Node
from hostedge.errors import ConfigError
from hostedge.supervise.daemon_counts import BOUNDS

_LIMITS = (*(str(bound) for bound in BOUNDS), "+Inf")
_EVENTS = {
    "evictions": "apps that were stopped because others needed the memory",
    "oom": "apps that were killed for memory",
    "crashes": "apps that ended by themselves",
    "start_timeouts": "starts that were given up because nothing answered in time",
    "given_up": "apps that failed so often that they are tried only now and then",
    "idle_stops": "apps that were stopped because nobody used them",
    "adopted": "daemons that were taken over from an earlier keeper",
    "stuck": "daemons that did not end when they were killed",
}
_LOGS = {
    "log_cuts": "logs of apps that had become too long and were cut",
    "log_lost_bytes": "bytes of logs that are in no file, because too many came at once",
    "events_dropped": "events that could not be written beside an app's log",
}
# count -> the label of its parts, and what it is
_BY = {
    "starts": ("result", "starts of apps by what came of them"),
    "wakes": ("by", "starts of apps by what they were wanted for"),
    "reloads": ("result", "replacements of running apps by what came of them"),
}


async def families(node: Node) -> list[Metric]:
    """All of it; none while the keeper is away, which `hostedge_keeper_up` tells."""
    try:
        counts = await node.daemon_counts()
    except (ConfigError, DeferredTimeout):
        return []
    return list(families_of(counts))


def families_of(counts: dict[str, Any]) -> Iterator[Metric]:
    """The same of what the keeper has told."""
    for name, (label, text) in _BY.items():
        family = CounterMetricFamily(f"hostedge_daemon_{name}", text, labels=[label])
        for value, count in sorted(counts[name].items()):
            family.add_metric([value], count)
        yield family
    for told, texts in ((counts["events"], _EVENTS), (counts["logs"], _LOGS)):
        for name, text in texts.items():
            yield CounterMetricFamily(f"hostedge_daemon_{name}", text, told[name])
    yield _durations(counts["phases"])
    yield GaugeMetricFamily(
        "hostedge_daemon_generations", "daemons that live, old ones too", counts["generations"]
    )
    states = GaugeMetricFamily("hostedge_daemons", "apps by their state", labels=["state"])
    for state, count in sorted(counts["apps"].items()):
        states.add_metric([state], count)
    yield states


def _durations(phases: dict[str, Any]) -> Metric:
    family = HistogramMetricFamily(
        "hostedge_daemon_start_seconds",
        "how long starts took that came up, in parts and as a whole",
        labels=["phase"],
    )
    for phase, told in phases.items():
        buckets = list(zip(_LIMITS, accumulate(told["counts"]), strict=True))
        family.add_metric([phase], buckets, told["seconds"])
    return family

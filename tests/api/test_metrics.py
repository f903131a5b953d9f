"""What Prometheus reads of `hostedge.api.metrics`, by its own parsers."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path
from typing import Any

from prometheus_client.core import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_open
from prometheus_client.parser import text_string_to_metric_families as read_text
from twisted.trial.unittest import SynchronousTestCase

from hostedge.api.backend_series import BackendSeries
from hostedge.api.counter_series import GROUPS, PLAIN
from hostedge.api.daemon_metrics import families_of
from hostedge.api.metrics import exposition
from hostedge.api.site_series import SiteSeries
from hostedge.http.entrance import STAGES
from hostedge.http.lane import STATES
from hostedge.observe.sites import BOUNDS, Sites
from hostedge.observe.tally import PHASES, Tally
from hostedge.supervise.daemon_counts import DaemonCounts
from tests.api.test_backend_series import backend
from tests.api.test_backend_series import edge as edge_of
from tests.api.test_site_series import edge as edge_with
from tests.observe.test_tally import Ended

LOGS = {"log_cuts": 0, "log_lost_bytes": 0, "events_dropped": 0}
APPS = {"apps": {"READY": 1}, "wakes": {"request": 1}}
BUSY = edge_with(0, {"a.test": 3})
PAGE = (Path(__file__).resolve().parent.parent.parent / "docs/metrics.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \| ([^|]*) \| ([^|]*) \|$", re.MULTILINE)
A_TEST = ("site", "a.test")
H1, H2 = ("protocol", "h1"), ("protocol", "h2")
QUEUE = ("phase", "queue")


def edge(index: int, **counters: int) -> dict[str, Any]:
    tally = Tally(Sites(lambda: 0.0), lambda ended: None)
    for seconds in (0.0001, 0.3, 100.0):
        tally.record(Ended(200, seconds, spent={"queue": seconds}))
    tally.h2[2] += 1
    return {
        "index": index,
        "stages": {"handshake": 1, "idle": 2},
        "in_flight": 1,
        "uptime": 12.5,
        "revision": 7,
        "hosts": {"hosts": 2},
        "pressure": 0.25,
        "step": "narrow",
        "lag": 0.001,
        "counters": counters,
        **tally.report(),
    }


def families() -> list[Metric]:
    """Every family that a scrape can have, each with every label."""
    status = {"keeper": True, "revision": 7, "edges": [edge(0)]}
    chosen = chain(
        SiteSeries(1).families([BUSY]),
        BackendSeries(1).families([edge_of(backend(2, "a/b", 1))]),
        families_of({**DaemonCounts().tell(), "logs": LOGS, **APPS}),
    )
    return list(read_text(exposition(status, chosen, "")[0].decode()))


class PageTests(SynchronousTestCase):
    """What is written of them: `docs/metrics.md`."""

    def test_everyMetric(self) -> None:
        """The page has each metric with its type, its labels and what it is, and no other."""
        written = {
            name: (kind, {*re.findall(r"`(\w+)`", labels)}, text)
            for name, kind, labels, text in ROW.findall(PAGE)
        }
        told = {}
        for family in families():
            name = f"{family.name}_total" if family.type == "counter" else family.name
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            told[name] = (family.type, labels, family.documentation)
        self.assertEqual(written, told)

    def test_everyValue(self) -> None:
        """The values of labels that are ours are there, but causes, which the log's page has."""
        values = {*PHASES, *STAGES, *STATES, "handshake", "dns", "h1", "h2", "ws", "app", "pool"}
        values |= {word for group in GROUPS[1:] for row in group.rows for word in row}
        for value in values:
            self.assertIn(f"`{value}`", PAGE)


class ExpositionTests(SynchronousTestCase):
    """One scrape."""

    def samples(self, text: bytes, read: Any) -> dict[tuple[Any, ...], float]:
        return {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in read(text.decode())
            for sample in family.samples
        }

    def test_both(self) -> None:
        """Either format has every series, and one line for each."""
        status = {
            "keeper": True,
            "revision": 7,
            "edges": [edge(0, http_requests=5), edge(1), {"index": 2, "linked": False}],
        }
        for accept, read in (
            ("", read_text),
            ("application/openmetrics-text;version=1.0.0", read_open),
        ):
            text, media_type = exposition(status, SiteSeries(5).families([BUSY]), accept)
            self.assertTrue(media_type.startswith(accept.partition(";")[0] or "text/plain"))
            found = self.samples(text, read)
            for name in PLAIN:
                for index in ("0", "1"):
                    self.assertIn((f"hostedge_{name}_total", ("edge", index)), found)
            duration = "hostedge_request_duration_seconds"
            phase = "hostedge_phase_seconds"
            for key, value in {
                ("hostedge_http_requests_total", ("edge", "0")): 5,
                ("hostedge_http_requests_total", ("edge", "1")): 0,
                ("hostedge_requests_total", ("class", "2xx"), ("edge", "1"), H1): 2,
                ("hostedge_requests_total", ("class", "2xx"), ("edge", "1"), H2): 1,
                ("hostedge_answered_bytes_total", ("edge", "0")): 30,
                ("hostedge_connections", ("edge", "0"), ("state", "idle")): 2,
                ("hostedge_connections", ("edge", "0"), ("state", "closing")): 0,
                ("hostedge_hosts", ("edge", "1")): 2,
                ("hostedge_overload_step", ("edge", "1")): 2,
                ("hostedge_pressure", ("edge", "0")): 0.25,
                ("hostedge_uptime_seconds", ("edge", "1")): 12.5,
                ("hostedge_store_revision", ("edge", "1")): 7,
                ("hostedge_edges", ("state", "linked")): 2,
                ("hostedge_edges", ("state", "silent")): 1,
                ("hostedge_site_answers_total", ("class", "2xx"), ("edge", "0"), A_TEST): 3,
                ("hostedge_keeper_up",): 1,
                ("hostedge_revision",): 7,
                (f"{duration}_count", ("edge", "0")): 3,
                (f"{duration}_bucket", ("edge", "0"), ("le", str(BOUNDS[0]))): 1,
                (f"{duration}_bucket", ("edge", "0"), ("le", "0.5")): 2,
                (f"{phase}_bucket", ("edge", "0"), ("le", "0.5"), QUEUE): 2,
                (f"{phase}_count", ("edge", "0"), QUEUE): 3,
                (f"{duration}_bucket", ("edge", "0"), ("le", "+Inf")): 3,
            }.items():
                self.assertEqual(found[key], value, key)
            self.assertAlmostEqual(found[f"{duration}_sum", ("edge", "0")], 100.3001)

    def test_noEdge(self) -> None:
        """A node without an edge that answers can be scraped."""
        text, _ = exposition({"keeper": False, "revision": 0, "edges": []}, [], "")
        self.assertEqual(self.samples(text, read_text)["hostedge_keeper_up",], 0)

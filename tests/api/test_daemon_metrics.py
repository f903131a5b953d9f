"""Tests of `hostedge.api.daemon_metrics`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.defer import Deferred, execute
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.api.metrics import Scrapes
from hostedge.settings import Metrics as Shown
from hostedge.supervise.chronicle import Chronicle
from tests.api.node import RecordedNode


class DaemonMetricsTests(SynchronousTestCase):
    """What a keeper that has told something is scraped as."""

    def setUp(self) -> None:
        self.node = RecordedNode(report={"keeper": True, "revision": 3, "edges": []})
        self.clock = Clock()
        self.chronicle = Chronicle(self.clock, Path(self.mktemp()), execute)
        self.addCleanup(self.chronicle.stop)

    def scrape(self) -> dict[tuple[str, str], float]:
        answering = Deferred.fromCoroutine(Scrapes(self.node, Shown()).answer("text/plain"))
        body, _ = self.successResultOf(answering)
        found: dict[tuple[str, str], float] = {}
        for family in text_string_to_metric_families(body.decode()):
            for sample in family.samples:
                found[sample.name, ",".join(sample.labels.values())] = sample.value
        return found

    def test_scrape(self) -> None:
        """
        Starts and their phases, wakes, ends, generations and states.
        """
        for event, seconds in (("queued", 0.0), ("token", 0.2), ("launched", 0.02), ("ready", 0.8)):
            self.clock.advance(seconds)
            self.chronicle.tell(event, "a/x", 5)
        self.chronicle.tell("evicted", "a/y", 4)
        self.node.counts = {**self.chronicle.counts(), "apps": {"READY": 4, "FAILED": 1}}
        told = self.scrape()
        expected: dict[Any, float] = {
            ("hostedge_daemon_starts_total", "ok"): 1,
            ("hostedge_daemon_starts_total", "failed"): 0,
            ("hostedge_daemon_wakes_total", "request"): 1,
            ("hostedge_daemon_evictions_total", ""): 1,
            ("hostedge_daemon_oom_total", ""): 0,
            ("hostedge_daemon_reloads_total", "kept_old"): 0,
            ("hostedge_daemon_generations", ""): 1,
            ("hostedge_daemons", "READY"): 4,
            ("hostedge_daemon_start_seconds_count", "whole"): 1,
            ("hostedge_daemon_start_seconds_bucket", "0.5,first_response"): 0,
            ("hostedge_daemon_start_seconds_bucket", "1.0,first_response"): 1,
            ("hostedge_daemon_log_cuts_total", ""): 0,
        }
        self.assertEqual({key: told.get(key) for key in expected}, expected)

    def test_withoutKeeper(self) -> None:
        """
        The rest of a scrape does not need the keeper.
        """
        told = self.scrape()
        self.assertEqual(told["hostedge_keeper_up", ""], 1)
        self.assertFalse([name for name, _ in told if name.startswith("hostedge_daemon")])

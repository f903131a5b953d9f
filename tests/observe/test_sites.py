"""What is counted by site, and when it is not any more."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.observe.page import PAGE
from hostedge.observe.sites import BUCKETS, IDLE, LOOK, MOST, Activity, Sites


class SitesTests(SynchronousTestCase):
    """The active sites of one edge."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.sites = Sites(self.clock.seconds)

    def begin(self, name: str, ends: bool = True) -> Activity:
        """A request, as the router and the tally count it."""
        activity = self.sites.active.get(name) or self.sites.add(name)
        activity.begun += 1
        if ends:
            activity.counts[2 * BUCKETS] += 1
        return activity

    def told(self, waiting: dict[str, int] | None = None) -> dict[str, dict[str, Any]]:
        """All pages, as control asks for them."""
        found: dict[str, dict[str, Any]] = {}
        after = 0
        while page := json.loads(self.sites.page(after, waiting or {})):
            for each in page:
                self.assertNotIn(each["site"], found)
                found[each["site"]] = each
            after = page[-1]["number"]
        return found

    def test_inFlight(self) -> None:
        """What has begun and not ended is in flight; who waits was counted elsewhere."""
        self.begin("a.test", ends=False)
        self.begin("a.test")
        self.begin("b.test", ends=False)
        told = self.told({"b.test": 1})
        counts = {name: (x["requests"], x["in_flight"], x["waiting"]) for name, x in told.items()}
        self.assertEqual(counts, {"a.test": (1, 1, 0), "b.test": (0, 1, 1)})

    def test_idle(self) -> None:
        """A site that nobody asks for is forgotten; one with an open request is not."""
        self.begin("open.test", ends=False)
        self.begin("idle.test")
        self.begin("busy.test")
        for _ in range(int(IDLE / LOOK) + 1):
            self.assertIn("idle.test", self.told())
            self.clock.advance(LOOK)
            self.begin("busy.test")
        self.assertEqual(set(self.told()), {"open.test", "busy.test"})
        again = self.begin("idle.test", ends=False)
        self.assertEqual(again.begun, 1)
        self.assertEqual(list(self.told()), ["open.test", "busy.test", "idle.test"])

    def test_most(self) -> None:
        """Beyond the bound none is counted by name, until others have fallen idle."""
        for number in range(MOST + 10):
            self.begin(f"{number}.test")
        self.assertEqual(len(self.told()), MOST)
        self.assertIs(self.begin("x.test", ends=False), self.begin("y.test", ends=False))
        self.clock.advance(LOOK)
        self.told()
        self.clock.advance(IDLE)
        self.begin("z.test", ends=False)
        self.assertEqual(list(self.told()), ["z.test"])

    def test_pages(self) -> None:
        """Each fits into a message, and brings at least one."""
        for number in range(1000):
            self.begin(f"{number}." + "x" * 200, ends=False)
        self.assertLessEqual(len(self.sites.page(0, {})), PAGE + 100)
        self.assertEqual(len(self.told()), 1000)

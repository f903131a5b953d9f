"""What is counted by site, and when it is not any more."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.observe.sites import IDLE, LOOK, MOST, PAGE, Sites
from hostedge.observe.tally import BOUNDS


class SitesTests(SynchronousTestCase):
    """The active sites of one edge."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.sites = Sites(len(BOUNDS) + 1, self.clock.seconds)

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
        self.sites.begin("a.test")
        self.sites.begin("a.test").ended += 1
        self.sites.begin("b.test")
        told = self.told({"b.test": 1})
        counts = {name: (x["requests"], x["in_flight"], x["waiting"]) for name, x in told.items()}
        self.assertEqual(counts, {"a.test": (1, 1, 0), "b.test": (0, 1, 1)})

    def test_idle(self) -> None:
        """A site that nobody asks for is forgotten; one with an open request is not."""
        self.sites.begin("open.test")
        self.sites.begin("idle.test").ended += 1
        busy = self.sites.begin("busy.test")
        busy.ended += 1
        for _ in range(int(IDLE / LOOK) + 1):
            self.assertIn("idle.test", self.told())
            self.clock.advance(LOOK)
            self.sites.begin("busy.test").ended += 1
        self.assertEqual(set(self.told()), {"open.test", "busy.test"})
        again = self.sites.begin("idle.test")
        self.assertEqual(again.begun, 1)
        self.assertEqual(list(self.told()), ["open.test", "busy.test", "idle.test"])

    def test_most(self) -> None:
        """Beyond the bound none is counted by name, until others have fallen idle."""
        for number in range(MOST + 10):
            self.sites.begin(f"{number}.test").ended += 1
        self.assertEqual(len(self.told()), MOST)
        self.assertIs(self.sites.begin("x.test"), self.sites.begin("y.test"))
        self.clock.advance(LOOK)
        self.told()
        self.clock.advance(IDLE)
        self.sites.begin("z.test")
        self.assertEqual(list(self.told()), ["z.test"])

    def test_pages(self) -> None:
        """Each fits into a message, and brings at least one."""
        for number in range(1000):
            self.sites.begin(f"{number}." + "x" * 200)
        self.assertLessEqual(len(self.sites.page(0, {})), PAGE + 100)
        self.assertEqual(len(self.told()), 1000)

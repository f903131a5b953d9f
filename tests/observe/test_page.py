"""Lists in pieces: `hostedge.observe.page`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hostedge.observe.page import PAGE, page_of


class PageTests(SynchronousTestCase):
    """What one message holds."""

    def test_room(self) -> None:
        """As many as there is room for, in order, and no more are asked for than one."""
        asked = []

        def endless() -> Iterator[dict[str, Any]]:
            while True:
                asked.append(len(asked))
                yield {"number": asked[-1], "text": "x" * 1000}

        page = page_of(endless())
        numbers = [each["number"] for each in json.loads(page)]
        self.assertEqual(numbers, asked[:-1])
        self.assertLessEqual(len(page), PAGE)
        self.assertGreater(len(page), PAGE - 1100)

    def test_oneAtLeast(self) -> None:
        """What alone is too large is told all the same; nothing is an empty list."""
        self.assertEqual(len(json.loads(page_of([{"text": "x" * PAGE}, {}]))), 1)
        self.assertEqual(page_of([]), b"[]")

"""Who has series: `hostedge.api.busiest`."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.api.busiest import Busiest

scrapes = st.lists(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 9)), max_size=8)


class BusiestTests(SynchronousTestCase):
    """From scrape to scrape."""

    @given(scrapes, st.integers(0, 4))
    def test_anySequence(self, requests: list[dict[str, int]], most: int) -> None:
        """Never too many, none while there is room, and nobody loses them who is still there."""
        busiest: Busiest[str] = Busiest(most)
        before: frozenset[str] = frozenset()
        for each in requests:
            named = busiest.choose(Counter(each))
            self.assertLessEqual(named, each.keys())
            self.assertEqual(len(named), min(most, len(each)))
            self.assertLessEqual(before & each.keys(), named)
            before = named

    def test_busiest(self) -> None:
        """What is free goes to who is asked most."""
        busiest: Busiest[str] = Busiest(2)
        self.assertEqual(busiest.choose(Counter(a=1, b=3, c=2)), {"b", "c"})

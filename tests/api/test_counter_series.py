"""Which counters have which series: `hostedge.api.counter_series`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from hostedge.api.counter_series import GROUPS, PLAIN, families
from hostedge.errors import CAUSES
from hostedge.observe.counters import H2_FLOODS, NAMES


class SeriesTests(SynchronousTestCase):
    """What one edge has counted, as Prometheus sees it."""

    def values(self, **counters: int) -> dict[tuple[Any, ...], float]:
        return {
            (sample.name, *sample.labels.values()): sample.value
            for family in families([{"index": 3, "counters": counters}])
            for sample in family.samples
        }

    def test_everyCounter(self) -> None:
        """Each counter that there is changes a series, and each series one that there is."""
        before = self.values()
        self.assertEqual(set(before.values()), {0})
        for name in NAMES:
            changed = {key for key, value in self.values(**{name: 1}).items() if value}
            self.assertTrue(changed, name)
        named = {name for group in GROUPS for row in group.rows.values() for n in row for name in n}
        self.assertLessEqual(named | PLAIN.keys(), NAMES.keys())

    def test_handshakes(self) -> None:
        """Those of either version, whether they resumed a session or not, are all there were."""
        found = self.values(tls_handshakes=10, tls_older=4, tls_resumed=5, tls_older_resumed=1)
        counts = {key[2:]: n for key, n in found.items() if "tls_handshakes" in key[0]}
        self.assertEqual(
            counts, {("1.2", "no"): 3, ("1.2", "yes"): 1, ("1.3", "no"): 2, ("1.3", "yes"): 4}
        )

    def test_labels(self) -> None:
        """Every cause and every kind of flood is a value of a label, at zero as well."""
        found = self.values(refused_method=2, h2_flood_pings=1, h2_broken=7)
        for cause in CAUSES:
            self.assertIn(("hostedge_refused_total", "3", cause), found)
        for kind in H2_FLOODS:
            self.assertIn(("hostedge_h2_abuse_total", "3", kind), found)
        self.assertEqual(found["hostedge_refused_total", "3", "method"], 2)
        self.assertEqual(found["hostedge_h2_abuse_total", "3", "pings"], 1)
        self.assertEqual(found["hostedge_parse_errors_total", "3", "h2_connection"], 7)
        self.assertNotIn(("hostedge_refused_method_total", "3"), found)

"""The names of what is counted."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import CAUSES
from hostedge.observe.counters import NAMES, make_counters


class CountersTests(SynchronousTestCase):
    """Counters are a closed list."""

    def test_everyCauseIsCounted(self) -> None:
        """Each refusal has its counter, and every counter says what it means."""
        counters = make_counters()
        for cause in CAUSES:
            self.assertEqual(counters[f"refused_{cause}"], 0)
        self.assertTrue(all(NAMES.values()))

    def test_unknownNameIsAnError(self) -> None:
        """A misspelt name cannot make a counter."""
        with self.assertRaises(KeyError):
            make_counters()["tls_refuesd"] += 1

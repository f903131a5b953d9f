"""
Stores in temporary folders, for tests.
"""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.store.history import History
from hostedge.store.reader import StoreReader
from hostedge.store.writer import RouteStore
from tests.model.words import WORDS


class StoreTestCase(SynchronousTestCase):
    """Has a writer, a reader and the history of one empty store, whose clock stands at `now`."""

    def setUp(self) -> None:
        self.now = 1_000_000.0
        self.path = Path(self.mktemp()) / "store.db"
        self.store = RouteStore(self.path, WORDS, lambda: self.now)
        self.addCleanup(self.store.close)
        self.history = History(self.path)
        self.reader = StoreReader(self.path, WORDS)
        self.addCleanup(self.reader.close)

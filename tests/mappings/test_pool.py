"""The word `pool`."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from hostedge.mappings.pool import PoolKind, ToPool
from hostedge.model.site import Account, Domain, Found, Pool, Server

LEGACY = Pool("legacy", (Server("10.0.0.7:80"),))
FOUND = Found("a.test", Domain("a.test"), Account("demo"), {}, {"legacy": LEGACY}, 1)


class Recorder:
    """Parts that tell what they were asked for."""

    def relay_to_pool(self, account: str, pool: Pool, websocket: bool) -> object:
        return account, pool, websocket


class PoolTests(SynchronousTestCase):
    """From the mapping to the leaf."""

    def test_compile(self) -> None:
        """The leaf relays to the account's pool; the mapping may have another buffer."""
        kind = PoolKind()
        self.assertEqual((kind.word, kind.value), ("pool", ToPool))
        self.assertEqual(
            kind.compile(ToPool("legacy"), b"", FOUND, Recorder()), ("demo", LEGACY, False)
        )
        self.assertEqual(
            kind.compile(ToPool("legacy", "spool"), b"", FOUND, Recorder()),
            ("demo", evolve(LEGACY, buffer="spool"), False),
        )

    def test_websocket(self) -> None:
        """Upgrades are forwarded where the mapping says so."""
        to = ToPool("legacy", websocket=True)
        self.assertEqual(PoolKind().compile(to, b"", FOUND, Recorder()), ("demo", LEGACY, True))

    def test_unknown(self) -> None:
        """A pool that the account does not have is a KeyError."""
        self.assertRaises(KeyError, PoolKind().compile, ToPool("no"), b"", FOUND, Recorder())

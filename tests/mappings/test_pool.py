"""The word `pool`."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from hostedge.mappings.pool import PoolKind, ToPool
from hostedge.model.limits import MappingLimits
from hostedge.model.names import Size
from hostedge.model.site import Account, Domain, Found, Pool, Server

LEGACY = Pool("legacy", (Server("10.0.0.7:80"),))
FOUND = Found("a.test", Domain("a.test"), Account("demo"), {}, {"legacy": LEGACY}, 1)


class Recorder:
    """Parts that tell what they were asked for."""

    def relay_to_pool(
        self, account: str, pool: Pool, own: MappingLimits | None, websocket: bool
    ) -> object:
        return account, pool, own, websocket


class PoolTests(SynchronousTestCase):
    """From the mapping to the leaf."""

    def test_compile(self) -> None:
        """The leaf relays to the account's pool; the mapping may want it otherwise."""
        kind = PoolKind()
        self.assertEqual((kind.word, kind.value), ("pool", ToPool))
        self.assertEqual(
            kind.compile(ToPool("legacy"), b"", FOUND, Recorder()), ("demo", LEGACY, None, False)
        )
        self.assertEqual(
            kind.compile(ToPool("legacy", "spool"), b"", FOUND, Recorder()),
            ("demo", evolve(LEGACY, buffer="spool"), None, False),
        )
        self.assertEqual(
            kind.compile(ToPool("legacy", forwarded=True), b"", FOUND, Recorder()),
            ("demo", evolve(LEGACY, forwarded=True), None, False),
        )

    def test_host(self) -> None:
        """The mapping's `Host` goes before the pool's; `keep` is one."""
        found = evolve(FOUND, pools={"legacy": evolve(LEGACY, host="server")})
        for host, wanted in ((None, "server"), ("keep", "keep"), ("b.test", "b.test")):
            _, pool, *_ = PoolKind().compile(ToPool("legacy", host=host), b"", found, Recorder())  # type: ignore[misc]
            self.assertEqual(pool.host, wanted)

    def test_websocket(self) -> None:
        """Upgrades are forwarded where the mapping says so."""
        to = ToPool("legacy", websocket=True)
        self.assertEqual(
            PoolKind().compile(to, b"", FOUND, Recorder()), ("demo", LEGACY, None, True)
        )

    def test_limits(self) -> None:
        """Limits of its own go with it to the leaf."""
        own = MappingLimits(body_size=Size(0), response_timeout=600.0)
        to = ToPool("legacy", limits=own)
        self.assertEqual(
            PoolKind().compile(to, b"", FOUND, Recorder()), ("demo", LEGACY, own, False)
        )

    def test_unknown(self) -> None:
        """A pool that the account does not have is a KeyError."""
        self.assertRaises(KeyError, PoolKind().compile, ToPool("no"), b"", FOUND, Recorder())

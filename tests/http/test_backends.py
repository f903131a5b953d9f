"""All apps and pools of an edge."""

from __future__ import annotations

import gc
import json
from typing import Any

from attrs import evolve
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.backends import GONE, SWEEP, Backends
from hostedge.http.onward_head import make_head
from hostedge.http.spool import Disk
from hostedge.http.wheel import Wheel
from hostedge.ipc import Woken
from hostedge.model.site import Account, App, Pool, Server
from hostedge.net.descriptors import Files
from hostedge.observe.counters import make_counters
from hostedge.settings import Limits
from tests.http.network import Network, PlayedApp, PlayedKeeper
from tests.mappings.exchanges import KeptExchange

HELLO = App("hello", "wsgi", 8)


class Workers:
    """A runtime whose options are a number of workers."""

    word = "wsgi"

    def capacity(self, value: Any) -> int:
        return int(value)

    def keep_alive(self, value: Any) -> float:
        return 20.0


class Busy:
    """A connection with a request on it."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def cut(self, cause: str) -> None:
        self.heard.append(cause)


class BackendsTests(SynchronousTestCase):
    """Who is known, and what they are told."""

    def setUp(self) -> None:
        self.network = Network()
        self.keeper = PlayedKeeper()
        self.held: list[Any] = []
        self.backends = Backends(
            self.network,
            self.keeper,
            Wheel(self.network, self.network.seconds),
            make_counters(),
            Limits(),
            3,
            [Workers()],
            Disk(0, Files()),
        )

    def test_oneBackendAnApp(self) -> None:
        """Recompiled hosts share the backend; a changed app changes it."""
        backend = self.backends.app(Account("demo"), HELLO)
        self.backends.moved("demo/hello", 1, "unix:/x")
        self.assertEqual(backend.places.capacity, 2)
        self.assertIs(self.backends.app(Account("demo"), evolve(HELLO, run=1, queue=7)), backend)
        self.assertEqual((backend.places.capacity, backend.places.limit), (1, 7))
        self.assertIsNot(self.backends.app(Account("other"), HELLO), backend)

    def test_pools(self) -> None:
        """A pool is kept while it is the same; what a mapping may say is the leaf's affair."""
        pool = Pool("p", (Server("127.0.0.1:1"),))
        backend = self.backends.pool("demo", pool)
        mapped = evolve(pool, buffer="spool", forwarded=True)
        self.assertIs(self.backends.pool("demo", mapped), backend)
        self.assertIsNot(self.backends.pool("demo", evolve(pool, maxconn=1)), backend)

    def test_formerPools(self) -> None:
        """Requests on a pool as it was before a change are cut with the account as well."""
        pool = Pool("p", (Server("127.0.0.1:1"),))
        former = self.backends.pool("demo", pool)
        self.backends.pool("demo", evolve(pool, maxconn=1))
        busy = Busy()
        former.lanes[0].upstream.open.add(busy)  # type: ignore[arg-type]
        self.backends.cut("other", "why")
        self.assertEqual(busy.heard, [])
        self.backends.cut("demo", "why")
        self.assertEqual(busy.heard, ["suspended"])

    def test_leaves(self) -> None:
        """Mappings get leaves that explain themselves."""
        leaf = self.backends.relay_to_app(Account("demo"), HELLO, Limits())
        self.assertIn("would wake", leaf.explain()[1])
        pool = Pool("p", (Server("127.0.0.1:1"),))
        self.assertIn(
            "127.0.0.1:1", "".join(self.backends.relay_to_pool("demo", pool, Limits()).explain())
        )

    def test_wishes(self) -> None:
        """What writes their heads is decided with the leaf, which tells what is unusual of it."""
        pool = Pool("p", (Server("127.0.0.1:1"),), host="b.test")
        plain = self.backends.relay_to_app(Account("demo"), HELLO, Limits())
        odd = self.backends.relay_to_app(Account("demo"), evolve(HELLO, keep=("x_a",)), Limits())
        other = self.backends.relay_to_pool("demo", pool, Limits())
        self.assertIs(plain.make_head, make_head)
        self.assertIs(plain.backend, odd.backend)
        for relay, note in ((odd, "kept: x_a"), (other, "`Host` says b.test")):
            self.assertIsNot(relay.make_head, make_head)
            self.assertIn(note, relay.explain())

    def test_waiting(self) -> None:
        """Whoever waits for a place is told of, wherever it is; who has one is not."""
        self.assertEqual(list(self.backends.waiting()), [])
        exchanges = [KeptExchange() for _ in range(3)]
        pool = Pool("p", (Server("127.0.0.1:1"),), maxconn=1)
        app, servers = (
            self.backends.relay_to_app(Account("demo"), HELLO, Limits()),
            self.backends.relay_to_pool("demo", pool, Limits()),
        )
        for relay, exchange in zip((app, servers, servers), exchanges, strict=True):
            relay.answer(exchange)  # type: ignore[arg-type]
        self.assertEqual(list(self.backends.waiting()), [exchanges[0], exchanges[2]])

    def test_sharedLines(self) -> None:
        """Apps of an account share a limit, and everything on the edge shares another."""
        account = Account("demo", queue=3)
        means = self.backends.means
        self.assertEqual(
            (means.waiting.limit, means.kept_bodies.limit), (5000 // 3, (64 << 20) // 3)
        )
        means.waiting.limit = 4
        other = evolve(HELLO, name="other")

        def ask(account: Account, app: App, relay: Any = None) -> str:
            relay = relay or self.backends.relay_to_app(account, app, Limits())
            exchange = KeptExchange()
            self.held.append((relay, exchange))
            relay.answer(exchange)
            return exchange.cause

        self.assertEqual([ask(account, app) for app in (HELLO, other, HELLO)], [""] * 3)
        self.assertEqual(ask(account, other), "queue_full")
        self.assertEqual(ask(evolve(account, queue=4), other), "", "it follows the account")
        self.assertEqual(ask(Account("rich"), HELLO), "queue_full", "the edge has enough of them")
        pool = Pool("p", (Server("127.0.0.1:1"),), maxconn=1)
        relay = self.backends.relay_to_pool("rich", pool, Limits())
        self.assertEqual([ask(account, other, relay) for _ in range(2)], ["", "queue_full"])
        self.backends.cut("demo", "why")
        self.assertEqual(means.waiting.taken, 0)
        self.assertEqual(ask(account, other, relay), "")

    def test_strangers(self) -> None:
        """What is said about an app that nobody asked for changes nothing."""
        self.backends.moved("demo/no", 1, "unix:/x")
        self.backends.retire("demo/no", 1, 1.0)
        self.backends.cut("demo", "why")
        self.assertTrue(self.backends.quiesce("demo/no", 1))
        self.assertEqual(self.backends.activity(), [])

    def test_forgotten(self) -> None:
        """An app that nobody has used for long, and no host names, is forgotten."""
        backend = self.backends.app(Account("demo"), HELLO)
        self.backends.moved("demo/hello", 1, "unix:/x")
        backend.used_at -= 3600
        del backend
        for _ in range(SWEEP):
            self.backends.activity()
        gc.collect()
        self.assertTrue(self.backends.quiesce("demo/hello", 1))
        self.assertIsNone(self.backends.app(Account("demo"), HELLO).lane)

    def test_expected(self) -> None:
        """How long a start takes is known also for an app that is asked for in the middle of it."""
        known = self.backends.app(Account("demo"), HELLO)
        for app in ("demo/hello", "demo/later", "demo/never"):
            self.backends.expect(app, 20.0)
        self.network.advance(5)
        later = self.backends.app(Account("demo"), evolve(HELLO, name="later"))
        self.assertEqual((known._to_come(), later._to_come()), (15.0, 15.0))
        self.backends.moved("demo/later", 1, "unix:/x")
        self.network.advance(20)
        for _ in range(SWEEP):
            self.backends.activity()
        self.assertEqual(self.backends._expected, {})

    def test_probes(self) -> None:
        """A newer probe of an app takes the older one's place."""
        played = PlayedApp()
        self.addCleanup(played.close)
        first = self.backends.probe("demo/hello", 1, played.address, "a", True)
        second = self.backends.probe("demo/hello", 2, played.address, "a", True)
        self.failureResultOf(first, CancelledError)
        self.backends.stop_probe("demo/hello")
        self.failureResultOf(second, CancelledError)

    def test_keeper(self) -> None:
        """Backends made while the keeper is away know of it."""
        self.backends.keeper_lost()
        backend = self.backends.app(Account("demo"), HELLO)
        backend._wake("a")
        self.assertEqual(self.keeper.asked, [])
        self.backends.keeper_back()
        backend._wake("a")
        self.assertEqual(self.keeper.asked, [("demo/hello", "a")])
        self.backends.cut("demo", "why")

    def told(self, after: int = 0) -> list[dict[str, Any]]:
        told: list[dict[str, Any]] = json.loads(self.backends.page(after))
        return told

    def test_page(self) -> None:
        """
        All that anything has gone to are told in their order, after all that are no more; a pool
        that was changed has counted what it had before.
        """
        app = self.backends.app(Account("demo"), HELLO)
        pool = self.backends.pool("demo", Pool("p", (Server("127.0.0.1:1"),)))
        self.assertEqual([each["number"] for each in self.told()], [GONE])
        app.traffic.connects = pool.traffic.connects = 3
        pool.traffic.ended(5)
        gone, first, second = self.told()
        self.assertEqual((first["kind"], first["backend"]), ("app", "demo/hello"))
        self.assertEqual((second["kind"], second["requests"]), ("pool", 5))
        self.assertEqual(self.told(first["number"]), [second])
        self.assertEqual(self.told(second["number"]), [])
        changed = self.backends.pool("demo", Pool("p", (Server("127.0.0.1:2"),)))
        changed.traffic.ended(1)
        _, _, third = self.told()
        self.assertGreater(third["number"], second["number"])
        self.assertEqual(third["requests"], 6)
        del pool, changed
        gc.collect()
        gone, first = self.told()
        self.assertEqual((gone["kind"], gone["requests"], gone["connects"]), ("", 6, 3))
        self.assertEqual(first["backend"], "demo/hello")

    def test_states(self) -> None:
        """An app is stopped until it is asked for, then starting, then up."""
        app = self.backends.app(Account("demo"), HELLO)
        self.assertEqual(app.states(), {"up": 0, "stopped": 1})
        relay = self.backends.relay_to_app(Account("demo"), HELLO, Limits())
        relay.answer(KeptExchange())
        self.assertEqual(app.states(), {"up": 0, "starting": 1})
        self.keeper.waiting.pop().callback(Woken(0, "", "crash_loop", 60.0))
        self.assertEqual(app.states(), {"up": 0, "refused": 1})
        self.backends.moved("demo/hello", 1, "unix:/x")
        self.assertEqual(app.states(), {"up": 1})
        self.assertEqual(app.in_use(), [app.lane])

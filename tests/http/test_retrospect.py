"""Relays that only tell."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.backends import Backends
from hostedge.http.retrospect import Retrospect
from hostedge.http.spool import Disk
from hostedge.http.wheel import Wheel
from hostedge.model.site import Account, Pool, Server
from hostedge.net.descriptors import Files
from hostedge.observe.counters import make_counters
from hostedge.settings import Limits
from tests.http.network import Network, PlayedKeeper
from tests.http.test_backends import HELLO, Workers

POOL = Pool("p", (Server("127.0.0.1:1"), Server("127.0.0.1:2")))


class RetrospectTests(SynchronousTestCase):
    """What was, beside what is."""

    def setUp(self) -> None:
        network = Network()
        wheel = Wheel(network, network.seconds)
        counters = make_counters()
        self.backends = Backends(
            network, PlayedKeeper(), wheel, counters, Limits(), 3, [Workers()], Disk(0, Files())
        )
        self.then = Retrospect(self.backends)

    def test_backendsStayAsTheyAre(self) -> None:
        """
        Whatever an app or a pool was like: those that requests use do not follow it.
        """
        app = self.backends.app(Account("demo"), HELLO)
        self.backends.moved("demo/hello", 1, "unix:/x")
        pool = self.backends.pool("demo", POOL)
        before = (app.app, app.places.capacity, app.places.limit, app.lane)
        for relay in (
            self.then.relay_to_app(
                Account("demo"), evolve(HELLO, run=1, queue=7, buffer="stream"), Limits()
            ),
            self.then.relay_to_pool(
                "demo", evolve(POOL, servers=POOL.servers[:1], maxconn=1), Limits()
            ),
        ):
            relay.explain()
        self.assertEqual((app.app, app.places.capacity, app.places.limit, app.lane), before)
        self.assertIs(self.backends.app(Account("demo"), HELLO), app)
        self.assertIs(self.backends.pool("demo", POOL), pool)

    def test_noneIsMade(self) -> None:
        """
        Of what nobody uses now there is no backend afterwards either.
        """
        relay = self.then.relay_to_app(Account("demo"), HELLO, Limits())
        pool = self.then.relay_to_pool("demo", POOL, Limits())
        self.assertEqual(
            [*relay.explain(), *pool.explain()],
            [
                "relayed once its body is complete",
                "now: this edge does not know app demo/hello",
                "relayed as its body comes",
                "pool demo/p: 127.0.0.1:1, 127.0.0.1:2",
            ],
        )
        self.assertIsNone(self.backends.app_now("demo/hello"))
        self.assertIsNone(self.backends.pool_now("demo/p"))
        self.assertEqual(self.backends.activity(), [])

    def test_optionsOfThenStateOfNow(self) -> None:
        """
        How it was relayed is of then; where the app is, and who waits, is of now.
        """
        held = self.backends.app(Account("demo"), HELLO), self.backends.pool("demo", POOL)
        self.backends.moved("demo/hello", 3, "unix:/x")
        way, now = self.then.relay_to_app(
            Account("demo"), evolve(HELLO, buffer="stream"), Limits()
        ).explain()
        self.assertEqual(way, "relayed as its body comes")
        self.assertTrue(now.startswith("now: app demo/hello, generation 3 at unix:/x: 0 of 2"), now)
        former = evolve(POOL, servers=POOL.servers[1:])
        _, was, *rest = self.then.relay_to_pool("demo", former, Limits()).explain()
        self.assertEqual(was, "pool demo/p: 127.0.0.1:2")
        self.assertEqual([line[:5] for line in rest], ["now: "] * 3)
        self.assertEqual(len(held), 2)

"""What `hostedge.net.sources` counts, over several edges."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.net.sources import (
    CONNECTIONS,
    HANDSHAKES,
    MOST_STRIKES,
    REMEMBERED,
    REQUESTS,
    STEP,
    STRIKES,
    Asking,
    Handshakes,
    Requests,
    Sources,
    SourceTable,
    source_of,
)
from hostedge.wire.networks import Networks, parse_networks

A, B = "192.0.2.1", "2001:db8::1"


class SourcesTests(SynchronousTestCase):
    """Two edges, each with its own map of one table."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.keeper = SourceTable.create(self.path)
        self.edges = [self.edge(place) for place in range(2)]

    def edge(self, place: int, limit: int = 10, exempt: Networks | None = None) -> Sources:
        table = SourceTable.open(self.path)
        return Sources(table, place, range(2), limit, exempt or Networks())

    def test_overTheEdges(self) -> None:
        """The limit is the node's, however the connections fall to the edges."""
        for first in range(11):
            edges = self.edge(0), self.edge(1)
            for edge, number in zip(edges, (first, 10 - first), strict=True):
                for _ in range(number):
                    self.assertFalse(any(each.is_full(A) for each in edges))
                    edge.opened(A)
            for each in edges:
                self.assertTrue(each.is_full(A), first)
                self.assertFalse(each.is_full(B))
            edges[0 if first else 1].closed(A)
            self.assertFalse(any(each.is_full(A) for each in edges))

    def test_edgeThatEnded(self) -> None:
        """What a dead edge held counts no more, nor what one had that begins in its place."""
        one, two = self.edges
        for _ in range(5):
            one.opened(A)
            two.opened(A)
        self.assertTrue(two.is_full(A))
        self.keeper.clear(0)
        self.assertFalse(two.is_full(A))
        for _ in range(5):
            two.opened(A)
        self.assertTrue(two.is_full(A))
        self.edge(1)
        self.assertFalse(self.edge(0).is_full(A))

    def test_nextKeeper(self) -> None:
        """A keeper that takes over keeps counts and key."""
        for _ in range(10):
            self.edges[0].opened(A)
        again = SourceTable.create(self.path)
        self.assertEqual(again.slots(A), self.keeper.slots(A))
        self.assertEqual(again.most(CONNECTIONS, A, range(2)), 10)

    def test_exempt(self) -> None:
        """A trusted proxy has the connections of many; clients without an address are ours."""
        edge = self.edge(0, 1, parse_networks([A]))
        for client in (A, "", "/run/x.sock"):
            edge.opened(client)
            self.assertFalse(edge.is_full(client), client)

    def test_sources(self) -> None:
        """A /64 is one source: each of its addresses is as easily had as the first."""
        for client, source in (
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "20010db800000000"),
            ("2001:db8::ffff:1", "20010db800000000"),
            ("2001:db8:0:1::1", "20010db800000001"),
            ("fe80::1%eth0", "fe80000000000000"),
            ("", ""),
        ):
            self.assertEqual(source_of(client), source, client)

    @settings(max_examples=50)
    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 3), st.integers(0, 1)), max_size=60))
    def test_countsReturn(self, steps: list[tuple[bool, int, int]]) -> None:
        """Whatever comes and goes, at the end the table is as it was."""
        held: list[tuple[Sources, str]] = []
        for comes, number, place in steps:
            if comes or not held:
                held.append((self.edges[place], f"192.0.2.{number}"))
                held[-1][0].opened(held[-1][1])
            else:
                edge, client = held.pop(number % len(held))
                edge.closed(client)
        for edge, client in held:
            edge.closed(client)
        for number in range(4):
            self.assertEqual(self.keeper.most(CONNECTIONS, f"192.0.2.{number}", range(2)), 0)


class RequestsTests(SynchronousTestCase):
    """Requests in flight, on two edges with one table."""

    limit = 40

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.keeper = SourceTable.create(self.path)
        self.edges = [self.edge(place) for place in range(2)]

    def edge(self, place: int, exempt: Networks | None = None, places: int = 2) -> Requests:
        table = SourceTable.open(self.path)
        return Requests(table, place, range(places), self.limit, exempt or Networks())

    def begin(self, edge: Requests, client: str = A) -> Asking | None:
        asking = edge.askings.get(client) or edge.add(client)
        return asking if asking.begin() else None

    def told(self, client: str = A) -> int:
        return self.keeper.most(REQUESTS, client, range(2))

    def test_few(self) -> None:
        """A source with few requests is nobody's business but the edge's."""
        for _ in range(STEP):
            self.begin(self.edges[0])
        self.assertEqual(self.told(), 0)

    def test_limit(self) -> None:
        """The node takes in as many as it may, and hardly more than that, of one source."""
        held = []
        while (asking := self.begin(self.edges[0])) is not None:
            held.append(asking)
        self.assertEqual(len(held), self.limit)
        self.assertIsNone(self.begin(self.edges[0]))
        self.assertIsNotNone(self.begin(self.edges[0], B))
        elsewhere = 0
        while self.begin(self.edges[1]) is not None:
            elsewhere += 1
        self.assertEqual(elsewhere, 2 * STEP)
        held.pop().end()
        self.assertIsNotNone(self.begin(self.edges[0]))

    def test_evenly(self) -> None:
        """However many edges share a source's requests, none is refused within the limit."""
        for edges in range(2, 5):
            self.setUp()
            self.edges = [self.edge(place, places=edges) for place in range(edges)]
            taken = [self.begin(self.edges[each % edges]) for each in range(self.limit)]
            self.assertNotIn(None, taken, edges)

    def test_returned(self) -> None:
        """When all have ended nothing is left in the table, and the other edge may have them."""
        held = [self.begin(self.edges[0]) for _ in range(self.limit)]
        self.assertGreaterEqual(self.told(), self.limit - 2 * STEP)
        for asking in held:
            assert asking is not None
            asking.end()
        self.assertEqual(self.told(), 0)
        self.assertTrue(all(self.begin(self.edges[1]) for _ in range(self.limit)))

    def test_exempt(self) -> None:
        """What a trusted proxy asks for itself, and who has no address, is not limited."""
        edge = self.edge(0, parse_networks([A]))
        for client in (A, "/run/x.sock"):
            self.assertTrue(all(self.begin(edge, client) for _ in range(3 * self.limit)))

    def test_network(self) -> None:
        """The addresses of a /64 have one limit together."""
        taken = [self.begin(self.edges[0], f"2001:db8::{n:x}") for n in range(self.limit + 9)]
        self.assertEqual(sum(each is not None for each in taken), self.limit)

    def test_memory(self) -> None:
        """Sources without a request in flight are forgotten when there are many."""
        kept = self.begin(self.edges[0])
        for number in range(2 * REMEMBERED):
            asking = self.begin(
                self.edges[0], f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            )
            assert asking is not None
            asking.end()
        self.assertLessEqual(len(self.edges[0].askings), REMEMBERED + 1)
        self.assertIs(self.edges[0].askings[A], kept)

    def test_addressesOfOne(self) -> None:
        """Who has a /64 and something in flight does not fill the memory with its addresses."""
        edge = self.edges[0]
        kept = self.begin(edge, "2001:db8::")
        for number in range(2 * REMEMBERED):
            asking = self.begin(edge, f"2001:db8::{number >> 8:x}:{number & 255:x}")
            self.assertIs(asking, kept)
            kept.end()  # type: ignore[union-attr]
        self.assertLessEqual(len(edge.askings), REMEMBERED + 1)

    def test_allBusy(self) -> None:
        """Where many sources have something in flight, not each new one has all looked at."""
        edge, looks = self.edges[0], []
        look = edge._forget
        self.patch(edge, "_forget", lambda: looks.append(look()))
        for number in range(2 * REMEMBERED):
            self.begin(edge, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        self.assertEqual((len(looks), len(edge.askings)), (1, 2 * REMEMBERED))

    @settings(max_examples=50)
    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 1)), max_size=200))
    def test_neverFarAbove(self, steps: list[tuple[bool, int]]) -> None:
        """
        Whatever begins and ends, the limit holds, and nobody is refused below it; the table is as
        it was at the end.
        """
        held: list[Asking] = []
        for begins, place in steps:
            if begins or not held:
                asking = self.begin(self.edges[place])
                if asking is not None:
                    held.append(asking)
                else:
                    self.assertGreaterEqual(len(held), self.limit)
            else:
                held.pop(len(held) // 2).end()
            self.assertLessEqual(len(held), self.limit + 2 * STEP)
        for asking in held:
            asking.end()
        self.assertEqual(self.told(), 0)


class HandshakesTests(SynchronousTestCase):
    """Full handshakes, on two edges with one table."""

    def setUp(self) -> None:
        self.now = 5000.0
        path = Path(self.mktemp())
        self.keeper = SourceTable.create(path)
        self.edges = [
            Handshakes(
                SourceTable.open(path),
                place,
                range(2),
                30,
                parse_networks(["10.0.0.1"]),
                self.seconds,
            )
            for place in range(2)
        ]

    def seconds(self) -> float:
        return self.now

    def begins(self, place: int, client: str = A) -> bool:
        return not self.edges[place].begin(client)

    def test_atOnce(self) -> None:
        """A hundred at once, however they fall to the edges; then none, but of other sources."""
        taken = [self.begins(number % 2) for number in range(130)]
        self.assertEqual(sum(taken), 100)
        for place in range(2):
            self.assertEqual(self.edges[place].begin(A), "tls_source_full")
            self.assertTrue(all(self.begins(place, each) for each in (B, "10.0.0.1", "")))

    def test_rate(self) -> None:
        """Later as many as the rate says: 30 a second."""
        while self.begins(0):
            pass
        taken = 0
        for _ in range(1000):
            self.now += 0.01
            taken += self.begins(taken % 2)
        self.assertLess(abs(taken - 300), 10)

    def test_patient(self) -> None:
        """Whoever asks for less is never refused; after a rest the table has forgotten it."""
        for _ in range(400):
            self.now += 0.04
            self.assertTrue(self.begins(0))
        self.now += 60
        self.assertLess(self.keeper.noted(HANDSHAKES, A, range(2), self.now), 0.001)

    def test_resumed(self) -> None:
        """A session that is resumed costs little, and does not count."""
        for _ in range(300):
            self.assertTrue(self.begins(0))
            self.edges[0].resumed(A)

    def test_strained(self) -> None:
        """While the edge is slow a source gets a tenth."""
        self.edges[0].strained = True
        self.assertEqual(sum(self.begins(0) for _ in range(50)), 10)

    def test_strainedByMany(self) -> None:
        """
        While the edge is slow it begins a hundred a second, from however many addresses they come;
        sessions that are resumed are none, and proxies have no limit. Then as many as ever.
        """
        edge = self.edges[0]
        edge.strained = True
        begun = refused = 0
        for number in range(1000):
            told = edge.begin(f"192.0.{number >> 8}.{number & 255}")
            begun += not told
            refused += told == "tls_strained"
            self.assertEqual(edge.begin("10.0.0.1"), "")
        self.assertEqual((begun, refused), (100, 900))
        for number in range(50):
            edge.resumed(f"192.0.0.{number}")
        again = [edge.begin(f"192.0.9.{number}") for number in range(99)]
        self.assertEqual(again.count(""), 50)
        self.now += 0.5
        again = [edge.begin(f"192.0.10.{number}") for number in range(99)]
        self.assertEqual(again.count(""), 50)
        edge.strained = False
        for number in range(200):
            self.assertEqual(edge.begin(f"192.0.11.{number}"), "")

    def test_struck(self) -> None:
        """Each strike halves what its source gets, on all edges; of others nothing is taken."""
        for strikes, left in ((1, 50), (2, 25), (3, 12), (5, 3)):
            self.setUp()
            for number in range(strikes):
                self.edges[number % 2].strike(A)
            taken = [self.edges[number % 2].begin(A) for number in range(100)]
            self.assertEqual(taken, [""] * left + ["tls_struck"] * (100 - left))
            self.assertTrue(all(self.begins(number % 2, B) for number in range(100)))

    def test_strikesFade(self) -> None:
        """However many they were, some minutes later they are forgotten; a trickle comes anyway."""
        for _ in range(1000):
            self.edges[0].strike(A)
        self.assertLessEqual(self.keeper.noted(STRIKES, A, range(2), self.now), MOST_STRIKES)
        taken = 0
        for _ in range(1000):
            self.now += 0.02
            taken += self.begins(0)
        self.assertIn(taken, range(15, 40))
        self.now += 600
        self.assertEqual(sum(self.begins(1) for _ in range(130)), 99)

    def test_struckAndStrained(self) -> None:
        """While the edge is slow a source with a fresh strike gets nothing; a proxy has none."""
        edge = self.edges[1]
        edge.strained = True
        for client in (A, "10.0.0.1", ""):
            self.edges[0].strike(client)
        self.assertEqual(edge.begin(A), "tls_struck")
        self.assertEqual([edge.begin("10.0.0.1"), edge.begin(""), edge.begin(B)], ["", "", ""])
        self.now += 60
        self.assertEqual(edge.begin(A), "")

    def test_edgeThatEnded(self) -> None:
        """What a dead edge has begun counts no more."""
        while self.begins(0):
            pass
        self.keeper.clear(0)
        self.assertTrue(self.begins(1))

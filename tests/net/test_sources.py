"""What `hostedge.net.sources` counts, over several edges."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.net.sources import Sources, SourceTable, source_of
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
        return Sources(table, place, 2, limit, exempt or Networks())

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
        self.assertEqual(again.most(A, range(2)), 10)

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
            self.assertEqual(self.keeper.most(f"192.0.2.{number}", range(2)), 0)

"""
Tests for `hostedge.console.remote`.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hostedge.console.layout import Printed
from hostedge.console.remote import Remote
from hostedge.errors import ConfigError


class RemoteTests(SynchronousTestCase):
    """Expressions that are evaluated elsewhere."""

    def setUp(self) -> None:
        self.asked: list[str] = []
        self.edge = Remote(self.ask)

    async def ask(self, source: str) -> str:
        self.asked.append(source)
        return f"{source}!"

    def source(self, remote: Remote) -> str:
        """What goes to the edge."""
        value = self.successResultOf(Deferred.fromCoroutine(self.awaited(remote)))
        self.assertIsInstance(value, Printed)
        self.assertEqual(value, f"{self.asked[-1]}!")
        return self.asked[-1]

    async def awaited(self, remote: Remote) -> str:
        return await remote

    def test_chain(self) -> None:
        """
        Names, calls and items become one expression.
        """
        self.assertEqual(self.source(self.edge.hosts.stats()), "hosts.stats()")
        self.assertEqual(
            self.source(self.edge.compiled("it's", most=3)["hosts"][0]),
            """compiled("it's", most=3)['hosts'][0]""",
        )

    def test_text(self) -> None:
        """
        A text goes as it is.
        """
        self.assertEqual(self.source(self.edge("1 + 1")), "1 + 1")

    def test_noText(self) -> None:
        """
        What is neither an expression nor one text is a sentence.
        """
        for values in ((), (1,), ("1", "2")):
            self.assertRaises(ConfigError, self.edge, *values)

    def test_nothing(self) -> None:
        """
        An edge by itself says what there is.
        """
        self.assertEqual(self.source(self.edge), "help()")

    def test_lazy(self) -> None:
        """
        Nothing is asked before the value is wanted; Python's own questions stay here.
        """
        self.assertEqual(repr(self.edge.hosts), "<in an edge: hosts>")
        self.assertFalse(hasattr(self.edge.hosts, "__len__"))
        self.assertEqual(self.asked, [])

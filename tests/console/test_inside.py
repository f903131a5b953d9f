"""
Tests for `hostedge.console.inside`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hostedge.console.inside import HOSTS, MOST, NAMES, PATHS, Inside
from hostedge.routes.compile import HostRoutes, compile_host
from tests.routes.kinds import KINDS, Say, TestParts, found


def routes(name: str, *paths: str) -> HostRoutes:
    mappings = [(path, Say("yes")) for path in paths]
    return compile_host(found(*mappings, name=name), KINDS, TestParts())


class Kept:
    """Compiled hosts by name."""

    def __init__(self, *hosts: HostRoutes) -> None:
        self.hosts = hosts

    def kept(self) -> Iterator[tuple[str, HostRoutes]]:
        for each in self.hosts:
            yield each.name, each


@frozen
class Client:
    """A connection as a listener knows it."""

    is_busy: bool
    client: str = "192.0.2.1"
    client_port: int = 5


class Entrance:
    scheme = b"https"
    connections = (Client(True), Client(False))


class InsideTests(SynchronousTestCase):
    """What is typed for an edge."""

    def setUp(self) -> None:
        self.hosts = Kept(routes("b.example", "/", "/x/"), routes("a.example"))
        self.counters = {"http_requests": 3}
        self.inside = Inside(self.hosts, (Entrance(),), counters=self.counters)

    def text(self, source: str, failed: bool = False) -> str:
        text, has_failed = self.successResultOf(self.inside.evaluate(source))
        self.assertEqual(has_failed, failed, text)
        return text

    def test_value(self) -> None:
        """
        What is printed, then the value; nothing for None.
        """
        self.assertEqual(self.text("print('x')\ncounters['http_requests'] + 1"), "x\n4")
        self.assertEqual(self.text("None"), "")

    def test_named(self) -> None:
        """
        The names that the list has are there, but for those that the edge gives.
        """
        given = {"edge", "backends", "certificates", "settings"}
        for name in set(NAMES) - given:
            self.assertNotIn("NameError", self.text(name))
        for name in NAMES:
            self.assertIn(name, self.text("help()"))

    def test_failure(self) -> None:
        """
        Whatever goes wrong is a text: also what is no Python, and the wish to exit.
        """
        for source, name in (
            ("1/0", "ZeroDivisionError"),
            ("1 +* 2", "SyntaxError"),
            ("raise SystemExit", "SystemExit"),
            ("raise KeyboardInterrupt", "KeyboardInterrupt"),
            ("(" * 3000, "nested"),
            ("'\\0'\nopen('\\0')", "ValueError"),
        ):
            self.assertIn(name, self.text(source, failed=True))
        self.assertTrue(self.text("print('x')\n1/0", failed=True).startswith("x\n"))

    def test_awaited(self) -> None:
        """
        A Deferred of the edge's is waited for.
        """
        waited: Deferred[int] = Deferred()
        inside = Inside(self.hosts, (), waited=waited)
        answer = inside.evaluate("await waited + 1")
        self.assertNoResult(answer)
        waited.callback(1)
        self.assertEqual(self.successResultOf(answer), ("2", False))

    def test_forgotten(self) -> None:
        """
        What one text names is unknown to the next, and cannot hide what is there.
        """
        self.text("hosts = counters = 1")
        self.assertEqual(self.text("counters"), "{'http_requests': 3}")

    def test_bounded(self) -> None:
        """
        The answer fits into a message, however many bytes a character takes.
        """
        for source in ("print('\u20ac' * 100_000)", "'\u20ac' * 100_000", "'\\ud800' * 9"):
            self.assertLessEqual(len(self.text(source).encode()), MOST)

    def test_compiled(self) -> None:
        """
        Compiled hosts come as plain values, in order of name.
        """
        answer = ast.literal_eval(self.text("compiled()"))
        self.assertEqual(answer["kept"], 2)
        self.assertEqual([each["name"] for each in answer["hosts"]], ["a.example", "b.example"])
        self.assertEqual(answer["hosts"][1]["mappings"], ["/", "/x"])
        only = ast.literal_eval(self.text("compiled('b.')"))
        self.assertEqual((only["kept"], len(only["hosts"])), (2, 1))

    def test_manyHosts(self) -> None:
        """
        Of many hosts, and of a host with many paths, there are as many as an answer holds.
        """
        paths = [f"/{number:09}" for number in range(50)]
        many: list[Any] = [routes(f"{number}.example", *paths) for number in range(2000)]
        text, _ = self.successResultOf(Inside(Kept(*many), ()).evaluate("print(compiled())"))
        answer = ast.literal_eval(text)
        self.assertEqual(answer["kept"], 2000)
        self.assertTrue(HOSTS // 1000 < len(answer["hosts"]) < 2000)
        self.assertEqual(len(answer["hosts"][0]["mappings"]), PATHS + 1)

    def test_connections(self) -> None:
        """
        Clients by address, and whether one is being answered.
        """
        self.assertEqual(
            ast.literal_eval(self.text("connections()")),
            [("https", "192.0.2.1", 5, "busy"), ("https", "192.0.2.1", 5, "idle")],
        )

"""
Tests for `hostedge.console.namespace`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hostedge.api.calls import Refused
from hostedge.console.complete import complete
from hostedge.console.evaluate import Elsewhere, Output, evaluate, told
from hostedge.console.layout import Answer, shown
from hostedge.console.namespace import VERBS, Verbs
from hostedge.errors import ConfigError
from hostedge.settings import Settings

EDGE = {
    "index": 0,
    "pid": 10,
    "linked": True,
    "connections": 2,
    "in_flight": 1,
    "revision": 3,
    "uptime": 5.0,
    "hosts": {"hosts": 4},
}


class Roles:
    """The other processes, as control would reach them."""

    def __init__(self) -> None:
        self.inside = "{'kept': 3, 'hosts': [{'name': 'a', 'account': 'b', 'revision': 3,"
        self.inside += " 'mappings': ['/', '/x']}]}"
        self.failing = False
        self.asked: list[tuple[int, str]] = []

    async def status(self) -> dict[str, Any]:
        return {"name": "n1", "revision": 3, "keeper": True, "edges": [dict(EDGE)]}

    async def daemons(self) -> list[dict[str, Any]]:
        return [{"app": "a/x", "state": "READY", "since": 2.0, "in_flight": 0, "reason": ""}]

    async def daemon(self, app: str) -> dict[str, Any] | None:
        return (await self.daemons())[0] if app == "a/x" else None

    async def journey(self, app: str) -> dict[str, Any] | None:
        return None

    async def events(self, after: int, app: str, wait: bool) -> list[dict[str, Any]]:
        return [{"number": 1, "time": 0.0, "app": app, "event": "queued", "waiters": -after}]

    async def explain(self, url: str, method: str, at: str) -> dict[str, Any]:
        if "://" not in url:
            raise Refused(400, "url", "is none")
        steps = [{"step": "host", "answer": url, "reason": method}]
        return {"url": url, "method": method, "steps": steps, **({"at": at} if at else {})}

    async def evaluate(self, index: int, source: str) -> tuple[str, bool]:
        self.asked.append((index, source))
        return self.inside, self.failing


class Store:
    """Stands where the store's view does."""


class VerbsTests(SynchronousTestCase):
    """What an operator can say."""

    def setUp(self) -> None:
        self.roles = Roles()
        nowhere = Settings(file=Path("x"), state=Path("/nowhere"), homes=Path("/"))
        store: Any = Store()
        self.names = Verbs(self.roles, self.roles.explain, store, nowhere).names()

    def value(self, source: str) -> Any:
        coroutine = evaluate(source, self.names, Output(lambda text: None))
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def failure(self, source: str, kind: type[Exception]) -> Exception:
        coroutine = evaluate(source, self.names, Output(lambda text: None))
        failed: Exception = self.failureResultOf(Deferred.fromCoroutine(coroutine), kind).value
        return failed

    def text(self, source: str, width: int = 80) -> str:
        return shown(self.value(source), width)

    def test_status(self) -> None:
        """
        As `hostedge status` prints it; the values are at hand.
        """
        self.assertIn("Node n1, store at revision 3.", self.text("status()"))
        self.assertEqual(self.value("(await status())['edges'][0]['pid']"), 10)

    def test_edges(self) -> None:
        """
        A row an edge, as wide as the terminal.
        """
        head, row = self.text("edges()").splitlines()
        self.assertEqual(row.split(), ["0", "10", "yes", "2", "1", "3", "4"])
        self.assertLessEqual(max(map(len, self.text("edges()", 50).splitlines())), 50)

    def test_daemons(self) -> None:
        """
        As `hostedge apps` prints them.
        """
        self.assertIn("a/x  READY", self.text("daemons()"))
        self.assertIn("READY for 2s", self.text("daemon('a/x')"))
        self.assertIn("COLD", self.text("daemon('a/y')"))

    def test_events(self) -> None:
        """
        As `hostedge events` prints them.
        """
        told = self.text("events('a/x', 7)")
        self.assertEqual(told, "1970-01-01 00:00:00Z a/x queued  waiters 7")

    def test_explain(self) -> None:
        """
        What the API answers, laid out as `hostedge explain` does; a refusal is a sentence.
        """
        self.assertIn("GET http://a/x\n", self.text("explain('http://a/x')"))
        self.assertIn("at revision 2\n", self.text("explain('http://a/x', at=2)"))
        self.assertRegex(self.text("explain('http://a/x', at='2h')"), "at revision 20..-")
        self.assertEqual(str(self.failure("explain('x')", ConfigError)), "url: is none")

    def test_hosts(self) -> None:
        """
        What an edge has compiled, as a table.
        """
        text = self.text('hosts(1, "a\'")')
        self.assertEqual(self.roles.asked, [(1, 'print(compiled("a\'"))')])
        self.assertIn("a     b               3  / /x\n1 of 3 hosts", text)

    def test_failsThere(self) -> None:
        """
        What fails inside an edge has failed here as well, in the edge's own words.
        """
        self.roles.inside, self.roles.failing = "Traceback: no", True
        for source in ("hosts()", "edge(0).nothing"):
            self.assertEqual(told(self.failure(source, Elsewhere)), "Traceback: no")

    def test_edge(self) -> None:
        """
        What is said to an edge goes there as it is written, and comes back as text.
        """
        self.roles.inside = "HostStats(…)"
        self.assertEqual(self.text("edge(2).hosts.stats()"), "HostStats(…)")
        self.assertEqual(self.roles.asked[-1], (2, "hosts.stats()"))
        self.assertIn("counters", complete("edge(0).", self.names)[1])

    def test_twice(self) -> None:
        """
        An answer may be looked at more than once.
        """
        self.value("x = daemons()")
        self.assertIsInstance(self.value("x"), Answer)
        self.assertIsInstance(self.value("x"), Answer)

    def test_help(self) -> None:
        """
        Every verb is in the list, each example begins with a name there is, no line is too long.
        """
        text = self.text("help()")
        self.assertLessEqual(max(map(len, text.splitlines())), 80)
        begins = {how.partition("(")[0].partition(".")[0] for how, _ in VERBS}
        self.assertEqual(begins, set(self.names) - {"quit", "__builtins__"})

    def test_helpAbout(self) -> None:
        """
        An object says what it is and what it can do.
        """
        text = self.text("help(explain)")
        self.assertTrue(text.startswith("What an edge would do with a request"), text)
        self.assertIn("append(object, /)\n    Append object", self.text("help([])"))

    def test_exit(self) -> None:
        """
        Leaving is what Python calls it.
        """
        coroutine = evaluate("exit()", self.names, Output(lambda text: None))
        self.failureResultOf(Deferred.fromCoroutine(coroutine), SystemExit)

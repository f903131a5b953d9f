"""
Tests for `hostedge.console.evaluate`.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from hostedge.console.evaluate import Output, evaluate, is_whole, told
from hostedge.console.layout import MOST
from hostedge.errors import ConfigError


class WholeTests(SynchronousTestCase):
    """When a statement is over."""

    def test_whole(self) -> None:
        """
        A line is, a block is after an empty line, and `await` may stand anywhere.
        """
        for source in ("1", "", "# remark", "if 1:\n  2\n", "await x", "(1,\n2)"):
            self.assertTrue(is_whole(source), source)

    def test_unfinished(self) -> None:
        """
        Brackets, texts and blocks that are open go on.
        """
        for source in ("(1,", "'''a", "if 1:", "if 1:\n  2", "def f():"):
            self.assertFalse(is_whole(source), source)

    def test_never(self) -> None:
        """
        What cannot become a statement is refused at once.
        """
        for source in ("1 +* 2", "'a", "if 1:\n2\n", ")"):
            self.assertRaises(SyntaxError, is_whole, source)


class EvaluateTests(SynchronousTestCase):
    """What a source comes to."""

    def setUp(self) -> None:
        self.names: dict[str, Any] = {}
        self.printed: list[str] = []

    def start(self, source: str) -> Deferred[object]:
        return Deferred.fromCoroutine(evaluate(source, self.names, Output(self.printed.append)))

    def value(self, source: str) -> object:
        return self.successResultOf(self.start(source))

    def test_values(self) -> None:
        """
        The last expression counts, and names last.
        """
        self.assertEqual(self.value("a = 1\nb = 2\na + b"), 3)
        self.assertIsNone(self.value("a = 5"))
        self.assertEqual(self.value("a"), 5)
        self.assertIsNone(self.value(""))

    def test_printed(self) -> None:
        """
        What is printed, also to stderr, comes here; afterwards stdout is what it was.
        """
        before = sys.stdout
        self.value("import sys\nprint('x')\nprint('y', file=sys.stderr)")
        self.assertEqual("".join(self.printed), "x\ny\n")
        self.assertIs(sys.stdout, before)

    def test_awaited(self) -> None:
        """
        Deferreds and coroutines are awaited, written so or not.
        """
        waited: Deferred[int] = Deferred()
        self.names["waited"] = waited
        running = self.start("x = await waited\nx + 1")
        self.assertNoResult(running)
        waited.callback(3)
        self.assertEqual(self.successResultOf(running), 4)
        self.names["there"] = succeed(7)
        self.assertEqual(self.value("there"), 7)
        self.assertEqual(self.value("async def f(): return await there\nf()"), 7)

    def test_bounded(self) -> None:
        """
        A statement that prints without end does not fill the memory.
        """
        self.value(f"for _ in range(100): print('x' * {MOST // 10})")
        self.assertLess(len("".join(self.printed)), MOST + 60)
        self.assertTrue(self.printed[-1].endswith("is dropped)\n"))

    def test_told(self) -> None:
        """
        A traceback begins with what was typed; a mistake of the operator's is a sentence.
        """
        error = self.failureResultOf(self.start("def f():\n  1/0\nf()")).value
        self.assertEqual(
            told(error),
            "Traceback (most recent call last):\n"
            '  File "<manhole>", line 3, in <module>\n'
            '  File "<manhole>", line 2, in f\n'
            "ZeroDivisionError: division by zero",
        )
        self.assertEqual(told(ConfigError("edge 7", "is not linked")), "edge 7: is not linked")
        broken = self.failureResultOf(self.start("1 +* 2")).value
        self.assertTrue(told(broken).startswith('  File "<manhole>", line 1\n    1 +* 2'))

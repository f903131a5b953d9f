"""
Tests for `hostedge.console.interpreter`.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from hostedge.console.interpreter import LOGGED, MOST_LINES, Interpreter, Outcome


class InterpreterTests(SynchronousTestCase):
    """Statements of one operator."""

    def setUp(self) -> None:
        self.names: dict[str, Any] = {}
        self.interpreter = Interpreter(self.names, "ann", 40)
        self.printed: list[str] = []
        self.interpreter.show = self.printed.append

    def outcome(self, line: str) -> Outcome:
        running = self.interpreter.push(line)
        assert running is not None
        return self.successResultOf(running)

    def test_logged(self) -> None:
        """
        Everything that is typed is in the log with who has typed it, also what is wrong.
        """
        with capturedLogs() as events:
            self.interpreter.push("x = (1,")
            self.interpreter.push("2)")
            self.interpreter.push("1 +* 2")
        typed = [(each["who"], each["line"]) for each in events if "line" in each]
        self.assertEqual(typed, [("ann", "x = (1,"), ("ann", "2)"), ("ann", "1 +* 2")])

    def test_outcomes(self) -> None:
        """
        A value, nothing, a failure, the wish to leave.
        """
        self.assertEqual(self.outcome("1 + 1"), Outcome("2"))
        self.assertEqual(self.outcome("None"), Outcome())
        failed = self.outcome("1/0")
        self.assertTrue(failed.failed)
        self.assertTrue(failed.text.endswith("ZeroDivisionError: division by zero"))
        self.assertEqual(self.outcome("raise SystemExit"), Outcome(over=True))
        self.assertTrue(self.outcome("raise KeyboardInterrupt").failed)

    def test_last(self) -> None:
        """
        `_` is the last value, until there is another one.
        """
        self.outcome("5")
        self.outcome("None")
        self.assertEqual(self.outcome("_ + 1").text, "6")

    def test_printedAfterAwait(self) -> None:
        """
        What is printed after something was waited for comes here as well.
        """
        waited: Deferred[None] = Deferred()
        self.names["waited"] = waited
        self.interpreter.push("async def f():")
        self.interpreter.push("  await waited; print('after')")
        self.outcome("")
        running = self.interpreter.push("f()")
        assert running is not None
        waited.callback(None)
        self.assertEqual(self.successResultOf(running), Outcome())
        self.assertEqual("".join(self.printed), "after\n")

    def test_unreadable(self) -> None:
        """
        What is nested too deep to be read fails as a statement does.
        """
        for source in ("(" * 5000 + ")" * 5000, "-" * 100_000 + "1", "1 if " * 3000 + "1"):
            self.assertTrue(self.outcome(source).failed)
        self.assertEqual(self.outcome("2").text, "2")

    def test_longLinesAreLogged(self) -> None:
        """
        Every character that is typed stands in the log, in events of bounded length.
        """
        with capturedLogs() as events:
            self.outcome("'" + "ab" * LOGGED + "'")
        typed = [event["line"] for event in events if "line" in event]
        self.assertEqual("".join(typed), "'" + "ab" * LOGGED + "'")
        self.assertEqual(max(map(len, typed)), LOGGED)

    def test_badRepr(self) -> None:
        """
        A value that cannot be shown is a failure of the statement.
        """
        self.interpreter.push("class Bad:")
        self.interpreter.push("  def __repr__(self): raise ValueError('no')")
        self.outcome("")
        self.assertTrue(self.outcome("Bad()").failed)

    def test_bounded(self) -> None:
        """
        A statement that never ends is given up.
        """
        for _ in range(MOST_LINES - 1):
            self.assertIsNone(self.interpreter.push("'''" if not self.interpreter.buffer else ""))
        self.assertTrue(self.outcome("").failed)
        self.assertEqual(self.interpreter.buffer, [])

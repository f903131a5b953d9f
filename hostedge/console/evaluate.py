"""
Python as an operator types it: when a statement is whole, what it comes to, how it failed.

In:  `console.interpreter` in control, `console.inside` in an edge.
Out: the value of the last expression, awaited; a traceback that begins where the typing did.
"""

from __future__ import annotations

import ast
import inspect
import traceback
from codeop import CommandCompiler
from collections.abc import Awaitable, Callable
from contextlib import redirect_stderr, redirect_stdout
from io import TextIOBase
from types import CodeType
from typing import Any

from hostedge.console.layout import MOST
from hostedge.errors import ConfigError

FILENAME = "<manhole>"
AWAITS = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

# how reading Python fails: also for what is nested too deep to be read
UNREADABLE = (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError)


class Elsewhere(Exception):
    """What was asked of another process failed there; the text is what that has to say."""


class Output(TextIOBase):
    """Takes what one statement prints; past `MOST` characters the rest is dropped."""

    def __init__(self, show: Callable[[str], None]) -> None:
        super().__init__()
        self._show = show
        self._left = MOST

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if self._left > 0:
            self._show(text[: self._left])
            self._left -= len(text)
            if self._left < 0:
                self._show("…\n(what it prints beyond this is dropped)\n")
        return len(text)


def is_whole(source: str) -> bool:
    """
    Whether nothing more has to be typed before this can run.

    Raises:
        UNREADABLE: it can never run, whatever follows.
    """
    compiler = CommandCompiler()
    compiler.compiler.flags |= AWAITS
    return compiler(source, FILENAME, "single") is not None


async def evaluate(source: str, names: dict[str, Any], output: TextIOBase) -> object:
    """
    Run all of it; answers the value of the expression at its end, or None.

    What can be awaited is, also when nobody has written `await`.
    """
    tree = ast.parse(source, FILENAME)
    value: object = None
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    if tree.body:
        await _run(_compiled(tree, "exec"), names, output)
    if isinstance(last, ast.Expr):
        value = await _run(_compiled(ast.Expression(last.value), "eval"), names, output)
        if isinstance(value, Awaitable):
            value = await value
    return value


def _compiled(tree: ast.Module | ast.Expression, mode: str) -> CodeType:
    code: CodeType = compile(tree, FILENAME, mode, flags=AWAITS, dont_inherit=True)
    return code


async def _run(code: CodeType, names: dict[str, Any], output: TextIOBase) -> Any:
    with redirect_stdout(output), redirect_stderr(output):
        value = eval(code, names)  # noqa: S307 - what a manhole is for
    if code.co_flags & inspect.CO_COROUTINE:
        return await value
    return value


def told(error: BaseException) -> str:
    """How something failed: a sentence where there is one, else a traceback."""
    if isinstance(error, ConfigError | Elsewhere):
        return str(error)
    if isinstance(error, SyntaxError):
        return "".join(traceback.format_exception_only(error)).rstrip()
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename != FILENAME:
        frames = frames.tb_next
    lines = traceback.format_exception(type(error), error, frames or error.__traceback__)
    return "".join(lines).rstrip()

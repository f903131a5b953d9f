"""
An expression that is evaluated inside an edge: `edge(0).hosts.stats()`.

In:  the manhole's `edge`; attributes, calls and items are only noted.
Out: when the value is wanted, the whole expression goes to the edge, and its text comes back.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any

from hostedge.console.layout import Printed
from hostedge.errors import ConfigError

# sends source to the edge; fires with what it has printed
Ask = Callable[[str], Awaitable[str]]


class Remote:
    """
    What is said here to an edge: an attribute, a call, an item, or a text of Python. Nothing
    happens until it is awaited, which the manhole does with what is typed.
    """

    def __init__(self, ask: Ask, source: str = "") -> None:
        self._ask = ask
        self._source = source

    def __getattr__(self, name: str) -> Remote:
        if name.startswith("__"):
            # what Python asks of every object is not meant for the edge
            raise AttributeError(name)
        return Remote(self._ask, f"{self._source}.{name}" if self._source else name)

    def __call__(self, *values: object, **named: object) -> Remote:
        if not self._source:
            if named or len(values) != 1 or not isinstance(values[0], str):
                raise ConfigError("edge", 'want one text of Python: edge(0)("len(counters)")')
            return Remote(self._ask, values[0])
        given = [*map(repr, values), *(f"{name}={value!r}" for name, value in named.items())]
        return Remote(self._ask, f"{self._source}({', '.join(given)})")

    def __getitem__(self, key: object) -> Remote:
        return Remote(self._ask, f"{self._source}[{key!r}]")

    def __repr__(self) -> str:
        return f"<in an edge: {self._source or 'help()'}>"

    def __await__(self) -> Generator[Any, Any, Printed]:
        return self._answer().__await__()

    async def _answer(self) -> Printed:
        return Printed(await self._ask(self._source or "help()"))

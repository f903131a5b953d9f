"""
How a value is shown to an operator: laid out to the terminal's width, and never without end.

In:  the manhole with what was typed came to; an edge with what it was asked.
Out: text of at most `MOST` characters in which nothing steers a terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from attrs import fields, frozen, has

MOST = 60_000  # characters of one answer: some hundred screens, and within one message of AMP
DEPTH = 8  # levels of a value that are laid out; what lies deeper stands on one line
INDENT = 4


class Printed(str):
    """A text that is shown as it is, not as a literal of Python."""

    __slots__ = ()


@frozen(repr=False)
class Answer:
    """What a verb has answered: values that cannot be changed, and how they are laid out."""

    data: Any
    lay_out: Callable[[Any, int], Iterable[str]]

    def __getitem__(self, key: Any) -> Any:
        return self.data[key]

    def __iter__(self) -> Iterator[Any]:
        return iter(self.data)

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return "\n".join(self.lay_out(self.data, 80))


def freeze(value: Any) -> Any:
    """JSON as values that cannot be changed."""
    if isinstance(value, Mapping):
        return MappingProxyType({key: freeze(each) for key, each in value.items()})
    if isinstance(value, list | tuple):
        return tuple(map(freeze, value))
    return value


def _thawed(value: Any) -> Any:
    """What was frozen, as Python writes it."""
    if isinstance(value, MappingProxyType):
        return {key: _thawed(each) for key, each in value.items()}
    if type(value) is tuple:
        return tuple(map(_thawed, value))
    return value


def shown(value: object, width: int) -> str:
    """A value as text, without a line end."""
    if isinstance(value, Printed):
        return cut(printable(str(value)))
    if isinstance(value, Answer):
        return cut(printable("\n".join(value.lay_out(value.data, width))))
    return cut(printable(_laid_out(_thawed(value), width)))


def _laid_out(value: object, width: int, begins: int = 0, depth: int = 0) -> str:
    flat = repr(value)
    if begins + len(flat) <= width or depth == DEPTH:
        return flat
    kind = type(value)
    if isinstance(value, str | bytes) or not _parts(value):
        return flat
    opening, closing = _brackets(kind)
    margin = " " * (INDENT * (depth + 1))
    lines = [
        f"{margin}{label}{_laid_out(part, width, len(margin) + len(label) + 1, depth + 1)},"
        for label, part in _parts(value)
    ]
    return "\n".join([opening, *lines, " " * (INDENT * depth) + closing])


def _brackets(kind: type) -> tuple[str, str]:
    brackets: dict[type, str] = {list: "[]", tuple: "()", dict: "{}", set: "{}"}
    known = brackets.get(kind)
    return (known[0], known[1]) if known else (f"{kind.__name__}(", ")")


def _parts(value: object) -> list[tuple[str, object]]:
    """What a value is made of, each with what stands before it; empty: it is one thing."""
    kind = type(value)
    if has(kind):
        shows = [each for each in fields(kind) if each.repr]
        return [(f"{each.name}=", getattr(value, each.name)) for each in shows]
    if isinstance(value, dict) and kind is dict:
        return [(f"{key!r}: ", each) for key, each in value.items()]
    if isinstance(value, list | tuple | set) and kind in (list, tuple, set):
        return [("", each) for each in value]
    return []


def cut(text: str, most: int = MOST) -> str:
    """The text, or as much of it as is shown at once."""
    if len(text) <= most:
        return text
    return f"{text[:most]}…\n({len(text) - most} more characters)"


def printable(text: str) -> str:
    """
    The text without what steers a terminal: names and reasons come from customers' daemons.
    """
    if text.isprintable():
        return text
    text = text.expandtabs()
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def columns(words: list[str], width: int) -> Iterator[str]:
    """Words side by side, as many as fit, in the order of reading."""
    room = max(map(len, words), default=0) + 2
    beside = max(1, width // room)
    for start in range(0, len(words), beside):
        yield "".join(word.ljust(room) for word in words[start : start + beside]).rstrip()

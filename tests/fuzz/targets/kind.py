"""
What a target has to be, and how an input says where it is cut.

In:  `targets.known`, and each target.
Out: `Target`, `cuts`, `files_of`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from attrs import frozen

CASES = Path(__file__).resolve().parent.parent.parent / "cases"


@frozen
class Target:
    """One parser, with what has to hold for any bytes."""

    name: str
    # raises AssertionError, or whatever the parser lets out
    check: Callable[[bytes], None]
    # modules whose branches guide the fuzzer, and whose lines are counted
    modules: tuple[str, ...]
    # inputs to begin with
    seeds: Callable[[], Iterable[bytes]]
    # tokens that the fuzzer puts into its inputs
    words: tuple[bytes, ...] = ()


def cut_places(first: int, second: int, size: int) -> tuple[int, int]:
    """Give two places in so many bytes, in order, out of two bytes of the input."""
    low, high = sorted((first * size // 255, second * size // 255))
    return low, high


def with_cuts(data: bytes) -> tuple[bytes, tuple[bytes, bytes, bytes]]:
    """Take the first two bytes for the places of two cuts; give the rest, whole and in pieces."""
    if len(data) < 2:
        return data, (data, b"", b"")
    rest = data[2:]
    low, high = cut_places(data[0], data[1], len(rest))
    return rest, (rest[:low], rest[low:high], rest[high:])


def plain_cases(folder: str) -> Iterator[Path]:
    """Give the case files of a folder."""
    yield from sorted((CASES / folder).glob("*.case"))

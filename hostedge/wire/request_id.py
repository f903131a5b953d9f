"""
Names for requests: UUIDv7, so that they sort by time.

In:  the server protocol, once for each request.
Out: 36 characters.
Spec: RFC 9562 section 5.7.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

# digits of a random part, and how many parts are drawn at once
_DIGITS = 12
_DRAWN = 64


class RequestIds:
    """
    Makes ids that no other process makes.

    Made after the fork, never before: two edges with one copy of the random state would give
    the same ids. `clock` gives seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # an id names a request in a log, it protects nothing
        self._bits = Random().getrandbits  # noqa: S311
        self._moment = -1
        self._prefix = ""
        # random parts in a row, and where the next one begins
        self._parts = ""
        self._next = 0

    def make(self) -> str:
        """Give a new id."""
        moment = int(self._clock() * 1000)
        if moment != self._moment:
            self._moment = moment
            self._prefix = self._head(moment)
        # ids of one millisecond differ by 48 bits; to draw and write them one by one costs four
        # times as much, and all 74 of an id still more
        at = self._next
        if at == len(self._parts):
            at = 0
            self._parts = f"{self._bits(4 * _DIGITS * _DRAWN):0{_DIGITS * _DRAWN}x}"
        self._next = end = at + _DIGITS
        return self._prefix + self._parts[at:end]

    def _head(self, moment: int) -> str:
        digits = f"{moment & 0xFFFFFFFFFFFF:012x}"
        variant = 0x8000 | self._bits(14)
        return f"{digits[:8]}-{digits[8:]}-7{self._bits(12):03x}-{variant:04x}-"

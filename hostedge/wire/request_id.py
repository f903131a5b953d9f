"""
Names for requests: UUIDv7, so that they sort by time.

In:  the server protocol, once for each request.
Out: 36 characters.
Spec: RFC 9562 section 5.7.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random


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

    def make(self) -> str:
        """Give a new id."""
        moment = int(self._clock() * 1000)
        if moment != self._moment:
            self._moment = moment
            self._prefix = self._head(moment)
        # ids of one millisecond differ by 48 bits; formatting all 74 anew costs three times as much
        return f"{self._prefix}{self._bits(48):012x}"

    def _head(self, moment: int) -> str:
        digits = f"{moment & 0xFFFFFFFFFFFF:012x}"
        variant = 0x8000 | self._bits(14)
        return f"{digits[:8]}-{digits[8:]}-7{self._bits(12):03x}-{variant:04x}-"

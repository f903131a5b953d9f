"""
A page of memory that all edges share: how many connections each one holds.

In:  the keeper makes it and clears the place of an edge that ended; each edge writes its own.
Out: `net.listener` reads all places to decide whether this edge should skip a turn.
"""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

PLACES = 256  # one for each edge that `edges` allows
_ABSENT = -1
_FORMAT = struct.Struct(f"{PLACES}i")
_ONE = struct.Struct("i")


class SharedPage:
    """
    `PLACES` numbers, -1 where no edge is. Each place has one writer, so nothing is locked.
    """

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory

    @classmethod
    def create(cls, path: Path) -> SharedPage:
        """Make or take over the page; counts of edges that live on are kept."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        try:
            fresh = os.fstat(descriptor).st_size != _FORMAT.size
            os.ftruncate(descriptor, _FORMAT.size)
            page = cls(mmap.mmap(descriptor, _FORMAT.size))
        finally:
            os.close(descriptor)
        if fresh:
            page._memory[:] = _FORMAT.pack(*[_ABSENT] * PLACES)
        return page

    @classmethod
    def open(cls, path: Path) -> SharedPage:
        """
        Raises:
            FileNotFoundError: no keeper has made it.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            return cls(mmap.mmap(descriptor, _FORMAT.size))
        finally:
            os.close(descriptor)

    def put(self, place: int, connections: int) -> None:
        _ONE.pack_into(self._memory, place * _ONE.size, connections)

    def clear(self, place: int) -> None:
        self.put(place, _ABSENT)

    def counts(self) -> list[int]:
        """The connections of every edge that lives, in no particular order."""
        return [count for count in _FORMAT.unpack(self._memory[:]) if count >= 0]

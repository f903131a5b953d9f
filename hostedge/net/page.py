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

PLACES = 256  # one for each edge that `edges` allows; successors in an upgrade need some, too
_ABSENT = -1
# and what is below: of an edge that takes in no more
_LEAVING = -2
_FORMAT = struct.Struct(f"{PLACES}i")
_ONE = struct.Struct("i")


def create_shared(path: Path, size: int, start: bytes = b"") -> mmap.mmap:
    """
    Map a file of this size that several processes share: the one that is there, with what it has,
    or a new one that begins with `start`, the rest a hole until it is written. It takes the place
    of one of another size; whoever has mapped that keeps it.
    """
    try:
        memory = open_shared(path)
    except (FileNotFoundError, ValueError):
        # none, or one that a keeper had no time to fill
        pass
    else:
        if len(memory) == size:
            return memory
        memory.close()
    fresh = path.with_name(f"{path.name}.new")
    descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o660)
    try:
        os.ftruncate(descriptor, size)
        os.pwrite(descriptor, start, 0)
        os.rename(fresh, path)
        return mmap.mmap(descriptor, size)
    finally:
        os.close(descriptor)


def open_shared(path: Path) -> mmap.mmap:
    """
    Map all of such a file.

    Raises:
        FileNotFoundError: no keeper has made it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        return mmap.mmap(descriptor, 0)
    finally:
        os.close(descriptor)


class SharedPage:
    """
    `PLACES` numbers, -1 where no edge is, less where it takes in no more. Each place has one
    writer, so nothing is locked.
    """

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory

    @classmethod
    def create(cls, path: Path) -> SharedPage:
        """Make or take over the page; counts of edges that live on are kept."""
        absent = _FORMAT.pack(*[_ABSENT] * PLACES)
        return cls(create_shared(path, _FORMAT.size, absent))

    @classmethod
    def open(cls, path: Path) -> SharedPage:
        """
        Raises:
            FileNotFoundError: no keeper has made it.
        """
        return cls(open_shared(path))

    def put(self, place: int, connections: int) -> None:
        _ONE.pack_into(self._memory, place * _ONE.size, connections)

    def put_leaving(self, place: int, connections: int) -> None:
        """The edge takes in no more; what it holds is not compared with what others hold."""
        self.put(place, _LEAVING - connections)

    def clear(self, place: int) -> None:
        self.put(place, _ABSENT)

    def counts(self) -> list[int]:
        """The connections of every edge that takes some in, in no particular order."""
        return [count for count in _FORMAT.unpack(self._memory[:]) if count >= 0]

    def living(self) -> list[int]:
        """The places of all edges that live."""
        counts = _FORMAT.unpack(self._memory[:])
        return [place for place, count in enumerate(counts) if count != _ABSENT]

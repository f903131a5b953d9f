"""
How many connections each client address holds, over all edges.

In:  the keeper makes the table and clears the row of an edge that ended; each edge writes its own
     row, for every connection that is taken in and that ends.
Out: whether one more of a source would be too many.

A source is an IPv4 address, or the /64 of an IPv6 one. It counts in two slots of 4096 that a keyed
hash names; the smaller sum is what it can have at most. So no client makes the table larger, and
none chooses whose slots it shares. Each row has one writer, so nothing is locked.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import blake2s
from ipaddress import IPv6Address, ip_address
from pathlib import Path

from hostedge.net.page import PLACES
from hostedge.wire.networks import Networks

SLOTS = 4096
_KEY = 32
_ONE = struct.Struct("H")
_ROW = SLOTS * _ONE.size
_SIZE = _KEY + PLACES * _ROW


class SourceTable:
    """`PLACES` rows of small numbers, and the key by which sources find their slots."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._memory = memory
        key = memory[:_KEY]

        @lru_cache(maxsize=4096)
        def slots(source: str) -> tuple[int, int]:
            digest = blake2s(source.encode(), digest_size=4, key=key).digest()
            return int.from_bytes(digest[:2]) % SLOTS, int.from_bytes(digest[2:]) % SLOTS

        self.slots: Callable[[str], tuple[int, int]] = slots

    @classmethod
    def create(cls, path: Path) -> SourceTable:
        """Make or take over the table; counts of edges that live on are kept."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o660)
        try:
            if os.fstat(descriptor).st_size != _SIZE:
                # the rest is a hole in the file until it is written
                os.ftruncate(descriptor, 0)
                os.ftruncate(descriptor, _SIZE)
                os.pwrite(descriptor, os.urandom(_KEY), 0)
            return cls(mmap.mmap(descriptor, _SIZE))
        finally:
            os.close(descriptor)

    @classmethod
    def open(cls, path: Path) -> SourceTable:
        """
        Raises:
            FileNotFoundError: no keeper has made it.
        """
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            return cls(mmap.mmap(descriptor, _SIZE))
        finally:
            os.close(descriptor)

    def clear(self, place: int) -> None:
        """The edge at this place holds nothing."""
        start = _KEY + place * _ROW
        self._memory[start : start + _ROW] = bytes(_ROW)

    def add(self, place: int, source: str, count: int) -> None:
        """Change what this edge holds of a source."""
        for slot in set(self.slots(source)):
            at = _KEY + place * _ROW + slot * _ONE.size
            (before,) = _ONE.unpack_from(self._memory, at)
            _ONE.pack_into(self._memory, at, min(max(before + count, 0), 0xFFFF))

    def most(self, source: str, places: Iterable[int]) -> int:
        """What the edges at these places hold of a source at most."""
        return min(sum(self._held(place, slot) for place in places) for slot in self.slots(source))

    def _held(self, place: int, slot: int) -> int:
        held: int = _ONE.unpack_from(self._memory, _KEY + place * _ROW + slot * _ONE.size)[0]
        return held


class Sources:
    """
    What one edge holds, and what it may take in; proxies that are trusted hold for many.

    Edges that take in at the same moment do not see each other: the node may have one more of a
    source for each of them.
    """

    def __init__(
        self, table: SourceTable, place: int, edges: int, limit: int, exempt: Networks
    ) -> None:
        self._table = table
        self._place = place
        self._edges = range(edges)
        self._limit = limit
        self._exempt = exempt
        table.clear(place)

    def is_full(self, client: str) -> bool:
        """Whether the node holds as many connections of this source as it may."""
        source = source_of(client)
        if not source or client in self._exempt:
            return False
        return self._table.most(source, self._edges) >= self._limit

    def opened(self, client: str) -> None:
        self._table.add(self._place, source_of(client), 1)

    def closed(self, client: str) -> None:
        self._table.add(self._place, source_of(client), -1)


@lru_cache(maxsize=4096)
def source_of(client: str) -> str:
    """What counts as one source; empty: a client without an address."""
    try:
        address = ip_address(client.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return address.packed[:8].hex()
    return str(address)

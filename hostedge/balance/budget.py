"""
What many lines may hold together: requests of an account or an edge, or the bytes they keep.

In:  `balance.queue`, when somebody comes to a line or leaves it.
Out: whether there is room.
"""

from __future__ import annotations


class Budget:
    """So much of a limit is taken. Who is in when the limit sinks stays."""

    __slots__ = ("limit", "taken", "__weakref__")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0

    def has_room(self, amount: int = 1) -> bool:
        return self.taken + amount <= self.limit

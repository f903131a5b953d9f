"""
Who has a place, and who waits for one: in order, for a limited time, in a line of limited length.

In:  `http.backends` asks for a request, gives places back, and looks for who waited too long.
Out: whether there is room, and whose turn it is. Every waiter leaves the line exactly once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Generic, TypeVar

Waiter = TypeVar("Waiter")


class Places(Generic[Waiter]):
    """
    `taken` places of `capacity`, and a line of at most `limit` waiters.

    Capacity 0 means that there is no place yet. When capacity shrinks below what is taken,
    nothing is taken away: the next places come free later.
    """

    __slots__ = ("capacity", "taken", "limit", "_line")

    def __init__(self, capacity: int, limit: int) -> None:
        self.capacity = capacity
        self.taken = 0
        self.limit = limit
        self._line: OrderedDict[Waiter, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._line)

    def __iter__(self) -> Iterator[Waiter]:
        """Who waits, in order."""
        return iter(self._line)

    @property
    def is_full(self) -> bool:
        """Whether who asks now is refused."""
        return len(self._line) >= self.limit and (self.taken >= self.capacity or bool(self._line))

    def take(self) -> bool:
        """Take a place; False: there is none, or others wait for it."""
        if self.taken < self.capacity and not self._line:
            self.taken += 1
            return True
        return False

    def stand(self, waiter: Waiter, deadline: float) -> bool:
        """Go to the end of the line; False: it is full."""
        if len(self._line) >= self.limit:
            return False
        self._line[waiter] = deadline
        return True

    def come_back(self, waiter: Waiter, deadline: float) -> None:
        """Stand at the head of the line: whose place turned out to be none has waited before."""
        self._line[waiter] = deadline
        self._line.move_to_end(waiter, last=False)

    def give_back(self) -> None:
        """A place is free; `next` says for whom."""
        self.taken -= 1

    def next(self) -> Waiter | None:
        """Give a free place to whoever is first; None when there is no place or nobody."""
        if self._line and self.taken < self.capacity:
            self.taken += 1
            return self._line.popitem(last=False)[0]
        return None

    def leave(self, waiter: Waiter) -> bool:
        """Go out of the line; False for one who is not in it."""
        return self._line.pop(waiter, None) is not None

    def first_deadline(self) -> float | None:
        """When the first of them has waited too long: not all have the same patience."""
        return min(self._line.values(), default=None)

    def expired(self, now: float) -> list[Waiter]:
        """Take those out of the line whose deadline has come."""
        late = [waiter for waiter, deadline in self._line.items() if deadline <= now]
        for waiter in late:
            del self._line[waiter]
        return late

    def dismiss(self) -> list[Waiter]:
        """Take everybody out of the line, in order."""
        line = list(self._line)
        self._line.clear()
        return line

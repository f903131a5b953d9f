"""
Who has a place, and who waits for one: in order, for a limited time, in a line of limited length.

In:  `http.backends` asks for a request, gives places back, and looks for who waited too long.
Out: whether there is room, and whose turn it is. Every waiter leaves the line exactly once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from hostedge.balance.budget import Budget

Waiter = TypeVar("Waiter")


class Places(Generic[Waiter]):
    """
    `taken` places of `capacity`, and a line of at most `limit` waiters.

    Capacity 0 means that there is no place yet. When capacity shrinks below what is taken,
    nothing is taken away: the next places come free later.

    The line takes of budgets that it shares with others: of each of `shared` one for a waiter,
    of `kept` as many bytes as `weigh` says.
    """

    __slots__ = ("capacity", "taken", "limit", "shared", "_kept", "_weigh", "_weights", "_line")

    def __init__(
        self,
        capacity: int,
        limit: int,
        shared: tuple[Budget, ...] = (),
        kept: Budget | None = None,
        weigh: Callable[[Waiter], int] | None = None,
    ) -> None:
        self.capacity = capacity
        self.taken = 0
        self.limit = limit
        self.shared = shared
        self._kept = kept
        self._weigh = weigh
        self._line: OrderedDict[Waiter, float] = OrderedDict()
        # bytes of those who keep any
        self._weights: dict[Waiter, int] = {}

    def __len__(self) -> int:
        return len(self._line)

    def __iter__(self) -> Iterator[Waiter]:
        """Who waits, in order."""
        return iter(self._line)

    @property
    def is_full(self) -> bool:
        """Whether who asks now is refused, whatever it keeps."""
        return not self._has_room and (self.taken >= self.capacity or bool(self._line))

    @property
    def _has_room(self) -> bool:
        return len(self._line) < self.limit and all(each.has_room() for each in self.shared)

    def take(self) -> bool:
        """Take a place; False: there is none, or others wait for it."""
        if self.taken < self.capacity and not self._line:
            self.taken += 1
            return True
        return False

    def stand(self, waiter: Waiter, deadline: float) -> bool:
        """Go to the end of the line; False: it is full, or what it keeps is too much."""
        if not self._has_room:
            return False
        weight = self._weigh(waiter) if self._weigh is not None else 0
        if weight and self._kept is not None and not self._kept.has_room(weight):
            return False
        self._line[waiter] = deadline
        self._came(waiter, weight)
        return True

    def come_back(self, waiter: Waiter, deadline: float) -> None:
        """
        Stand at the head of the line: whose place turned out to be none has waited before. It is
        let in whether there is room or not.
        """
        self._line[waiter] = deadline
        self._line.move_to_end(waiter, last=False)
        self._came(waiter, self._weigh(waiter) if self._weigh is not None else 0)

    def give_back(self) -> None:
        """A place is free; `next` says for whom."""
        self.taken -= 1

    def next(self) -> Waiter | None:
        """Give a free place to whoever is first; None when there is no place or nobody."""
        if self._line and self.taken < self.capacity:
            self.taken += 1
            waiter = self._line.popitem(last=False)[0]
            self._went(waiter)
            return waiter
        return None

    def leave(self, waiter: Waiter) -> bool:
        """Go out of the line; False for one who is not in it."""
        if self._line.pop(waiter, None) is None:
            return False
        self._went(waiter)
        return True

    def first_deadline(self) -> float | None:
        """When the first of them has waited too long: not all have the same patience."""
        return min(self._line.values(), default=None)

    def expired(self, now: float) -> list[Waiter]:
        """Take those out of the line whose deadline has come."""
        late = [waiter for waiter, deadline in self._line.items() if deadline <= now]
        for waiter in late:
            self.leave(waiter)
        return late

    def dismiss(self) -> list[Waiter]:
        """Take everybody out of the line, in order."""
        line = list(self._line)
        for waiter in line:
            self.leave(waiter)
        return line

    def _came(self, waiter: Waiter, weight: int) -> None:
        for each in self.shared:
            each.taken += 1
        if weight and self._kept is not None:
            self._weights[waiter] = weight
            self._kept.taken += weight

    def _went(self, waiter: Waiter) -> None:
        for each in self.shared:
            each.taken -= 1
        if self._weights and self._kept is not None:
            self._kept.taken -= self._weights.pop(waiter, 0)

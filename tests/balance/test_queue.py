"""Places and waiters, against the plain truth of lists."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from hostedge.balance.budget import Budget
from hostedge.balance.queue import Places


def weigh(waiter: int) -> int:
    """Bytes that it keeps."""
    return waiter % 4 * 7


class Turns(RuleBasedStateMachine):
    """Everything that can happen to a line, in any order."""

    def __init__(self) -> None:
        super().__init__()
        # of all others together there is one here and five bytes
        self.shared, self.kept = Budget(5), Budget(40)
        self.shared.taken, self.kept.taken = 1, 5
        self.places: Places[int] = Places(2, 3, (self.shared,), self.kept, weigh)
        self.line: list[tuple[int, float]] = []
        self.placed: list[int] = []
        self.count = 0
        self.others = 1
        self.now = 0.0

    def serve(self) -> None:
        while (waiter := self.places.next()) is not None:
            self.placed.append(waiter)
            first = self.line.pop(0)
            assert first[0] == waiter

    @rule(patience=st.integers(1, 5))
    def ask(self, patience: int) -> None:
        self.count += 1
        full = len(self.line) >= self.places.limit or len(self.line) + self.others >= 5
        free = len(self.placed) < self.places.capacity and not self.line
        assert self.places.is_full is (full and not free)
        assert self.places.take() is free
        weight = weigh(self.count)
        full = full or (weight > 0 and self.kept.taken + weight > self.kept.limit)
        if free:
            self.placed.append(self.count)
            return
        assert self.places.stand(self.count, self.now + patience) is not full
        if not full:
            self.line.append((self.count, self.now + patience))

    @rule(others=st.integers(0, 5))
    def meanwhile(self, others: int) -> None:
        """What others take of what is shared."""
        self.shared.taken += others - self.others
        self.others = others

    @rule()
    def give_back(self) -> None:
        if self.placed:
            self.placed.pop()
            self.places.give_back()
            self.serve()

    @rule()
    def come_back(self) -> None:
        if self.placed:
            waiter = self.placed.pop()
            self.places.give_back()
            self.places.come_back(waiter, self.now + 1)
            self.line.insert(0, (waiter, self.now + 1))
            self.serve()

    @rule(index=st.integers(0, 3))
    def leave(self, index: int) -> None:
        if index < len(self.line):
            assert self.places.leave(self.line.pop(index)[0])
        assert not self.places.leave(-1)

    @rule(capacity=st.integers(0, 3))
    def resize(self, capacity: int) -> None:
        self.places.capacity = capacity
        self.serve()

    @rule(seconds=st.integers(0, 3))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        late = self.places.expired(self.now)
        assert late == [w for w, d in self.line if d <= self.now]
        self.line = [(w, d) for w, d in self.line if d > self.now]
        first = min([d for _, d in self.line], default=None)
        assert self.places.first_deadline() == first
        # who has waited too long makes room
        self.serve()

    @rule()
    def dismiss(self) -> None:
        assert self.places.dismiss() == [w for w, _ in self.line]
        self.line = []

    @invariant()
    def nothing_is_lost(self) -> None:
        assert self.places.taken == len(self.placed)
        assert self.shared.taken == len(self.line) + self.others
        assert self.kept.taken == 5 + sum(weigh(waiter) for waiter, _ in self.line)
        assert list(self.places) == [waiter for waiter, _ in self.line]
        # no free place while somebody waits
        assert not self.line or self.places.taken >= self.places.capacity


class PlacesTests(SynchronousTestCase):
    """Order, capacity and length."""

    def test_anyOrder(self) -> None:
        """In any order of events nobody overtakes, nobody is lost, no place stays empty."""
        run_state_machine_as_test(Turns, settings=settings(max_examples=60, deadline=None))

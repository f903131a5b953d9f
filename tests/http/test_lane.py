"""Places on a lane, when things go wrong."""

from __future__ import annotations

from collections.abc import Callable

from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.lane import Lane, Waiting
from hostedge.http.relay import Passage
from tests.http.network import Network, make_means


class OneLane(Waiting):
    """A line before one lane."""

    def __init__(self, capacity: int) -> None:
        means = make_means(Network())
        super().__init__(means, capacity, 1000)
        self.lane: Lane | None = Lane(self, means.upstream("unix:/x"), "label")

    def choose(self, passage: Passage) -> Lane | None:
        return self.lane

    def in_use(self) -> list[Lane]:
        return [] if self.lane is None else [self.lane]

    def states(self) -> dict[str, int]:
        return {"up": len(self.in_use())}

    def _capacity(self) -> int:
        return 1

    def _deadline(self, passage: Passage) -> float:
        return 1.0

    def released(self, lane: Lane) -> None:
        self.places.give_back()
        self.serve()

    def cut(self, cause: str) -> None:
        for passage in self.places.dismiss():
            passage.refused(cause, None)


class Asked:
    """Somebody who does at once what the test wants when there is a place."""

    kept_request = 0

    def __init__(self, then: Callable[[Asked, Lane], None]) -> None:
        self.then = then
        self.heard: list[str] = []

    def placed(self, lane: Lane) -> None:
        self.heard.append("placed")
        self.then(self, lane)

    def refused(self, cause: str, retry_after: float | None) -> None:
        self.heard.append(cause)

    def upstream_failed(self, cause: str, answered: bool) -> None:
        self.heard.append(cause)
        self.lane.release()

    lane: Lane


def end_at_once(asked: Asked, lane: Lane) -> None:
    lane.release()


def explode(asked: Asked, lane: Lane) -> None:
    asked.lane = lane
    raise ZeroDivisionError


class WaitingTests(SynchronousTestCase):
    """One line."""

    def test_noNesting(self) -> None:
        """A thousand who end at once are served one after the other, not one inside the other."""
        line = OneLane(0)
        crowd = [Asked(end_at_once) for _ in range(1000)]
        for asked in crowd:
            line.places.stand(asked, 1.0)
        line.places.capacity = 1
        line.serve()
        self.assertEqual({tuple(asked.heard) for asked in crowd}, {("placed",)})
        self.assertEqual((line.places.taken, len(line.places)), (0, 0))

    def test_oneThatFails(self) -> None:
        """An error on the way costs its own request, and no place."""
        line = OneLane(1)
        bad, good = Asked(explode), Asked(end_at_once)
        line.places.take()
        line.place(bad)
        self.assertEqual(bad.heard, ["placed", "internal"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        line.places.take()
        line.place(good)
        self.assertEqual((good.heard, line.places.taken), (["placed"], 0))

    def test_noLane(self) -> None:
        """Without any lane that would do the place is given back."""
        line = OneLane(1)
        line.lane = None
        asked = Asked(end_at_once)
        line.places.take()
        line.place(asked)
        self.assertEqual((asked.heard, line.places.taken), (["upstream_refused"], 0))

    def test_told(self) -> None:
        """Who has a place, who waits for one, and what has gone there."""
        line = OneLane(1)
        first, second = Asked(lambda asked, lane: None), Asked(end_at_once)
        line.places.take()
        line.places.stand(second, 1.0)
        line.place(first)
        line.traffic.ended(3)
        told = line.tell()
        self.assertEqual(
            [told[word] for word in ("in_flight", "waiting", "capacity", "connections", "sockets")],
            [1, 1, 1, 0, 0],
        )
        self.assertEqual((told["requests"], told["reused"], told["states"]), (3, 2, {"up": 1}))

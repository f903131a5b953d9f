"""
A pool on this edge: servers that are not ours to start, in weighted turns.

In:  `http.relay` asks for places.
Out: places on a server that has room; a server that cannot be connected to rests for a while.
"""

from __future__ import annotations

from hostedge.balance.round_robin import RoundRobin
from hostedge.http.announcement import announcing
from hostedge.http.lane import RETRY, Lane, Means, Waiting
from hostedge.http.placing import Lane as LanePort
from hostedge.http.relay import Passage
from hostedge.model.site import Pool, Server
from hostedge.observe.traffic import Traffic

REST = 5.0  # seconds without new requests for a server that could not be connected to


class PoolBackend(Waiting):
    """The sum of `in_flight` over all servers is what is taken of `maxconn` times their number."""

    def __init__(self, name: str, pool: Pool, means: Means, traffic: Traffic | None = None) -> None:
        """`traffic`: of the pool as it was."""
        self.name = name
        self.pool = pool
        super().__init__(means, self._capacity(), pool.queue)
        if traffic is not None:
            self.traffic = traffic
        self.lanes = [self._lane(server) for server in pool.servers]
        self._resting = [0.0] * len(self.lanes)
        self._turns = RoundRobin([server.weight for server in pool.servers])

    def _lane(self, server: Server) -> Lane:
        announce = announcing(self.pool.proxy_protocol)
        upstream = self.means.upstream(server.address, announce, traffic=self.traffic)
        return Lane(self, upstream, server.address)

    def take(self, passage: Passage) -> None:
        if not self.lanes:
            passage.refused("no_server", RETRY)
            return
        if self.places.take():
            self.place(passage)
        else:
            self._line_up(passage)

    def take_again(self, passage: Passage) -> None:
        self.traffic.retries += 1
        deadline = passage.until or self._deadline(passage)
        self.places.come_back(passage, deadline)
        self._wait(deadline)
        self.serve()

    def _capacity(self) -> int:
        return self.pool.maxconn * len(self.pool.servers)

    def _deadline(self, passage: Passage) -> float:
        return self.means.wheel.now + passage.relay.limits.queue_timeout

    def crowded(self, lane: LanePort, passage: Passage) -> bool:
        for other in self.lanes:
            if other is not lane and other not in passage.avoided:
                # that one may have room
                return False
        return super().crowded(lane, passage)

    def unreachable(self, lane: LanePort) -> None:
        self.traffic.ejections += 1
        for index, mine in enumerate(self.lanes):
            if mine is lane:
                self._resting[index] = self.means.wheel.now + REST

    def choose(self, passage: Passage) -> Lane | None:
        index: int | None
        if len(self.lanes) == 1:
            index = 0 if self._is_fit(0) else None
        else:
            index = self._turns.choose(self._is_fit)
        if index is None or self.lanes[index] in passage.avoided:
            index = self._second_choice(passage)
        return None if index is None else self.lanes[index]

    def unreached(self, passage: Passage, cause: str) -> tuple[str, float | None]:
        now, avoided = self.means.wheel.now, passage.avoided
        for lane, resting in zip(self.lanes, self._resting, strict=True):
            if lane not in avoided and resting <= now:
                return cause, None
        return "no_server", RETRY

    def refusal(self, patience: float) -> tuple[str, float | None] | None:
        return super().refusal(patience) if self.lanes else ("no_server", RETRY)

    def released(self, lane: Lane) -> None:
        self.places.give_back()
        # watched: somebody waits
        if self.due:
            self.serve()

    def _is_fit(self, index: int) -> bool:
        has_room = self.lanes[index].in_flight < self.pool.maxconn
        return has_room and self._resting[index] <= self.means.wheel.now

    def _second_choice(self, passage: Passage) -> int | None:
        """Rather one that rests than none, but none twice for the same request."""
        avoided, room = passage.avoided, self.pool.maxconn
        return self._turns.choose(
            lambda i: self.lanes[i].in_flight < room and self.lanes[i] not in avoided
        )

    def close(self) -> None:
        """The pool has changed: finish here, begin nothing."""
        for lane in self.lanes:
            lane.upstream.close()

    def cut(self, cause: str) -> None:
        """End everything now."""
        for passage in self.places.dismiss():
            passage.refused(cause, None)
        for lane in self.lanes:
            lane.upstream.cut(cause)

    def in_use(self) -> list[Lane]:
        return self.lanes

    def states(self) -> dict[str, int]:
        now = self.means.wheel.now
        resting = sum([until > now for until in self._resting])
        return {"up": len(self.lanes) - resting, "resting": resting}

    def explain(self) -> list[str]:
        now = self.means.wheel.now
        lines = [f"pool {self.name}: {self.places.taken} places taken, {len(self.places)} wait"]
        if self.pool.proxy_protocol != "off":
            lines.append(f"each connection begins with a PROXY header, {self.pool.proxy_protocol}")
        for lane, resting in zip(self.lanes, self._resting, strict=True):
            state = "resting" if resting > now else f"{lane.in_flight} of {self.pool.maxconn}"
            lines.append(f"server {lane.label}: {state}")
        return lines

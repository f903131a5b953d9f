"""
One WebSocket between a client and an app: two ends, and one way in which they close.

In:  `ws.passage` makes it of an opening that the app has granted; its ends tell it what happened.
Out: close frames and ends of connections, as the machine decides; a line of the access log.

    place given back, counted as open   ->   lane
    both transports, bytes that waited  ->   the ends
    closed, broken, lost, cut, drained  ->   `ws.machine`
    silent or stalled for too long      ->   the same, found out by looking now and then
"""

from __future__ import annotations

from hostedge.http.exchange import Exchange, Fields
from hostedge.http.placing import Lane
from hostedge.http.upstream import UpstreamConnection
from hostedge.http.wheel import NEVER, Wheel
from hostedge.settings import Limits
from hostedge.ws.ends import OPEN, POLICY_VIOLATION, AppEnd, ClientEnd, End
from hostedge.ws.machine import GOING_AWAY, SERVICE_RESTART, ClosingCore, Code, make_closing

CHECK = 5.0  # seconds between looks at one that is open
# in so many times `websocket_idle` an app may have gone to sleep, which ends it in another way
AWAKE = 2


class Bridges:
    """What all WebSockets of an edge share."""

    def __init__(self, wheel: Wheel, limits: Limits, counters: dict[str, int]) -> None:
        self.wheel = wheel
        self.limits = limits
        self.counters = counters
        self.open = 0

    @property
    def is_full(self) -> bool:
        return self.open >= self.limits.websockets


class Bridge:
    """
    One WebSocket.

    The deadline is the next look while it is open, and the machine's alarm once it closes.
    """

    deadline = NEVER
    due = 0

    def __init__(
        self,
        bridges: Bridges,
        limits: Limits,
        exchange: Exchange,
        lane: Lane,
        client: ClientEnd,
        app: AppEnd,
    ) -> None:
        self._bridges = bridges
        self._limits = limits
        self._wheel = bridges.wheel
        self._exchange = exchange
        self._lane = lane
        self.client = client
        self.app = app
        self._closing = make_closing(ClosingCore(self, limits.websocket_close))
        self._is_closing = False
        # why it ends, for the log; empty: because one of the sides wants it
        self._cause = ""
        # what each side had taken and given at the last look, and since when that is so
        self._seen: dict[End, tuple[tuple[int, int], float]] = {}
        self._looked = bridges.wheel.now
        # how much data had come from both at the last look, since when that is so, and whether
        # that is so long that it keeps no app awake
        self._said = 0
        self._said_at = bridges.wheel.now
        self._is_silent = False

    def open(self, fields: Fields, connection: UpstreamConnection, data: bytes) -> None:
        """Answer the client and let frames pass; `data` came from the app behind its answer."""
        client, app = self.client, self.app
        self._bridges.open += 1
        self._bridges.counters["websocket_opened"] += 1
        transport, rest = self._exchange.switch(fields, client)
        client.couple(transport, app, self)
        app.couple(connection.hand_over(app), client, self)
        # a peer that has vanished says nothing, and nobody may want anything of it for long
        client.transport.keep_alive()
        app.transport.keep_alive()
        client.transport.registerProducer(app, True)
        app.transport.registerProducer(client, True)
        self._look_later()
        self._wheel.watch(self)
        self._lane.exchange_place()
        if data:
            app.dataReceived(data)
        if rest:
            client.dataReceived(rest)

    # what the ends say

    def close_came(self, end: End, code: Code, reason: bytes) -> None:
        if end is self.client:
            self._closing.client_closed(code, reason)
        else:
            self._closing.app_closed(code, reason)

    def broke(self, end: End) -> None:
        if end is self.client:
            self._bridges.counters["websocket_client_broke"] += 1
            self._cause = self._cause or "client_broke"
            self._closing.client_broke()
        else:
            self._bridges.counters["websocket_app_broke"] += 1
            self._cause = self._cause or "app_broke"
            self._closing.app_broke()

    def flooded(self, end: End) -> None:
        self._bridges.counters["websocket_floods"] += 1
        self.broke(end)

    def too_much(self, end: End) -> None:
        end.transport.abortConnection()

    def lost(self, end: End) -> None:
        end.other.be_free()
        if end is self.client:
            whole = self.client.state != OPEN
            self._exchange.leave(self._sent(), self.client.octets, whole, self._cause)
            self._closing.client_lost()
        else:
            if not self._is_closing:
                self._cause = "upstream_died"
            self._closing.app_lost()

    def _sent(self) -> int:
        """Bytes that went to the client: what was passed as it came, and what was made for it."""
        return self.app.passed + self.client.made

    # what the node wants

    def drain(self) -> None:
        self._stop(GOING_AWAY, "drained")

    def cut(self, cause: str) -> None:
        self._stop(POLICY_VIOLATION if cause == "suspended" else SERVICE_RESTART, cause)

    def _stop(self, code: int, cause: str) -> None:
        self._cause = self._cause or cause
        self._closing.stop(code, cause.replace("_", " ").encode())

    def look(self) -> None:
        """Pings do not count: they say that both are there, not that they need each other."""
        now, said = self._wheel.now, self.client.said + self.app.said
        if said != self._said:
            self._said, self._said_at = said, now
        silent = now - self._said_at >= self._limits.websocket_idle
        if silent is not self._is_silent:
            self._is_silent = silent
            self._lane.hush(silent)

    def timed_out(self) -> None:
        if self._is_closing:
            self._closing.late()
            return
        self._look_later()
        self.look()
        now, limits = self._wheel.now, self._limits
        self.client.forgive(now - self._looked)
        self.app.forgive(now - self._looked)
        self._looked = now
        still = [self._still(end, now) for end in (self.client, self.app)]
        for end, seconds in zip((self.client, self.app), still, strict=True):
            if end.transport.unsent and seconds >= limits.write_timeout:
                self._bridges.counters["websocket_stalled"] += 1
                end.transport.abortConnection()
                return
        if min(still) >= limits.websocket_idle * (AWAKE if self._lane.may_sleep else 1):
            self._bridges.counters["websocket_idle"] += 1
            self._stop(GOING_AWAY, "idle")

    def _look_later(self) -> None:
        self.deadline = self._wheel.now + min(CHECK, self._limits.websocket_idle / 4)

    def _still(self, end: End, now: float) -> float:
        """For how long nothing has gone to this end."""
        state = (end.other.octets, end.transport.unsent)
        before, since = self._seen.get(end, (None, now))
        if state != before:
            self._seen[end] = (state, now)
            return 0.0
        return now - since

    # what the machine wants

    def tell_client(self, code: Code, reason: bytes) -> None:
        self.client.sendCloseFrame(code, reason or None)

    def tell_app(self, code: Code, reason: bytes) -> None:
        self.app.sendCloseFrame(code, reason or None)

    def drop_client(self) -> None:
        self.client.drop()

    def drop_app(self) -> None:
        self.app.drop()

    def abort_client(self) -> None:
        self.client.transport.abortConnection()

    def abort_app(self) -> None:
        self.app.transport.abortConnection()

    def set_alarm(self, seconds: float) -> None:
        self._is_closing = True
        self.deadline = self._wheel.now + seconds
        self._wheel.hasten(self)

    def over(self) -> None:
        self._wheel.forget(self)
        self._bridges.open -= 1
        self._lane.leave(self._is_silent)
        self._seen.clear()
        for end in (self.client, self.app):
            end.uncouple()

"""
HTTP/2 for clients: many requests at once on one connection.

In:  a transport's `dataReceived`; TLS listeners make one protocol for each client that asks for it.
Out: exchanges for the leaves that the entrance's router names; malformed input is refused here.
Spec: RFC 9113, RFC 8441.

    <- bytes              the engine finds heads and pieces of bodies in them
    -> exchange to leaf   once all that came together was read: what is cancelled at once is none
    <- exchange.write     the engine cuts it into frames, as far as windows are open
    -> transport          one write for all that a turn brought
    || producers stop     while the client's windows are shut, or the transport is full
"""

from __future__ import annotations

from time import monotonic
from typing import cast

from attrs import evolve
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hostedge.errors import BadRequest
from hostedge.http.asterisk import ASTERISK
from hostedge.http.client import (
    BODY_GRACE,
    BODY_WINDOW,
    CHECK,
    LINGER,
    LINGER_SIZE,
    READ_WINDOW,
    ClientConnection,
)
from hostedge.http.entrance import Entrance
from hostedge.http.exchange import Fields, Leaf
from hostedge.http.h2_engine import CONNECTION_WINDOW, FIRST_WINDOW, Engine, Terms
from hostedge.http.h2_exchange import H2Exchange, H2TurnedAway
from hostedge.http.h2_head import Malformed, is_trailer, read_request
from hostedge.http.h2_outflow import MOST_WAITING, Stream
from hostedge.http.h2_tunnel import Tunnel
from hostedge.http.pace import Pace
from hostedge.observe.refused import written
from hostedge.settings import Limits
from hostedge.wire.h2_frame import CANCEL, ENHANCE_YOUR_CALM, PROTOCOL_ERROR

# seconds in which a client should have heard the first half of a goodbye
GOODBYE = 1.0
# bytes of a goodbye: who confirms no more than an answer may be out of reach, and is not waited for
FAREWELL = 512
# bytes the kernel has not taken: beyond, the client has to read before it is read from
MAX_UNSENT = 262_144

# where a connection stands
OPEN, LINGERING, ENDED = range(3)


def _terms(entrance: Entrance) -> Terms:
    limits = entrance.limits
    if entrance.narrow:
        return Terms(max(1, limits.h2_streams // 2), limits.head_size, FIRST_WINDOW)
    return Terms(limits.h2_streams, limits.head_size)


@implementer(IPushProducer)
class H2(ClientConnection):
    """
    One client's connection.

    To its transport it is the producer of everything; to the leaves' producers the engine says
    when to stop. `_arrived` are requests that no leaf has seen yet.
    """

    _log = Logger()
    protocol = "HTTP/2"

    def __init__(self, entrance: Entrance) -> None:
        super().__init__(entrance)
        self.engine = Engine(self, _terms(entrance))
        self._state = OPEN
        self._arrived: list[H2Exchange] = []
        # the engine is being fed or emptied: whoever does that sends what comes of it
        self._inside = False
        self._busy = False
        self._idle_since = 0.0
        # when a header block began to come that is not whole, and how many there were before
        self._partial: tuple[float, int] | None = None
        # what has said all, and waits for windows
        self._ending: list[Tunnel] = []
        self._head_since = 0.0

    # what the transport says

    def connectionMade(self) -> None:
        entrance = self.entrance
        self._meet(entrance.limits.header_timeout)
        entrance.counters["h2_connections"] += 1
        self.transport.registerProducer(self, True)
        now = self._idle_since = self._wheel.now
        self._partial = (now, 0)
        if entrance.draining:
            # it was shaking hands when the others heard
            self._say_goodbye()
        self.flush()

    def dataReceived(self, data: bytes) -> None:
        if self._state != OPEN:
            if self._state == LINGERING:
                # whoever has done nothing wrong may have sent what we had made room for
                wrong = self.engine.broken
                self._linger_on(len(data), LINGER_SIZE if wrong else CONNECTION_WINDOW)
            return
        engine, now = self.engine, self._wheel.now
        self._inside = True
        try:
            engine.feed(data, now)
            if self._arrived and not engine.broken:
                self._hand_over()
        finally:
            self._inside = False
        if engine.broken:
            self._break_off()
            return
        self.flush()
        if engine.unfinished:
            if self._partial is None or self._partial[1] != engine.blocks:
                self._partial = (now, engine.blocks)
                self._head_since = monotonic()
                self._look_by(now + self.entrance.limits.header_timeout)
        else:
            self._partial = None
            self._head_since = 0.0

    def pauseProducing(self) -> None:
        """The kernel takes no more; the engine keeps bodies back."""
        self.engine.hold(True)

    def resumeProducing(self) -> None:
        self.engine.hold(False)
        if not self._reading:
            self._reading = True
            self.transport.resumeProducing()
        self.flush()

    def stopProducing(self) -> None:
        """The connection is gone, and says so next."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._state = ENDED
        self._leave()
        self._wheel.forget(self)
        self.entrance.remove(self)

    # what the engine says

    def head(self, stream: Stream, fields: Fields, size: int, last: bool) -> None:
        entrance = self.entrance
        self._busy = True
        self.deadline = min(self.deadline, self._wheel.now + CHECK)
        try:
            request = read_request(fields, size, entrance.scheme, last, entrance.limits)
        except Malformed as bad:
            self.keep_refusal("h2_malformed", written(b"", fields), bad.detail)
            self._fault(stream)
        except BadRequest as bad:
            refused = H2TurnedAway(self, stream, fields, bad.cause)
            self._tell_head(refused)
            refused.turn_away(bad.cause, bad.detail)
        else:
            exchange = H2Exchange(self, stream, request)
            self._tell_head(exchange)
            stream.exchange = exchange
            entrance.counters["http_requests"] += 1
            if request.odd:
                entrance.counters["fields_dropped"] += request.odd
            self._arrived.append(exchange)

    def _tell_head(self, exchange: H2Exchange) -> None:
        if self._head_since:
            # the first head of what has come now; the others came at once
            exchange.spend("header", monotonic() - self._head_since)
            self._head_since = 0.0

    def body(self, stream: Stream, data: bytes, last: bool) -> None:
        exchange = cast("H2Exchange | None", stream.exchange)
        if exchange is None:
            # it was refused, or answered without this
            self.engine.read(stream, len(data), False)
            return
        exchange.arrived = arrived = exchange.arrived + len(data)
        length = exchange.length
        if exchange.upgrade:
            # it is held back by windows, not by limits of bodies
            self._pass_on(exchange, data, last)
        elif length is not None and (arrived > length or (last and arrived < length)):
            exchange.keep_refusal("h2_malformed", "a body of another length than announced")
            self._fault(stream)
        elif exchange.coming is not None and self._is_too_large(stream, arrived):
            self._cut_off(exchange, "too_large")
        else:
            self._pass_on(exchange, data, last)

    def _pass_on(self, exchange: H2Exchange, data: bytes, last: bool) -> None:
        try:
            exchange.take_body(data, last)
        except Exception:  # noqa: BLE001 - the outermost shell; the other streams must not end
            self._log.failure("the body of request {id} failed", id=exchange.id)
            exchange.receiver = None
            exchange.refuse("internal")

    def trailers(self, stream: Stream, fields: Fields) -> bool:
        exchange = cast("H2Exchange | None", stream.exchange)
        if is_trailer(fields) and (exchange is None or exchange.tunnel is None):
            return True
        self.entrance.counters["h2_malformed"] += 1
        return False

    def gone(self, stream: Stream) -> None:
        exchange = cast("H2Exchange | None", stream.exchange)
        if exchange is None:
            return
        if exchange in self._arrived:
            # no leaf has seen it
            self._arrived.remove(exchange)
            stream.exchange = None
            self.entrance.counters["h2_cancelled"] += 1
            return
        if exchange.tunnel is None:
            self.entrance.counters["http_client_gone"] += 1
        exchange.lose_client()

    def refused(self) -> None:
        self.entrance.counters["h2_refused_streams"] += 1

    # requests

    def _hand_over(self) -> None:
        """Give what has come to the leaves."""
        arrived = self._arrived
        while arrived:
            exchange = arrived.pop(0)
            if exchange.arrived_all and exchange.length is None:
                # all of it is here
                exchange.length = exchange.arrived
            if not exchange.upgrade:
                exchange.complete = exchange.arrived_all and not exchange.arrived
            if not exchange.arrived_all and not exchange.upgrade:
                exchange.coming = Pace(self._wheel.now, exchange.arrived, BODY_GRACE)
            try:
                leaf = ASTERISK if exchange.path == b"*" else self.entrance.router(exchange)
                if type(leaf) is str:
                    exchange.refuse(leaf)
                elif not self._is_bounded(exchange, cast(Leaf, leaf)):
                    self._cut_off(exchange, "too_large")
                elif exchange.upgrade and not getattr(leaf, "upgrades", False):
                    # as a GET it would get a 200, which means something else here
                    exchange.refuse("protocol")
                else:
                    leaf.answer(exchange)  # type: ignore[union-attr]
            except Exception:  # noqa: BLE001 - the outermost shell; the stream must not hang
                self._log.failure("request {id} failed", id=exchange.id)
                exchange.refuse("internal")
        if self.engine.opened >= self._most:
            self._say_goodbye()

    def _is_bounded(self, exchange: H2Exchange, leaf: Leaf) -> bool:
        """From here on the leaf's limits hold: whether its body is not too large for them."""
        stream, own = exchange.stream, leaf.limits
        if own is not None:
            stream.limits = own
            mine = self._limits
            if own.write_timeout > mine.write_timeout or own.read_rate < mine.read_rate:
                # the connection can be no faster than its slowest stream
                patience = max(own.write_timeout, mine.write_timeout)
                rate = min(own.read_rate, mine.read_rate)
                self._limits = evolve(mine, write_timeout=patience, read_rate=rate)
            if own.request_timeout:
                exchange.late = self._wheel.now + own.request_timeout
                self._look_by(exchange.late)
        return not self._is_too_large(stream, max(exchange.arrived, exchange.length or 0))

    def _limits_of(self, stream: Stream) -> Limits:
        """Its leaf's; the node's as long as it has none."""
        return cast("Limits | None", stream.limits) or self.entrance.limits

    def _is_too_large(self, stream: Stream, size: int) -> bool:
        return 0 < self._limits_of(stream).body_size < size

    def _fault(self, stream: Stream) -> None:
        """The request breaks the rules of HTTP/2; called while the engine is fed."""
        self.entrance.counters["h2_malformed"] += 1
        self.engine.fault(stream, PROTOCOL_ERROR)

    def _cut_off(self, exchange: H2Exchange, cause: str) -> None:
        """The rest of this request will not be read: refuse it, or end what is being answered."""
        receiver, exchange.receiver = exchange.receiver, None
        if exchange in self._arrived:
            self._arrived.remove(exchange)
        if receiver is not None:
            receiver.client_gone()
        exchange.refuse(cause)

    # bytes

    def flush(self) -> None:
        """Send what may go now, and let producers go on that were stopped."""
        if self._inside or self._state != OPEN:
            return
        engine = self.engine
        self._inside = True
        try:
            while True:
                data = engine.take()
                if data:
                    self._put(data)
                relieved = engine.relieved
                if relieved:
                    streams, relieved[:] = relieved[:], []
                    for stream in streams:
                        if stream.exchange is not None:
                            cast(H2Exchange, stream.exchange).room()
                elif not data:
                    break
        finally:
            self._inside = False
        if engine.waiting > MOST_WAITING:
            self._shed()
        if self._ending:
            self._look_at_endings()
        if not engine.streams:
            self._rest()

    def _shed(self) -> None:
        """Reset streams, those that cost most first, until what waits is bearable again."""
        engine = self.engine
        while engine.waiting > MOST_WAITING:
            stream = max(engine.streams.values(), key=lambda each: len(each.waiting))
            self.entrance.counters["h2_shed"] += 1
            self._give_up(stream, ENHANCE_YOUR_CALM)
        self._put(engine.take())

    def _give_up(self, stream: Stream, code: int) -> None:
        """Its client does not take it."""
        self.engine.reset(stream, code)
        exchange = cast("H2Exchange | None", stream.exchange)
        if exchange is not None:
            exchange.lose_client()

    def await_end(self, tunnel: Tunnel) -> None:
        """Tell a tunnel, in another turn, when its stream is over."""
        self._ending.append(tunnel)
        self._look_at_endings()

    def _look_at_endings(self) -> None:
        streams = self.engine.streams
        for tunnel in self._ending[:]:
            if tunnel.stream.id not in streams:
                self._ending.remove(tunnel)
                self._wheel.soon(tunnel.lost)

    def _put(self, data: bytes) -> None:
        self._written += len(data)
        self.transport.write(data)
        if self._reading and getattr(self.transport, "unsent", 0) > MAX_UNSENT:
            self._reading = False
            self.transport.pauseProducing()

    def _rest(self) -> None:
        """No stream is open."""
        if self._busy:
            self._busy = False
            self._idle_since = self._wheel.now
        engine = self.engine
        if engine.closed or engine.left:
            self._linger()

    # time

    def timed_out(self) -> None:
        now = self._wheel.now
        unsent = getattr(self.transport, "unsent", 0)
        if self._state == LINGERING:
            self._check_lingering(now)
        elif self._is_stuck(unsent, now):
            self.end()
        elif self._partial and now - self._partial[0] >= self.entrance.limits.header_timeout:
            self.entrance.counters["refused_header_timeout"] += 1
            self.keep_refusal("header_timeout", b"")
            self.engine.close(PROTOCOL_ERROR)
            self._break_off()
        else:
            self._look_at_streams(now)

    def _look_at_streams(self, now: float) -> None:
        engine = self.engine
        for stream in list(engine.streams.values()):
            exchange = cast("H2Exchange | None", stream.exchange)
            if exchange is not None and now >= exchange.late and exchange.tunnel is None:
                self._cut_off(exchange, "request_timeout")
            elif exchange is not None and not exchange.arrived_all:
                self._check_body(exchange, now)
            if stream.waiting:
                self._check_reading(stream, now)
            else:
                stream.taking = None
        self.flush()
        if self._state != OPEN:
            return
        if engine.leaving:
            # the client has had time to hear it
            engine.close()
            self.flush()
        elif now >= self._renewal:
            self._say_goodbye()
        elif not engine.streams and now - self._idle_since >= self.entrance.h2_idle:
            engine.close()
            self.flush()
        if self._state == OPEN:
            self._plan(now)

    def _plan(self, now: float) -> None:
        """When to look again."""
        limits, engine = self.entrance.limits, self.engine
        soon = now + CHECK
        for stream in engine.streams.values():
            if stream.exchange is not None:
                late = cast(H2Exchange, stream.exchange).late
                soon = late if now < late < soon else soon
        if self._partial:
            soon = min(soon, self._partial[0] + limits.header_timeout)
        elif not engine.streams and not engine.leaving and not getattr(self.transport, "unsent", 0):
            soon = self._idle_since + self.entrance.h2_idle
        self._look_by(soon)

    def _look_by(self, moment: float) -> None:
        if moment < self.deadline:
            self.deadline = moment
            self._wheel.hasten(self)

    def _check_body(self, exchange: H2Exchange, now: float) -> None:
        """Refuse a request whose body has stopped coming, or comes too slowly."""
        coming, limits = exchange.coming, self._limits_of(exchange.stream)
        if coming is None:
            # no leaf has seen it yet
            return
        if exchange.begun or exchange.paused or exchange.pending:
            coming.rest(now, exchange.arrived)
        elif coming.lags(now, exchange.arrived, limits.body_timeout, limits.body_rate, BODY_WINDOW):
            self._cut_off(exchange, "body_timeout")

    def _check_reading(self, stream: Stream, now: float) -> None:
        """Reset a stream whose answer nobody takes, or too slowly."""
        taking, limits = cast("Pace | None", stream.taking), self._limits_of(stream)
        if taking is None:
            stream.taking = Pace(now, stream.sent)
        elif taking.lags(now, stream.sent, limits.write_timeout, limits.read_rate, READ_WINDOW):
            self.entrance.counters["http_write_stalled"] += 1
            self._give_up(stream, CANCEL)

    # how it ends

    @property
    def stage(self) -> str:
        if self._state != OPEN:
            return "closing"
        streams = self.engine.streams.values()
        if not streams:
            return "reading" if self.engine.unfinished else "idle"
        exchanges = [cast("H2Exchange | None", stream.exchange) for stream in streams]
        tunnels = all(each is not None and each.tunnel is not None for each in exchanges)
        return "websocket" if tunnels else "active"

    @property
    def is_busy(self) -> bool:
        return bool(self.engine.streams)

    def drain(self) -> None:
        if self._state == OPEN:
            self._say_goodbye()
            for stream in list(self.engine.streams.values()):
                if self.entrance.keeps_sockets:
                    break
                exchange = cast("H2Exchange | None", stream.exchange)
                if exchange is not None and exchange.tunnel is not None:
                    exchange.tunnel.drain()
            self.flush()

    def relieve(self) -> None:
        if self._state != OPEN:
            return
        engine = self.engine
        engine.agree(_terms(self.entrance))
        if not engine.streams and not engine.leaving:
            # `timed_out` says whether that was long enough
            self._look_by(max(self._wheel.now, self._idle_since + self.entrance.h2_idle))
        self.flush()

    def end(self) -> None:
        self._state = ENDED
        self._leave()
        self.transport.abortConnection()

    def _say_goodbye(self) -> None:
        if not self.engine.leaving:
            self.engine.leave()
            self._look_by(self._wheel.now + GOODBYE)

    def _leave(self) -> None:
        """Nobody is there any more."""
        for exchange in self._arrived[:]:
            self.gone(exchange.stream)
        for stream in list(self.engine.streams.values()):
            self.gone(stream)

    def _break_off(self) -> None:
        """Nothing more is read; the client is told why."""
        engine = self.engine
        if engine.broken:
            flood = engine.broken_by == ENHANCE_YOUR_CALM
            counter = "h2_floods" if flood else "h2_broken"
            self.entrance.counters[counter] += 1
            if flood:
                self.entrance.counters[f"h2_flood_{engine.flood}"] += 1
                self.entrance.strike(self.client)
            # frames are not kept: what is packed in them cannot be masked
            self.keep_refusal(counter, b"", engine.broken)
        # the leaves have nothing more to say
        self._state = LINGERING
        self._leave()
        engine.hold(True)
        self._put(engine.take())
        self._linger()

    def _linger(self) -> None:
        """
        End our side and read on until the client has ended its own, or has got everything.

        A socket that is closed resets the connection when something comes, and be it the news
        that a window is larger: whatever the kernel has not sent by then is lost.
        """
        self._state = LINGERING
        # from here on it counts what has arrived, not what the kernel has taken
        self._taking = None
        self.transport.unregisterProducer()
        self._half_close()
        self._read_on()

    def _check_lingering(self, now: float) -> None:
        undelivered = getattr(self.transport, "undelivered", 0)
        if undelivered <= FAREWELL:
            self.transport.loseConnection()
        elif self._is_stuck(undelivered, now):
            self.end()
        else:
            self.deadline = now + LINGER

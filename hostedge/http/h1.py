"""
HTTP/1.0 and 1.1 for clients: one request at a time, in order, on a connection that lives on.

In:  a transport's `dataReceived`; listeners make one protocol for each connection.
Out: an exchange for the leaf that the entrance's router names; malformed input is refused here.
Spec: RFC 9112 sections 9.3 and 9.6.

    <- bytes                parser appends to a list: head, pieces of body, end, or a fault
    -> exchange to leaf     one head is taken off the list at a time
    || reading stops        while the list is not empty: a client that pipelines has to wait
    -> successor            gets the bytes once an exchange is switched
    <- exchange.finish      the next head is taken off, or the connection ends
"""

from __future__ import annotations

from time import monotonic
from typing import cast

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hostedge.errors import BadRequest
from hostedge.http.asterisk import ASTERISK
from hostedge.http.client import BODY_GRACE, BODY_WINDOW, CHECK, ClientConnection
from hostedge.http.entrance import Entrance
from hostedge.http.exchange import Leaf, Successor
from hostedge.http.h1_exchange import H1Exchange, H1TurnedAway
from hostedge.http.h1_reader import END, FEED, Head, RequestReader, check_head, read_target
from hostedge.http.known_heads import LONGEST, Facts
from hostedge.http.pace import Pace
from hostedge.http.wheel import NEVER
from hostedge.memo import Memo
from hostedge.net.eager import EagerConnection
from hostedge.wire.broken_head import read_broken, read_refused
from hostedge.wire.fields import is_plain
from hostedge.wire.host import request_host

# seconds that a client has for its first request on a connection that is to end
FIRST = 2.0

# where a connection stands
IDLE, HEAD, BUSY, LINGERING, ENDED, SWITCHED = range(6)
_STAGES = ("idle", "reading", "active", "closing", "closing", "websocket")

# after so many heads in a row that nobody knew, those of a connection are looked for no more
HOPE = 8

_hosts: Memo[bytes, str] = Memo(lambda authority: request_host([authority]))


@implementer(IHalfCloseableProtocol)
class H1(ClientConnection):
    """
    One client's connection.

    `_events` is what the parser found and nobody has dealt with yet; `_held` are bytes that it
    has not seen. `_exchange` stays until its answer has ended and its request was read to the
    end, so that no byte of a body can be taken for a request.
    """

    _log = Logger()
    protocol = "HTTP/1.1"

    __slots__ = (
        *("_state", "_exchange", "_successor", "_known", "_reader", "_events", "_held"),
        *("_advancing", "_half_closed", "_asked", "_head_since", "_coming", "_late", "_hope"),
    )

    def __init__(self, entrance: Entrance) -> None:
        super().__init__(entrance)
        self._state = IDLE
        self._exchange: H1Exchange | None = None
        self._successor: Successor | None = None
        self._known = entrance.known_heads
        self._reader = RequestReader(entrance.limits)
        self._events = self._reader.events
        self._held = b""
        self._advancing = False
        self._half_closed = False
        self._asked = 0
        # how many heads are still looked for among those that have come before
        self._hope = HOPE
        # when the head began to come that is not whole yet
        self._head_since = 0.0
        self._coming: Pace | None = None
        # when the request has taken too long, where its limits bound that
        self._late = NEVER

    # what the transport says

    def connectionMade(self) -> None:
        self._meet(FIRST if self.entrance.draining else self.entrance.idle)

    def dataReceived(self, data: bytes) -> None:
        state = self._state
        if state == IDLE:
            # to look for a long one would cost more than it could bring
            if self._hope and len(data) <= LONGEST and not self._reader.empty:
                facts = self._known.get(data)
                if facts is not None:
                    # the reader need not see what it would only say again
                    self._hope = HOPE
                    self._take_up(facts)
                    return
                self._hope -= 1
        elif state >= LINGERING:
            if state == LINGERING:
                self._linger_on(len(data))
            return
        if self._held or len(data) > FEED:
            self._held += data
        else:
            self._reader.feed(data)
        events = self._events
        if events or self._held:
            if self._exchange is None and len(events) == 2 and not self._held:
                # nearly always: one request without a body, and nothing else
                alone = state == IDLE and events[1] is END and self._reader.is_between
                self._begin(events.pop(0), data if alone and self._hope else b"")
                if not events:
                    return
            self._advance()
        elif state == IDLE:
            self._state = HEAD
            self._head_since = monotonic()
            self.deadline = self._wheel.now + self.entrance.limits.header_timeout
            self._wheel.hasten(self)
        elif self._reader.rest:
            # it is bounded by not reading on
            self._advance()

    def readConnectionLost(self) -> None:
        """The client has ended its side. One that still waits for an answer has given up."""
        self._half_closed = True
        exchange = self._exchange
        if self._successor is not None:
            if not self._successor.read_ended():
                self.transport.loseConnection()
        elif exchange is None or not exchange.complete or not exchange.begun:
            self._leave()
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """We have half-closed, and go on reading for a while."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._leave()
        self._state = ENDED
        self._wheel.forget(self)
        self.entrance.remove(self)

    def timed_out(self) -> None:
        unsent = getattr(self.transport, "unsent", 0)
        if self._is_stuck(unsent, self._wheel.now):
            self.end()
        elif self._is_late():
            self._break_off(cast(H1Exchange, self._exchange), "request_timeout")
        elif unsent:
            self.deadline = self._wheel.now + CHECK
        elif self._state == IDLE:
            self._leave()
            self.transport.loseConnection()
        elif self._state == HEAD:
            self._reject("header_timeout", in_pieces=True)
        elif self._state == BUSY:
            self._check_body()
        elif self._state == LINGERING:
            self.transport.loseConnection()
        else:
            self.end()

    # one request after the other

    def _advance(self) -> None:
        if self._advancing:
            return
        self._advancing = True
        try:
            while self._state < LINGERING and self._step():
                pass
        finally:
            self._advancing = False
        reading = not self._events and not self._held and not self._reader.rest
        if reading is not self._reading and self._state < LINGERING:
            self._reading = reading
            if reading:
                self.transport.resumeProducing()
            else:
                self.transport.pauseProducing()

    def _step(self) -> bool:
        """Deal with one event; False when there is nothing to do now."""
        events = self._events
        if not events:
            if not self._held:
                return False
            piece, self._held = self._held[:FEED], self._held[FEED:]
            self._reader.feed(piece)
            return True
        exchange = self._exchange
        if exchange is None:
            self._begin(events.pop(0))
            return True
        # what is left of a body that nobody wants any more is in nobody's way
        if exchange.complete or (exchange.paused and not exchange.over):
            return False
        if exchange.receiver is None and not exchange.begun:
            return False
        event = events.pop(0)
        if event is END:
            self._look_later()
            exchange.end_body()
            if exchange.over:
                self._next()
        elif type(event) is bytes:
            self._take_body(exchange, event)
        else:
            self._break_off(exchange, cast(str, event))
        return True

    def _begin(self, event: object, data: bytes = b"") -> None:
        """Deal with a head; `data`: the bytes in which it has come, nothing else among them."""
        # nearly always a head comes at once
        in_pieces = self._state == HEAD
        self._state = BUSY
        self.deadline = self._wheel.now + CHECK
        if type(event) is not tuple:
            self._reject(cast(str, event), in_pieces=in_pieces)
            return
        head: Head = event
        try:
            exchange = self._admit(head, data)
        except BadRequest as bad:
            self._reject(bad.cause, head, bad.detail, in_pieces)
            return
        if in_pieces:
            exchange.spend("header", monotonic() - self._head_since)
        self._exchange = exchange
        self._asked += 1
        self.entrance.counters["http_requests"] += 1
        events = self._events
        if exchange.complete:
            # the end of a request without a body comes with its head
            del events[0]
        elif events and type(events[-1]) is str and END not in events:
            # it has a fault, and nobody behind us has to see a part of it
            exchange.close = True
            exchange.refuse(events[-1])
            return
        else:
            self._coming = Pace(self._wheel.now, grace=BODY_GRACE)
        self._pass_on(exchange)

    def _take_up(self, facts: Facts) -> None:
        """As `_begin`, for a whole request that has come before in the same bytes."""
        self._state = BUSY
        self.deadline = self._wheel.now + CHECK
        self._exchange = exchange = H1Exchange(self, *facts)
        self._asked += 1
        self.entrance.counters["http_requests"] += 1
        self._pass_on(exchange)

    def _pass_on(self, exchange: H1Exchange) -> None:
        """To whatever answers it."""
        try:
            leaf = ASTERISK if exchange.path == b"*" else self.entrance.router(exchange)
            if type(leaf) is str:
                self._limits = self.entrance.limits
                exchange.refuse(leaf)
            elif self._is_bounded(exchange, leaf):  # type: ignore[arg-type]
                leaf.answer(exchange)  # type: ignore[union-attr]
            else:
                self._break_off(exchange, "too_large")
        except Exception:  # noqa: BLE001 - the outermost shell; the connection must not hang
            self._log.failure("request {id} failed", id=exchange.id)
            exchange.refuse("internal")

    def _admit(self, head: Head, data: bytes) -> H1Exchange:
        """
        Make an exchange of a head.

        Raises:
            BadRequest: with the cause of the refusal.
        """
        entrance = self.entrance
        authority, length, expects, limited, upgrade = check_head(
            head, entrance.limits, entrance.default_host
        )
        method, target, fields, version, keep_alive = head
        host = _hosts[authority]
        target, path, query = read_target(method, target, entrance.scheme, authority)
        facts = (method, target, path, query, fields, length, host, authority)
        exchange = H1Exchange(self, *facts)
        if expects:
            exchange.expects = True
        if limited:
            exchange.limited = limited
            entrance.counters["fields_dropped"] += sum([not is_plain(name) for name in limited])
        if upgrade:
            exchange.upgrade = upgrade
        if not keep_alive:
            exchange.close = True
        if version == "1.0":
            exchange.age()
        elif data and keep_alive and length == 0 and not (expects or limited or upgrade):
            self._known.learn(data, facts)
        return exchange

    def _is_bounded(self, exchange: H1Exchange, leaf: Leaf) -> bool:
        """From here on the leaf's limits hold: whether its body is not too large for them."""
        self._limits = limits = leaf.limits or self.entrance.limits
        if limits.request_timeout:
            self._late = self._wheel.now + limits.request_timeout
            self._look_later()
        length = exchange.length
        return not length or not 0 < limits.body_size < length

    def _take_body(self, exchange: H1Exchange, data: bytes) -> None:
        if 0 < self._limits.body_size < exchange.received + len(data):
            self._break_off(exchange, "too_large")
        else:
            exchange.take_body(data)

    def _break_off(self, exchange: H1Exchange, cause: str) -> None:
        """The rest of this request will not be read: refuse it, or end what is being answered."""
        receiver, exchange.receiver = exchange.receiver, None
        exchange.close = True
        if receiver is not None:
            receiver.client_gone()
        exchange.refuse(cause)

    # what the exchange says

    def want_body(self) -> None:
        if self._events or self._held:
            self._advance()

    def must_close(self, exchange: H1Exchange) -> bool:
        """Whether the answer that begins now is the last one."""
        if not exchange.complete and END not in self._events:
            # what is left of the request could be taken for the next one
            return True
        entrance = self.entrance
        return (
            entrance.draining
            or self._half_closed
            or self._asked >= self._most
            or self._wheel.now >= self._renewal
        )

    def put(self, data: bytes) -> None:
        self._written += len(data)
        self.transport.write(data)

    def answered(self, exchange: H1Exchange) -> None:
        if exchange.close:
            self._exchange = None
            unread = self._events or self._held or self._reader.rest
            if exchange.complete and not unread:
                self._state = ENDED
                self.deadline = self._wheel.now + self.entrance.limits.write_timeout
                self.transport.loseConnection()
            else:
                self._linger()
        elif exchange.complete:
            self._next()
        if self._events or self._held or not self._reading:
            # what came after a handshake that was refused may be a part of a request: read on
            self._advance()

    def _next(self) -> None:
        """Make room for the next request."""
        self._exchange = None
        reader = self._reader
        if reader.held is not None:
            reader.go_on()
        if reader.begun:
            self._state = HEAD
            self._head_since = monotonic()
            self.deadline = self._wheel.now + self.entrance.limits.header_timeout
        else:
            self._state = IDLE
            self.deadline = self._wheel.now + self.entrance.idle
        if (self._half_closed or self.entrance.draining) and not self._events:
            self.transport.loseConnection()

    def hand_over(self, successor: Successor) -> tuple[EagerConnection, bytes]:
        """Let the successor have the bytes, these first; the connection itself is still ours."""
        rest = self._reader.rest + self._held
        self._reader.rest = self._held = b""
        self._state = SWITCHED
        self._wheel.forget(self)
        self._successor = successor
        # a call less for each read than passing it on
        self.dataReceived = successor.dataReceived  # type: ignore[method-assign]
        if not self._reading:
            self._reading = True
            self.transport.resumeProducing()
        return self.transport, rest

    # how it ends

    @property
    def stage(self) -> str:
        return _STAGES[self._state]

    @property
    def is_busy(self) -> bool:
        return self._exchange is not None

    def drain(self) -> None:
        if self._state == IDLE:
            if self._asked and not self.transport.unread:
                self.transport.loseConnection()
            else:
                # a request is on its way: only on a used connection may a client expect its end
                self.deadline = min(self.deadline, self._wheel.now + FIRST)
                self._wheel.hasten(self)
        elif self._successor is not None and not self.entrance.keeps_sockets:
            self._successor.drain()

    def relieve(self) -> None:
        if self._state == IDLE:
            soon = self._wheel.now + self.entrance.idle
            if soon < self.deadline:
                self.deadline = soon
                self._wheel.hasten(self)

    def end(self) -> None:
        self._leave()
        self._state = ENDED
        self.transport.abortConnection()

    def _leave(self) -> None:
        self._events.clear()
        self._held = b""
        successor, self._successor = self._successor, None
        if successor is not None:
            successor.connection_lost()
        exchange, self._exchange = self._exchange, None
        if exchange is not None and not exchange.over:
            self.entrance.counters["http_client_gone"] += 1
            exchange.lose_client()

    @property
    def broken_bytes(self) -> bytes:
        """What has come where a request is not valid."""
        return self._reader.seen

    def _reject(
        self, cause: str, head: Head | None = None, detail: str = "", in_pieces: bool = False
    ) -> None:
        """Answer what is not routed, and end."""
        if head is None:
            seen = self._reader.seen
            exchange = H1TurnedAway(self, read_broken(seen), seen)
        else:
            method, target, fields, version, _ = head
            exchange = H1TurnedAway(self, read_refused(method, target, version, fields, cause))
        if in_pieces:
            exchange.spend("header", exchange.started - self._head_since)
        exchange.turn_away(cause, detail)

    def _linger(self) -> None:
        """
        End our side and read on for a moment.

        A socket that is closed with unread bytes resets the connection, and the client may
        lose the answer that says why.
        """
        self._state = LINGERING
        self._events.clear()
        self._held = b""
        if self._half_closed:
            self.transport.loseConnection()
        else:
            self._half_close()
        self._read_on()

    def _is_late(self) -> bool:
        """Whether what is being answered has taken longer than its limits say."""
        bounded = self._limits.request_timeout and self._state == BUSY
        return bool(bounded) and self._exchange is not None and self._wheel.now >= self._late

    def _look_later(self) -> None:
        self.deadline = self._wheel.now + CHECK
        if self._limits.request_timeout and self._late < self.deadline:
            self.deadline = self._late
            self._wheel.hasten(self)

    def _check_body(self) -> None:
        """Refuse a request whose body has stopped coming, or comes too slowly."""
        exchange, now, limits = self._exchange, self._wheel.now, self._limits
        self._look_later()
        if exchange is None or exchange.complete or self._coming is None:
            return
        if exchange.paused or not self._reading:
            self._coming.rest(now, exchange.received)
        elif self._coming.lags(
            now, exchange.received, limits.body_timeout, limits.body_rate, BODY_WINDOW
        ):
            self._break_off(exchange, "body_timeout")

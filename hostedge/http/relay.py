"""
The leaf that sends a request on to an app or a server, and its response back.

In:  a compiled host's mapping; an exchange for each request.
Out: bytes on a connection of `http.upstream`, for which `http.backends` gives the place.
Spec: RFC 9110 sections 7.6 and 9.2.2, RFC 9112 section 6.

    spool    the body is complete before a place is asked for; the response is read as fast as
             it comes, into memory and then a file, so that a slow client holds no worker
    stream   a place is asked for at once; bytes pass both ways as fast as both sides take them
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from time import monotonic

from twisted.internet.interfaces import IPullProducer, IPushProducer
from zope.interface import implementer

from hostedge.balance.retry import SAFE, may_connect_again, may_send_again
from hostedge.http.exchange import MOUTHFUL, Exchange, Fields
from hostedge.http.last_requests import LastRequests
from hostedge.http.onward_head import Writer, make_head
from hostedge.http.placing import Backend, Lane
from hostedge.http.spool import Disk, Spool
from hostedge.http.unmade import NO_ROOM, NO_SOCKET
from hostedge.http.upstream import EARLY_HINTS, UpstreamConnection
from hostedge.net.descriptors import NONE_LEFT
from hostedge.settings import Limits

# bytes taken from a spool at a time
PIECE = 65536


class Relay:
    """A leaf; one for each mapping that names an app or a pool."""

    def __init__(
        self,
        backend: Backend,
        buffer: str,
        limits: Limits,
        counters: dict[str, int],
        disk: Disk,
        app: str = "",
        make_head: Writer = make_head,
        notes: Sequence[str] = (),
        last: LastRequests | None = None,
    ) -> None:
        self.backend = backend
        self.make_head = make_head
        # what is unusual about it, in words
        self.notes = notes
        # who is told of requests whose app died under them
        self.last = last
        # `account/name` of the app behind; empty: a pool
        self.app = app
        self.limits = limits
        self.counters = counters
        self.disk = disk
        self.passage = SpoolPassage if buffer == "spool" else StreamPassage

    def answer(self, exchange: Exchange) -> None:
        self.passage(self, exchange).start()

    def explain(self) -> list[str]:
        way = "once its body is complete" if self.passage is SpoolPassage else "as its body comes"
        return [f"relayed {way}", *self.notes, *self.backend.explain()]


@implementer(IPushProducer)
class Passage(ABC):
    """
    One request on its way: waiting for a place, connecting, sent, being answered.

    `lane` is set while a place is held, `connection` while the request is on it. `kept` holds
    what the client has not taken of the response yet.
    """

    lane: Lane | None = None
    connection: UpstreamConnection | None = None
    attempt: UpstreamConnection | None = None
    attempts = 0
    # where it could not be connected
    avoided: tuple[Lane, ...] = ()
    # until when it may be tried once more with one that had no room; 0.0: none had not
    until = 0.0
    asked_at = sent_at = 0.0
    reused = stale = paused = response_whole = over = False
    kept: Spool | None = None

    def __init__(self, relay: Relay, exchange: Exchange) -> None:
        self.relay = relay
        self.backend = relay.backend
        self.exchange = exchange

    # the halves that differ

    @abstractmethod
    def start(self) -> None:
        """Begin: from the leaf."""

    @abstractmethod
    def send(self, connection: UpstreamConnection) -> None:
        """Send the request, or its beginning."""

    @property
    @abstractmethod
    def replayable(self) -> bool:
        """Whether the request as a whole could be sent again."""

    @property
    def kept_request(self) -> int:
        """Bytes of the request that are in memory."""
        return 0

    def forget_request(self) -> None:  # noqa: B027 - not every kind keeps any
        """Let go of what is kept of the request."""

    def keep_response(self) -> None:  # noqa: B027 - not every kind does
        """The response comes in pieces: make room for what the client does not take at once."""

    def spool(self, limit: int) -> Spool:
        """Room for so many bytes."""
        relay = self.relay
        return Spool(relay.limits.spool_memory, limit, self.exchange.connection, relay.disk)

    # the place

    def queued(self) -> None:
        """From the backend: the place comes later."""
        self.asked_at = monotonic()

    def placed(self, lane: Lane) -> None:
        """From the backend: go ahead."""
        self.lane = lane
        if self.asked_at:
            self.has_waited(lane)
        self.attempts += 1
        upstream = lane.upstream
        # one idle connection was closed behind our back: the others are no better
        connection = None if self.stale else upstream.take(self.exchange.method not in SAFE)
        if connection is not None:
            self.reused = True
            self._send_on(connection)
            return
        self.reused = False
        self.asked_at = monotonic()
        attempts = self.attempts
        attempt = upstream.connect(self, self.relay.limits)
        if attempt.pending and attempts == self.attempts:
            self.attempt = attempt

    def has_waited(self, lane: Lane) -> None:
        """It came to the line at `asked_at`, and now has a place on this lane."""
        exchange, waited = self.exchange, monotonic() - self.asked_at
        start = max(0.0, lane.since - self.asked_at)
        if start:
            exchange.spend("start", start)
        exchange.spend("queue", waited - start)
        self.backend.traffic.queue_seconds += waited - start

    def refused(self, cause: str, retry_after: float | None) -> None:
        """From the backend: there is no place, and will be none."""
        self.over = True
        self.forget_request()
        self.exchange.refuse(cause, retry_after)

    def connected_to(self, connection: UpstreamConnection) -> None:
        self.attempt = None
        if self.over or self.lane is None:
            connection.upstream.give(connection)
            return
        self.exchange.spend("connect", monotonic() - self.asked_at)
        announce = connection.upstream.announce
        if announce is not None:
            connection.announce(announce(self.exchange))
        self._send_on(connection)

    def connect_failed(self, cause: str) -> None:
        self.attempt = None
        if cause == NO_SOCKET:
            self._release()
            self.refused(cause, None)
            return
        lane = self.lane
        if cause == NO_ROOM and lane is not None and self.backend.crowded(lane, self):
            self.attempts = 0
            self._release()
            self.queued()
            self.backend.take_again(self)
            return
        if lane is not None:
            self.avoided += (lane,)
            self.backend.unreachable(lane)
            self._release()
        if may_connect_again(self.attempts):
            self._again()
        else:
            self.refused(*self.backend.unreached(self, cause))

    def _send_on(self, connection: UpstreamConnection) -> None:
        lane = self.lane
        assert lane is not None  # noqa: S101
        self.connection = connection
        self.exchange.upstream = lane.label
        self.sent_at = monotonic()
        self.send(connection)

    def _again(self) -> None:
        self.relay.counters["upstream_retries"] += 1
        self.exchange.retries += 1
        self.queued()
        self.backend.take_again(self)

    def _release(self) -> None:
        self.connection = None
        lane, self.lane = self.lane, None
        if lane is not None:
            lane.release()

    def _complete(self) -> None:
        """The response is whole: give the place back."""
        self.connection = None
        lane, self.lane = self.lane, None
        if lane is not None:
            lane.served += 1
            lane.release()

    # the response

    def informed(self, fields: Fields) -> None:
        if not self.over:
            self.exchange.inform(EARLY_HINTS, fields)

    def response_begins(
        self, status: int, fields: Fields, length: int | None, data: bytes, whole: bool
    ) -> None:
        exchange = self.exchange
        exchange.first_byte = monotonic() - self.sent_at
        much = len(data) > MOUTHFUL and exchange.crowded
        if whole:
            self.over = not much
            if length is None:
                # all of it is here, so it needs no chunks; but to HEAD nothing is said
                length = len(data) if exchange.method != b"HEAD" else None
            self._complete()
            self.forget_request()
            if not much:
                if length == len(data):
                    exchange.respond(status, fields, data)
                    return
                exchange.begin(status, fields, length)
                exchange.write(data)
                exchange.finish()
                return
            self.response_whole = True
        self.keep_response()
        exchange.begin(status, fields, length)
        exchange.register_producer(self)
        if much:
            self._bring(data)
        else:
            exchange.write(data)

    def response_data(self, data: bytes, whole: bool) -> None:
        self.response_whole = whole
        if whole:
            self._complete()
            self.forget_request()
        if self.over:
            return
        kept = self.kept
        if kept is not None and (self.paused or kept.unread):
            self._keep(kept, data)
            return
        if len(data) > MOUTHFUL and self.exchange.crowded:
            self._bring(data)
            return
        if data:
            self.exchange.write(data)
        if whole:
            self._finish()

    def _bring(self, data: bytes) -> None:
        """The client has left much unread: keep this, and bring as much of it as there is room."""
        if self.kept is None:
            # what comes next waits in the server
            self.kept = self.spool(1)
        self._keep(self.kept, data)
        if not self.over and not self.paused:
            self.resumeProducing()

    def _keep(self, kept: Spool, data: bytes) -> None:
        try:
            kept.append(data)
        except OSError as error:
            self._break_off(_no_room(error))
            return
        if kept.is_full and self.connection is not None:
            self.connection.pause()

    def pauseProducing(self) -> None:
        """The client takes no more for now."""
        self.paused = True
        if self.kept is None and self.connection is not None:
            self.connection.pause()

    def resumeProducing(self) -> None:
        self.paused = False
        kept = self.kept
        while kept is not None and kept.unread and not self.paused and not self.over:
            self.exchange.write(kept.read(MOUTHFUL if self.exchange.crowded else PIECE))
        if self.paused or self.over:
            return
        if kept is not None:
            kept.reset()
        if self.response_whole:
            self._finish()
        elif self.connection is not None:
            self.connection.resume()

    def stopProducing(self) -> None:  # noqa: B027 - nothing is left to do
        """The client is gone; `client_gone` says so as well."""

    def _finish(self) -> None:
        self.over = True
        if self.kept is not None:
            self.kept.close()
        self.exchange.finish()

    def upstream_failed(self, cause: str, answered: bool) -> None:
        lane, last = self.lane, self.relay.last
        if last is not None and lane is not None and cause == "upstream_died":
            last.died(self.relay.app, lane.generation, self.exchange, self.sent_at)
        self._release()
        if self.over:
            return
        again = may_send_again(
            self.exchange.method,
            attempts=self.attempts,
            answered=answered,
            reused=self.reused,
            replayable=self.replayable,
            has_body=self.exchange.length != 0,
        )
        if again:
            if self.reused:
                # says nothing about the request: it may never have been read
                self.stale = True
                self.attempts -= 1
            self._again()
        else:
            self._break_off(cause)

    def _break_off(self, cause: str) -> None:
        """Refuse the request, or abort its answer: a broken one must never look whole."""
        self.over = True
        self.forget_request()
        if self.kept is not None:
            self.kept.close()
        self._abandon()
        self.exchange.refuse(cause)

    def _abandon(self) -> None:
        if self.attempt is not None:
            self.attempt.forget_caller()
            self.attempt = None
        if self.connection is not None:
            self.connection.abandon()
        self._release()

    # the request

    @abstractmethod
    def body_data(self, data: bytes) -> None: ...

    @abstractmethod
    def body_end(self) -> None: ...

    def client_gone(self) -> None:
        self.over = True
        if self.lane is None:
            self.backend.leave(self)
        self._abandon()
        self.forget_request()
        if self.kept is not None:
            self.kept.close()


class SpoolPassage(Passage):
    """A request that is complete before it takes a place, and a response that waits here."""

    body: Spool | None = None

    def start(self) -> None:
        exchange = self.exchange
        if exchange.expects:
            refusal = self.backend.refusal(self.relay.limits.hold_timeout)
            if refusal is not None:
                # better now than when all of it has come
                self.refused(*refusal)
                return
            if self.backend.holds_back(self):
                return
        exchange.receive(self)

    def body_data(self, data: bytes) -> None:
        if self.over:
            return
        if self.body is None:
            self.body = self.spool(self.relay.limits.body_size)
        try:
            self.body.append(data)
        except OSError as error:
            self.refused(_no_room(error), None)

    def body_end(self) -> None:
        if not self.over:
            self.backend.take(self)

    def send(self, connection: UpstreamConnection) -> None:
        exchange, body, limits = self.exchange, self.body, self.relay.limits
        size = 0 if body is None else body.size
        head = self.relay.make_head(exchange, size, connection.upstream.address)
        to_head = exchange.method == b"HEAD"
        if body is None:
            connection.send(head, self, to_head, True, limits)
            return
        body.rewind()
        if size <= PIECE:
            connection.send(head + body.read(size), self, to_head, True, limits)
        else:
            connection.send(head, self, to_head, False, limits)
            BodySender(connection, body).start()

    @property
    def replayable(self) -> bool:
        return True

    @property
    def kept_request(self) -> int:
        return 0 if self.body is None else self.body.in_memory

    def keep_response(self) -> None:
        self.kept = self.spool(self.relay.limits.spool_disk)

    def forget_request(self) -> None:
        if self.body is not None:
            self.body.close()


def _no_room(error: OSError) -> str:
    """Why a body cannot be kept."""
    return "descriptors" if error.errno in NONE_LEFT else "spool_full"


@implementer(IPullProducer)
class BodySender:
    """Sends a spooled body as fast as the app takes it: a pull producer."""

    __slots__ = ("connection", "body")

    def __init__(self, connection: UpstreamConnection, body: Spool) -> None:
        self.connection = connection
        self.body = body

    def start(self) -> None:
        self.connection.transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        piece = self.body.read(PIECE)
        last = not self.body.unread
        if last:
            self.connection.transport.unregisterProducer()
        self.connection.send_more(piece, last)

    def stopProducing(self) -> None:
        """The connection is gone, and says so to the passage."""


class StreamPassage(Passage):
    """A request whose body goes on as it comes."""

    request_whole = False
    # set once a byte of the body has been sent
    sending = False

    def start(self) -> None:
        self.request_whole = self.exchange.length == 0
        if self.request_whole:
            self.exchange.receive(self)
            self.backend.take(self)
            return
        # nothing of the body, and no `100 Continue`, before there is a place
        self.exchange.pause_body()
        self.exchange.receive(self)
        self.backend.take(self)

    def send(self, connection: UpstreamConnection) -> None:
        exchange = self.exchange
        to_head = exchange.method == b"HEAD"
        # what is whole before any of it was sent is empty, also if chunks were announced
        length = 0 if self.request_whole else exchange.length
        head = self.relay.make_head(exchange, length, connection.upstream.address)
        connection.send(head, self, to_head, self.request_whole, self.relay.limits)
        if not self.request_whole:
            connection.transport.registerProducer(BodyValve(exchange), True)
            exchange.resume_body()

    def body_data(self, data: bytes) -> None:
        if self.connection is None:
            return
        self.sending = True
        if self.exchange.length is None:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self.connection.send_more(data, False)

    def body_end(self) -> None:
        if self.request_whole:
            return
        self.request_whole = True
        connection = self.connection
        if connection is not None:
            connection.transport.unregisterProducer()
            connection.send_more(b"0\r\n\r\n" if self.exchange.length is None else b"", True)

    @property
    def replayable(self) -> bool:
        return not self.sending

    def _again(self) -> None:
        if not self.request_whole:
            self.exchange.pause_body()
        super()._again()


@implementer(IPushProducer)
class BodyValve:
    """Holds the client's body back while the app takes no more: a push producer."""

    __slots__ = ("exchange",)

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def pauseProducing(self) -> None:
        self.exchange.pause_body()

    def resumeProducing(self) -> None:
        self.exchange.resume_body()

    def stopProducing(self) -> None:
        """The connection is gone, and says so to the passage."""

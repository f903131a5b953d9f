"""
Connections to apps and servers that live on from one request to the next.

In:  `http.relay` takes a connection of an address, sends a request's bytes on it.
Out: the response, unframed, to whoever sent the request.
Spec: RFC 9112 sections 6 and 9.3, RFC 9110 section 15.2.

    send(head, reply)       ->    bytes to the app
    response head, body     <-    reply.response_begins, reply.response_data
    broken, late, refused   <-    reply.upstream_failed
    ask(head, opening, reply)     the same for an upgrade; only a valid 101 is one
    101                     <-    reply.switched

Whatever arrived in one piece leaves in one call: nearly always the whole response.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from hostedge.errors import BadRequest
from hostedge.http.calling import Caller, Reply, Switching
from hostedge.http.exchange import Continuing, Exchange, Fields
from hostedge.http.known_responses import KnownResponses, Whole
from hostedge.http.unmade import NO_SOCKET, cause_of
from hostedge.http.wheel import HORIZON, NEVER, Wheel
from hostedge.net.eager import ClientProtocol, EagerClient, is_local, is_numeric
from hostedge.observe.traffic import Traffic
from hostedge.settings import Limits
from hostedge.wire.keep_alive import idle_life_told
from hostedge.wire.response_head import MAX_FIELDS, check_size, examine
from hostedge.wire.upgrade import Opening, opens

# seconds of idleness after which a POST would rather have a new connection than a stale one
FRESH = 1.0
LOCAL_CONNECT = 1.0  # to this machine: no packet gets lost on the way
SWITCHING = 101
EARLY_HINTS = 103

# one of so many responses of a connection is remembered, if it is one that may come again
SAMPLED = 4

_USUAL = b"HTTP/1.1 "
_is_bad_reason = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search


_known = KnownResponses()


class UpstreamConnection(ClientProtocol):
    """
    One connection: connecting for `caller`, busy for `reply`, or idle in its upstream's list.

    It goes back to the list only when request and response are complete, the response said so
    by its framing, and not one byte has come that nobody asked for.
    """

    transport: EagerClient

    # a dict of so many attributes would be 1.5 kB for each connection, and slower
    __slots__ = (
        *("upstream", "deadline", "due", "served", "idle_since", "_limits", "_caller", "_reply"),
        *("_parser", "_fields", "_pieces", "_hints", "_to_head", "_sent", "_is_simple", "_fed"),
        *("_status", "_begun", "_head", "_told", "_whole", "_keep_alive", "_until_close"),
        *("_dirty", "_is_granted", "_usual", "_attempt", "_opening", "_switching", "_successor"),
    )

    def __init__(self, upstream: Upstream, caller: Caller, limits: Limits) -> None:
        self.upstream = upstream
        self.deadline = NEVER
        self.due = 0
        # of the request that is being served
        self._limits = limits
        self.served = 0
        self.idle_since = 0.0
        self._caller: Caller | None = caller
        self._reply: Reply | None = None
        self._parser = HttpResponseParser(self)
        self._fields: Fields = []
        self._pieces: list[bytes] = []
        # heads of early hints that nobody has heard of yet
        self._hints: list[Fields] = []
        # of the request that is being served
        self._to_head = self._sent = self._is_simple = False
        # of its response
        self._fed = self._status = 0
        self._begun = self._head = self._told = self._whole = False
        self._keep_alive = self._until_close = self._dirty = self._is_granted = False
        # whether it is known to be of HTTP/1.1
        self._usual = False
        self._attempt: EagerClient | None = None
        # of an upgrade: what was asked for, who gets the answer, who has the connection now
        self._opening: Opening | None = None
        self._switching: Switching | None = None
        self._successor: Continuing | None = None

    # connecting

    @property
    def pending(self) -> bool:
        """Whether somebody still waits for it to be made."""
        return self._caller is not None

    def begin(self, address: str, reactor: IReactorFDSet, patience: float) -> None:
        """Connect; the caller hears of it, for a UNIX address before this returns."""
        if self._caller is None:
            return
        self.deadline = self.upstream.wheel.now + patience
        self.upstream.wheel.watch(self)
        try:
            self._attempt = EagerClient(address, self, reactor)
        except OSError as error:
            # no socket could be made, which says nothing of whom it was for
            self.connection_failed(error, NO_SOCKET)
            return
        self._attempt.connect()

    def connectionMade(self) -> None:
        self.deadline = NEVER
        self._attempt = None
        caller, self._caller = self._caller, None
        if caller is None:
            self._end(False)
        else:
            caller.connected_to(self)

    def connection_failed(self, error: OSError, cause: str = "") -> None:
        self._attempt = None
        self.upstream.lost(self)
        self.upstream.wheel.forget(self)
        self.upstream.counters["upstream_connect_failed"] += 1
        self.upstream.traffic.connect_errors += 1
        caller, self._caller = self._caller, None
        if caller is not None:
            caller.connect_failed(cause or cause_of(error, self.upstream.is_local))

    def forget_caller(self) -> None:
        """Nobody wants this connection any more."""
        self._caller = None
        if self._attempt is not None:
            self._attempt.give_up()
        else:
            # its name is being looked up
            self.upstream.lost(self)

    # the request

    def announce(self, header: bytes) -> None:
        """Say who the client is, before anything else."""
        self.transport.write(header)

    def send(self, data: bytes, reply: Reply, to_head: bool, whole: bool, limits: Limits) -> None:
        """Send head and body, or the beginning of them; `whole`: that is all of it."""
        self._reply = reply
        self._limits = limits
        self._to_head = to_head
        self._is_simple = not to_head and self._opening is None
        self._sent = whole
        self.served += 1
        upstream = self.upstream
        if self.served > 1:
            upstream.counters["upstream_reused"] += 1
        self.deadline = upstream.wheel.now + limits.response_timeout
        self.transport.write(data)

    def ask(self, data: bytes, opening: Opening, reply: Switching, limits: Limits) -> None:
        """Send the head of a request for an upgrade."""
        self._opening, self._switching = opening, reply
        self.send(data, reply, False, True, limits)

    def hand_over(self, successor: Continuing) -> EagerClient:
        """Let a successor have the bytes; the connection itself is still its upstream's."""
        self._successor = successor
        self.upstream.wheel.forget(self)
        # a call less for each read than passing it on
        self.dataReceived = successor.dataReceived  # type: ignore[method-assign]
        return self.transport

    def send_more(self, data: bytes, whole: bool) -> None:
        """Send more of the body, framed."""
        self._sent = whole
        if not self._told:
            self.deadline = self.upstream.wheel.now + self._limits.response_timeout
        if data:
            self.transport.write(data)

    def pause(self) -> None:
        """Let no more of the response come for now."""
        self.deadline = NEVER
        self.transport.pauseProducing()

    def resume(self) -> None:
        self.deadline = self.upstream.wheel.now + self._limits.response_idle
        self.transport.resumeProducing()

    def abandon(self) -> None:
        """Whoever sent the request wants no response."""
        self._reply = None
        self._end(True)

    # the response

    def dataReceived(self, data: bytes) -> None:
        reply = self._reply
        if reply is None:
            self.upstream.counters["upstream_idle_bytes"] += 1
            self._end(True)
            return
        if not self._begun:
            if self._is_simple:
                whole = _known.recall(data, self._limits.response_head_size)
                if whole is not None:
                    self._take_whole(reply, whole)
                    return
            self._begun = True
            self._usual = data[:9] == _USUAL
            if not self._usual and data[0] != _USUAL[0]:
                # the parser would pass over empty lines
                self._fail("bad_response")
                return
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if self._is_granted and isinstance(error, HttpParserUpgrade):
                self._fed += len(data)
                self._switch(data[error.args[0] :])
                return
            if not self._whole:
                self._fail("bad_response")
                return
            # something came after the end; the response itself is sound
            self._dirty = True
        if self._hints and not self._inform(reply):
            return
        if self._told:
            # what comes although it is paused was on its way
            if self.deadline != NEVER:
                self.deadline = self.upstream.wheel.now + self._limits.response_idle
            self._deliver(reply)
        elif self._head:
            self._fed += len(data)
            self._deliver_head(reply, data)
        else:
            self._fed += len(data)
            if self._fed > self._limits.response_head_size or len(self._fields) > MAX_FIELDS:
                self._fail("bad_response")

    def _take_whole(self, reply: Reply, whole: Whole) -> None:
        """All of the response is here, and the parser need not see it."""
        status, fields, data, keep_alive = whole
        if keep_alive:
            self.upstream.learn(keep_alive)
        self._reply = None
        if self._sent:
            self.upstream.give(self)
        else:
            # as in `_finish`
            self._end(True)
        reply.response_begins(status, fields, len(data), data, True)

    def on_message_begin(self) -> None:
        if self._whole:
            self._dirty = True

    def on_status(self, reason: bytes) -> None:
        if reason != b"OK" and _is_bad_reason(reason):
            raise ValueError(reason)

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._head:
            # trailers would come later, and are dropped
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        if self._whole:
            return
        status = self._parser.get_status_code()
        if status < 200:
            if status == SWITCHING and self._opening is not None:
                self._is_granted = opens(self._fields, self._opening)
            if status < 100 or (status == SWITCHING and not self._is_granted):
                raise ValueError(status)
            if not self._is_granted:
                if status == EARLY_HINTS:
                    self._hints.append(self._fields)
                # what follows has a version of its own
                self._usual = False
                self._fields = []
            return
        if status > 599:
            raise ValueError(status)
        self._status = status
        self._head = True
        self._keep_alive = self._parser.should_keep_alive()
        if self._to_head:
            # the parser does not know that no body follows; it is not used again
            self._whole = True

    def on_body(self, data: bytes) -> None:
        if self._whole:
            self._dirty = True
        else:
            self._pieces.append(data)

    def on_message_complete(self) -> None:
        if self._head:
            self._whole = True

    def _switch(self, rest: bytes) -> None:
        """The connection is no HTTP any more."""
        reply, self._switching, self._reply = self._switching, None, None
        assert reply is not None  # noqa: S101
        self.deadline = NEVER
        try:
            fields, _, _, _ = self._examine()
        except BadRequest:
            self._end(True)
            self.upstream.traffic.errors += 1
            reply.upstream_failed("bad_response", True)
            return
        self._fields = []
        reply.switched(fields, rest)

    def _inform(self, reply: Reply) -> bool:
        """Pass early hints on; False when the reply has heard the end of it."""
        hints, self._hints = self._hints, []
        for fields in hints:
            try:
                check_size(fields, self._limits.response_head_size)
                kept, _, _, _ = examine(fields, self._parser.get_http_version())
            except BadRequest:
                self._fail("bad_response")
                return False
            reply.informed(kept)
        return self._reply is reply

    def _deliver_head(self, reply: Reply, last: bytes) -> None:
        """The head is whole; `last` are the bytes with which it came to be."""
        try:
            fields, length, framed, keep_alive = self._examine()
        except BadRequest:
            self._fail("bad_response")
            return
        self._told = True
        self._until_close = not framed and not self._whole
        self.deadline = self.upstream.wheel.now + self._limits.response_idle
        pieces = self._pieces
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        status, whole = self._status, self._whole
        if whole:
            if self.served % SAMPLED == 0 and self._is_plain(last) and length == len(data):
                _known.learn(last, status, fields, length, keep_alive)
            self._finish()
        else:
            pieces.clear()
        reply.response_begins(status, fields, length, data, whole)

    def _is_plain(self, data: bytes) -> bool:
        """Whether these bytes are a whole response, the only one, that leaves nothing open."""
        alone = self._is_simple and self._usual and self._fed == len(data)
        return alone and self._keep_alive and not self._dirty

    def _examine(self) -> tuple[Fields, int | None, bool, bytes]:
        """
        Read as `wire.response_head` says, and learn how long the app keeps a connection.

        Raises:
            BadRequest: the head is not valid.
        """
        if self._fed > self._limits.response_head_size:
            # or the body that came with it is
            check_size(self._fields, self._limits.response_head_size)
        version = "1.1" if self._usual else self._parser.get_http_version()
        kept, length, framed, keep_alive = examine(self._fields, version)
        if keep_alive:
            self.upstream.learn(keep_alive)
        return kept, length, framed, keep_alive

    def _deliver(self, reply: Reply) -> None:
        pieces, whole = self._pieces, self._whole
        if not pieces and not whole:
            return
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if whole:
            self._finish()
        else:
            pieces.clear()
        reply.response_data(data, whole)

    def _finish(self) -> None:
        """The response is complete: back to the idle ones, or away."""
        self._reply = None
        # an upgrade that was not granted is over as well
        self._opening = self._switching = None
        clean = self._keep_alive and self._sent and not self._dirty
        if self._to_head:
            self._parser = HttpResponseParser(self)
        self._fields = []
        self._pieces = []
        self._fed = 0
        self._begun = self._head = self._told = self._whole = False
        if clean:
            self.upstream.give(self)
        else:
            # with a part of the request still to come it must hear that nobody sends it
            self._end(not self._sent)

    # the end

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        upstream = self.upstream
        upstream.wheel.forget(self)
        upstream.lost(self)
        reply, self._reply = self._reply, None
        self._switching = None
        if self._successor is not None:
            successor, self._successor = self._successor, None
            successor.connection_lost()
        if reply is None:
            return
        if self._told and self._until_close and reason.check(ConnectionDone):
            reply.response_data(b"", True)
        else:
            upstream.traffic.errors += 1
            reply.upstream_failed("upstream_died", self._begun)

    def timed_out(self) -> None:
        if self._attempt is not None:
            self._attempt.give_up()
        elif self._reply is None:
            self._end(False)
        else:
            self._fail("response_timeout")

    @property
    def reply(self) -> Reply | None:
        """Who waits for a response, or for more of one."""
        return self._reply

    def stands_still(self, since: float) -> bool:
        """Whether nothing of a response that has begun has come since then, though it may."""
        return self._told and self.deadline - self._limits.response_idle < since

    def look(self) -> None:
        """Find out what there is to be known of what has it now."""
        if self._successor is not None:
            self._successor.look()

    @property
    def is_upgraded(self) -> bool:
        """Whether it is no HTTP any more."""
        return self._successor is not None

    def cut(self, cause: str) -> None:
        """End it, whatever it does."""
        caller, self._caller = self._caller, None
        if caller is not None:
            self.forget_caller()
            caller.upstream_failed(cause, True)
        elif self._successor is not None:
            self._successor.cut(cause)
        elif self._reply is None:
            self._end(False)
        else:
            self._fail(cause)

    def _fail(self, cause: str) -> None:
        reply, self._reply = self._reply, None
        self._end(True)
        if reply is not None:
            self.upstream.traffic.errors += 1
            # a response that is late or not valid may still stand for something that was done
            reply.upstream_failed(cause, True)

    def _end(self, abort: bool) -> None:
        self.upstream.lost(self)
        self.deadline = NEVER
        # closing in order would wait for bytes that the app may never take
        if abort or getattr(self.transport, "unsent", False):
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()


class Upstream:
    """
    One address, and the connections to it.

    `idle_life` has to end before the app's own keep-alive does, or requests cross with its FIN;
    an app that says how long it waits is believed.
    """

    def __init__(
        self,
        address: str,
        reactor: IReactorFDSet,
        resolve: Callable[[str], Deferred[str]],
        wheel: Wheel,
        counters: dict[str, int],
        idle_life: float,
        announce: Callable[[Exchange], bytes] | None = None,
        traffic: Traffic | None = None,
    ) -> None:
        self.address = address
        self.traffic = traffic or Traffic()
        self.wheel = wheel
        self.counters = counters
        self.idle_life = idle_life
        # what a connection begins with; it then serves the client whom that names, and no other
        self.announce = announce
        # those that are being made, busy or idle
        self.open: set[UpstreamConnection] = set()
        self._idle: list[UpstreamConnection] = []
        self._reactor = reactor
        self._resolve = resolve
        self._closed = False
        self.is_local = is_local(address)
        self._is_name = not is_numeric(address)

    def take(self, careful: bool) -> UpstreamConnection | None:
        """Give the connection that was used last, if one is idle; `careful`: and surely fresh."""
        now = self.wheel.now
        while self._idle:
            connection = self._idle[-1]
            if connection.deadline <= now:
                connection.timed_out()
            elif careful and now - connection.idle_since > FRESH:
                return None
            else:
                return self._idle.pop()
        return None

    def connect(self, caller: Caller, limits: Limits) -> UpstreamConnection:
        """Make a new connection for the caller, who may forget about it before it is made."""
        self.counters["upstream_connects"] += 1
        self.traffic.connects += 1
        connection = UpstreamConnection(self, caller, limits)
        self.open.add(connection)
        patience = limits.connect_timeout
        if self.is_local:
            patience = min(patience, LOCAL_CONNECT)
        if self._is_name:
            name, _, port = self.address.rpartition(":")
            self._resolve(name).addCallbacks(
                lambda found: connection.begin(f"{found}:{port}", self._reactor, patience),
                lambda failure: connection.connection_failed(OSError(str(failure.value))),
            )
        else:
            connection.begin(self.address, self._reactor, patience)
        return connection

    def give(self, connection: UpstreamConnection) -> None:
        """Take a connection back that has nothing to do."""
        now = self.wheel.now
        connection.idle_since = now
        connection.deadline = now + self.idle_life
        if self._closed or self.announce is not None:
            connection.timed_out()
            return
        if self.idle_life < HORIZON:
            self.wheel.hasten(connection)
        self._idle.append(connection)

    def lost(self, connection: UpstreamConnection) -> None:
        """Forget a connection."""
        if connection in self.open:
            self.open.remove(connection)
            self.traffic.ended(connection.served)
        if connection in self._idle:
            self._idle.remove(connection)

    def learn(self, keep_alive: bytes) -> None:
        """Hear from the app how long it keeps an idle connection."""
        self.idle_life = idle_life_told(keep_alive) or self.idle_life

    def close(self) -> None:
        """End what is idle now, and what is busy when it is done."""
        self._closed = True
        for connection in list(self._idle):
            connection.timed_out()

    def cut(self, cause: str, upgraded: bool = True) -> None:
        """End everything now; `upgraded`: also what is no HTTP any more."""
        self._closed = True
        for connection in list(self.open):
            if upgraded or not connection.is_upgraded:
                connection.cut(cause)

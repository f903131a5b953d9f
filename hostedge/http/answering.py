"""
What an exchange does in the same way whichever protocol its request came by.

In:  `http.h1_exchange` and `http.h2_exchange`; leaves call it on their exchanges.
Out: calls on what the protocols frame in their own ways: `begin`, `write`, `finish`, `abort`.
Spec: RFC 9110 section 10.1.1, RFC 6797 section 7.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from time import monotonic
from typing import Any, Protocol

from twisted.logger import Logger

from hostedge.http.client import ClientConnection
from hostedge.http.exchange import BodyReceiver, Fields, Part
from hostedge.http.refusal import ALLOW, make_refusal, no_page
from hostedge.observe.refused import written

_log = Logger()

CLIENT_GONE = 499  # what the log says of an answer that nobody waited for


class Asking(Protocol):
    """The requests in flight of a source: `net.sources.Asking`."""

    def end(self) -> None: ...


_NOTHING: frozenset[bytes] = frozenset()
_STRICT = b"strict-transport-security"


class Answering(ABC):
    """
    An exchange, but for its framing.

    `over` means that nothing more can happen to the answer, `complete` that the request's body
    is whole and its receiver knows. `head` waits for the first piece of the answer's body; `left`
    is what is still promised, None when the length is not known.
    """

    # whether it is refused for its head, so that no router has seen it; whether what is kept of it
    # is as it came
    turned_away = verbatim = False

    # objects of so many attributes would get a dict: 5 % of a request (measured without sockets)
    __slots__ = (
        # the request
        *("entrance", "method", "target", "path", "query", "fields", "limited", "length", "host"),
        *("authority", "scheme", "id", "client", "client_port", "hops", "local_port"),
        *("server_name", "trace"),
        *("revision", "strict", "site", "asking", "expects", "upgrade", "receiver", "complete"),
        "paused",
        # the answer
        *("status", "head", "left", "sent", "bodyless", "begun", "over", "whole", "cause"),
        # for the log
        *("upstream", "retries", "started", "began", "spent", "first_byte", "total"),
    )

    protocol: str

    def __init__(
        self,
        connection: ClientConnection,
        method: bytes,
        target: bytes,
        path: bytes,
        query: bytes | None,
        fields: Fields,
        length: int | None,
        host: str,
        authority: bytes,
    ) -> None:
        self.entrance = entrance = connection.entrance
        self.method = method
        self.target = target
        self.path = path
        self.query = query
        self.fields = fields
        self.length = length
        self.host = host
        self.authority = authority
        self.scheme = entrance.scheme
        self.id = entrance.make_id()
        self.client = connection.client
        self.client_port = connection.client_port
        self.local_port = connection.local_port
        self.server_name = connection.server_name
        self.hops: tuple[str, ...] = ()
        self.bodyless = method == b"HEAD"
        self.limited: frozenset[bytes] = _NOTHING
        self.receiver: BodyReceiver | None = None
        # what counts for the site; from the router
        self.site: Any = None
        # what counts for its source, until it is over; from the router
        self.asking: Asking | None = None
        self.left: int | None = None
        self.head = self.trace = self.strict = b""
        self.upstream = self.cause = self.upgrade = ""
        self.revision = self.status = self.sent = self.retries = 0
        self.began = self.first_byte = self.total = 0.0
        # most requests spend their time on nothing but the answer
        self.spent: dict[Part, float] | None = None
        if connection.handshake:
            # what the connection has cost is told once
            self.spend("tls", connection.handshake)
            connection.handshake = 0.0
        self.whole = True
        self.complete = self.paused = self.expects = self.begun = self.over = False
        self.started = monotonic()

    @property
    @abstractmethod
    def local_host(self) -> str: ...

    def spend(self, part: Part, seconds: float) -> None:
        if self.spent is None:
            self.spent = {}
        self.spent[part] = self.spent.get(part, 0.0) + seconds

    def receive(self, receiver: BodyReceiver) -> None:
        self.receiver = receiver
        if self.complete:
            receiver.body_end()
        elif not self.paused:
            self._want_body()

    def pause_body(self) -> None:
        self.paused = True

    def resume_body(self) -> None:
        if self.paused:
            self.paused = False
            if self.receiver is not None and not self.over:
                self._want_body()

    @abstractmethod
    def _want_body(self) -> None:
        """There is a receiver that may be told what has come and what comes."""

    def respond(self, status: int, fields: Fields, body: bytes) -> None:
        self.begin(status, fields, len(body))
        self.write(body)
        self.finish()

    def refuse(
        self,
        cause: str,
        retry_after: float | None = None,
        detail: str = "",
        fields: Fields | None = None,
    ) -> None:
        if self.over:
            return
        self.entrance.counters[f"refused_{cause}"] += 1
        self.keep_refusal(cause, detail)
        self.cause = cause
        if self.begun:
            self.abort()
            return
        accept = [value for name, value in self.fields if name.lower() == b"accept"]
        # where no host was found nobody has a page of its own
        page = partial(self.entrance.page, self.host) if self.revision else no_page
        status, told, body = make_refusal(cause, accept, self.id, retry_after, page)
        self.respond(status, told + fields if fields else told, body)

    def strictly(self, fields: Fields) -> Fields:
        """The fields of the answer, with what the site asks of browsers: RFC 6797 section 7.1."""
        kept = [item for item in fields if item[0].lower() != _STRICT]
        return [*kept, (b"Strict-Transport-Security", self.strict)]

    def keep_refusal(self, cause: str, detail: str = "") -> None:
        """Keep the request for whoever asks why it was refused."""
        self.entrance.refusals.keep(
            cause, self, self.scheme, self.id, self.first_bytes(), self.host, detail, self.verbatim
        )

    def turn_away(self, cause: str, detail: str = "") -> None:
        """Refuse it for its head: nobody but the node answers, but as one of its site."""
        try:
            self.entrance.claim(self)
        except Exception:  # noqa: BLE001 - the outermost shell; it has to be answered all the same
            _log.failure("whose request {id} is was not to be found out", id=self.id)
        self.refuse(cause, None, detail, [(b"Allow", ALLOW)] if cause == "method" else None)

    def first_bytes(self) -> bytes:
        """How the request begins."""
        first_line = b"%b %b %b" % (self.method, self.target, self.protocol.encode())
        return written(first_line, self.fields)

    @abstractmethod
    def inform(self, status: int, fields: Fields) -> None: ...

    @abstractmethod
    def begin(self, status: int, fields: Fields, length: int | None) -> None: ...

    @abstractmethod
    def write(self, data: bytes) -> None: ...

    @abstractmethod
    def finish(self) -> None: ...

    @abstractmethod
    def abort(self) -> None: ...

    def lose_client(self, status: int = CLIENT_GONE) -> None:
        """From the protocol, which ends the stream or connection: nobody waits any more."""
        if self.over:
            return
        if not self.begun:
            self.status = status
        self.whole = False
        receiver = self.receiver
        self._end()
        if receiver is not None:
            receiver.client_gone()

    def _leave_source(self) -> None:
        """It is a request in flight no longer."""
        asking, self.asking = self.asking, None
        if asking is not None:
            asking.end()

    @abstractmethod
    def _end(self) -> None:
        """The answer is over: whole, broken off, or wanted by nobody."""

"""
One request and its answer: the same object for every protocol.

In:  a server protocol makes it of a request head and hands it to the host's leaf.
Out: the leaf answers on it; the protocol that made it puts the answer on the wire.

    protocol                      exchange                         leaf
      request head          ->    facts                      ->    answer(exchange)
      body bytes            ->    receiver.body_data/end     ->
                            <-    begin, write, finish       <-
      client is gone        ->    receiver.client_gone       ->

An upgrade is answered by `switch`: from then on the client's bytes are its successor's.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol, runtime_checkable

from hostedge.settings import Limits

# bytes of a piece for somebody for whom much waits already: see `Exchange.crowded`
MOUTHFUL = 8192


class Holder(Protocol):
    """For whom bodies are kept: a client's connection."""

    # bytes in memory, of all its bodies
    kept: int


Fields = list[tuple[bytes, bytes]]

# what a request's time can have gone to, as docs/access-log.md has it
Part = Literal["tls", "header", "body", "start", "queue", "connect", "answer"]


class BodyReceiver(Protocol):
    """What a leaf hands over to hear of the request's body and of the client's end."""

    def body_data(self, data: bytes) -> None:
        """A piece of the body, unframed."""

    def body_end(self) -> None:
        """The body is complete (at once for a request without one)."""

    def client_gone(self) -> None:
        """The client has closed, broken its framing or run into a limit: nobody wants an answer."""


class Producer(Protocol):
    """Twisted's IPushProducer, as a type."""

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def stopProducing(self) -> None: ...


class Successor(Protocol):
    """What speaks on a connection that was handed over; it writes to the transport itself."""

    def dataReceived(self, data: bytes) -> None: ...

    def read_ended(self) -> bool:
        """The peer has ended its side. Whether there is more to say to it; if so, not for long."""

    def connection_lost(self) -> None:
        """The connection is gone."""

    def drain(self) -> None:
        """The edge wants to end: say so to whom it concerns, and finish soon."""


class Continuing(Successor, Protocol):
    """A successor that can be told to end, and to look whether it is silent."""

    def look(self) -> None: ...

    def cut(self, cause: str) -> None:
        """Everything to this address ends now."""


class Transport(Protocol):
    """What a successor writes to: Twisted's transports, as far as it needs them."""

    @property
    def unsent(self) -> int:
        """Bytes that wait for the peer."""

    def write(self, data: bytes) -> None: ...

    def registerProducer(self, producer: Producer, streaming: bool) -> None: ...

    def unregisterProducer(self) -> None: ...

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def loseWriteConnection(self) -> None: ...

    def loseConnection(self) -> None: ...

    def abortConnection(self) -> None: ...

    def keep_alive(self) -> None:
        """Have the kernel find out by itself when the peer has vanished."""


class Exchange(Protocol):
    """
    What a leaf sees. The facts never change; the answer is begun once and ended once,
    by `respond`, `refuse`, `finish` or `abort`; or it is switched, and then left.
    """

    # facts of the request
    method: bytes
    # path and query as the client sent them; origin-form
    target: bytes
    # the path in match form (`wire.path`), and the query without its `?`, or None
    path: bytes
    query: bytes | None
    # normal form: lower case, no trailing dot, no port
    host: str
    # what the Host field said, bytes as sent
    authority: bytes
    scheme: bytes

    # `HTTP/1.0`, `HTTP/1.1` or `HTTP/2`
    @property
    def protocol(self) -> str: ...

    # as sent, names in the client's spelling; framing and hop-by-hop fields still there
    fields: Fields
    # names of fields, in lower case, that stay on this hop: the client wants it, or they are odd
    limited: frozenset[bytes]
    # bytes of the request's body; 0 none, None unknown (chunked)
    length: int | None
    # whether the client waits for `100 Continue` before it sends that
    expects: bool
    client: str
    client_port: int
    # the trusted proxies since the client, its own first
    hops: tuple[str, ...]
    # the port that the client has connected to
    local_port: int

    # and the address; that of the last proxy's connection where one stands between
    @property
    def local_host(self) -> str: ...

    # for whom bodies are kept in memory: the client's connection
    @property
    def connection(self) -> Holder: ...

    # whether so much waits for the client, on all its requests, that leaves keep what they have
    # where it is, and bring it by the mouthful
    @property
    def crowded(self) -> bool: ...

    # lines of the head that continue a trusted proxy's trace; empty: a trace begins here
    trace: bytes
    # what the TLS client asked for, in normal form; empty without
    server_name: str
    # `websocket` for a valid opening handshake; the cause of the refusal for one that is not;
    # empty: nothing is asked for that could be had
    upgrade: str
    # UUIDv7
    id: str
    # the store's revision that the host was compiled from; the router sets it
    revision: int
    # what the answer says by `Strict-Transport-Security`, in place of what it says otherwise;
    # empty: as it comes. The router sets it
    strict: bytes
    # whose counts have begun with it, `observe.sites.Activity`; None: no host was found
    site: Any
    # for the log; the leaf that knows sets them. Seconds
    upstream: str
    # how often it was sent, or tried to, once more
    retries: int
    # seconds until the answer came
    first_byte: float

    def spend(self, part: Part, seconds: float) -> None:
        """For the log: so much of the request's time was this; more of it than once adds up."""

    def receive(self, receiver: BodyReceiver) -> None:
        """
        Let the body come; a leaf that never calls this has the body drained for it.

        A client that waits for `100 Continue` gets it now, or when a paused body is resumed.
        """

    def pause_body(self) -> None:
        """Backpressure: let no more of the body come for now; may be called before `receive`."""

    def resume_body(self) -> None: ...

    def respond(self, status: int, fields: Fields, body: bytes) -> None:
        """The whole answer; `Content-Length` is added."""

    def refuse(
        self,
        cause: str,
        retry_after: float | None = None,
        detail: str = "",
        fields: Fields | None = None,
    ) -> None:
        """
        Answer with `errors.CAUSES[cause]`: page, `Proxy-Status`, error id; or abort if begun.
        `fields`: more of them.
        """

    def keep_refusal(self, cause: str, detail: str = "") -> None:
        """Keep the request for whoever asks, as if it were refused; it is not."""

    def inform(self, status: int, fields: Fields) -> None:
        """An interim answer, before `begin`; it gets lost where the client may not expect one."""

    def begin(self, status: int, fields: Fields, length: int | None) -> None:
        """The head of the answer; length None = framed by chunks. Framing fields are ours."""

    def write(self, data: bytes) -> None:
        """A piece of the body. The head leaves with the first one; an empty one sends it alone."""

    def finish(self) -> None:
        """The answer is complete; fewer bytes than promised abort the connection."""

    def abort(self) -> None:
        """Break the answer off so that the client can see that it is not whole."""

    def register_producer(self, producer: Producer) -> None:
        """A push producer, paused while the client reads too slowly; ends with the answer."""

    def switch(self, fields: Fields, successor: Successor) -> tuple[Any, bytes]:
        """
        Answer 101 and hand the connection over: its transport, and what has come already.

        For an exchange with `upgrade` whose answer has not begun; the transport reads on.
        """

    def leave(self, sent: int, received: int, whole: bool, cause: str) -> None:
        """
        What it was switched to has ended, after so many bytes to the client and from it.

        `whole`: the client was told; `cause`: why, if it was not because a side wanted it.
        """


class Leaf(Protocol):
    """What answers under a mapping's path; made once when a host is compiled."""

    def answer(self, exchange: Exchange) -> None: ...

    @property
    def limits(self) -> Limits | None:
        """What holds for its requests from when they are routed; None: what the node says."""

    def explain(self) -> list[str]:
        """What `answer` would do now in a few words, then why, one line a reason."""


@runtime_checkable
class OfApp(Protocol):
    """A leaf behind which an app may stand."""

    @property
    def app(self) -> str:
        """`account/name`; empty: none does."""

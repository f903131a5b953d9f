"""An exchange that keeps what a leaf says, for tests of mappings."""

from __future__ import annotations

from attrs import define, field

from hostedge.errors import CAUSES
from hostedge.http.exchange import BodyReceiver, Fields, Producer
from hostedge.wire.target import split_target


@define(eq=False)
class KeptExchange:
    """
    Holds the contract of `hostedge.http.exchange.Exchange`: one beginning, one end, no more
    bytes than promised. After `room` bytes its client reads no further until `read_on`.
    """

    method: bytes = b"GET"
    target: bytes = b"/"
    fields: Fields = field(factory=list)
    room: int = 1 << 40
    path: bytes = field(init=False)
    query: bytes | None = field(init=False)
    host: str = "a.test"
    authority: bytes = b"a.test"
    scheme: bytes = b"https"
    length: int | None = 0
    expects: bool = False
    client: str = "192.0.2.1"
    client_port: int = 4000
    local_port: int = 443
    id: str = "0190163d-8694-739b-aea5-966c26f8ad91"
    upstream: str = ""
    retries: int = 0
    first_byte: float = 0.0
    spent: dict[str, float] = field(factory=dict)

    status: int = 0
    sent: dict[bytes, bytes] = field(factory=dict)
    body: bytes = b""
    writes: int = 0
    promised: int | None = None
    cause: str = ""
    retry_after: float | None = None
    kept_refusals: list[tuple[str, str]] = field(factory=list)
    over: str = ""
    receiver: BodyReceiver | None = None
    producer: Producer | None = None
    paused: bool = False
    crowded: bool = False

    # bytes of its bodies in memory: it is its own connection
    kept: int = 0

    @property
    def connection(self) -> KeptExchange:
        return self

    def __attrs_post_init__(self) -> None:
        self.path, self.query = split_target(self.target)

    def spend(self, part: str, seconds: float) -> None:
        self.spent[part] = self.spent.get(part, 0.0) + seconds

    def receive(self, receiver: BodyReceiver) -> None:
        self.receiver = receiver
        receiver.body_end()

    def pause_body(self) -> None:
        pass

    def resume_body(self) -> None:
        pass

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
        self.cause = cause
        self.retry_after = retry_after
        self.respond(CAUSES[cause].status, fields or [], b"")

    def keep_refusal(self, cause: str, detail: str = "") -> None:
        self.kept_refusals.append((cause, detail))

    def inform(self, status: int, fields: Fields) -> None:
        assert not self.status, "begun"

    def begin(self, status: int, fields: Fields, length: int | None) -> None:
        assert not self.status, "begun twice"
        self.status = status
        self.sent = dict(fields)
        assert len(self.sent) == len(fields), fields
        self.promised = length

    def write(self, data: bytes) -> None:
        if self.over:
            return
        assert self.status, "not begun"
        self.body += data
        self.writes += 1
        assert self.promised is None or len(self.body) <= self.promised
        if len(self.body) >= self.room and self.producer is not None and not self.paused:
            self.paused = True
            self.producer.pauseProducing()

    def finish(self) -> None:
        if self.over:
            return
        bodyless = self.method == b"HEAD" or self.status == 304
        assert bodyless or self.promised in (None, len(self.body)), self.promised
        assert not bodyless or not self.body
        self.over = "finished"

    def abort(self) -> None:
        assert not self.over
        self.over = "aborted"

    def register_producer(self, producer: Producer) -> None:
        self.producer = producer

    def read_on(self, room: int) -> None:
        """The client takes so many bytes more."""
        self.room = len(self.body) + room
        assert self.producer is not None and self.paused
        self.paused = False
        self.producer.resumeProducing()

    def lose_client(self) -> None:
        """The client closes its end."""
        assert self.receiver is not None
        self.over = "lost"
        self.receiver.client_gone()

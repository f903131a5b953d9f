"""What tests of the data path share: an entrance, leaves, and a way to read answers."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransportWithDisconnection

from hostedge.http.entrance import Entrance
from hostedge.http.exchange import Exchange, Leaf
from hostedge.http.h1 import H1
from hostedge.http.wheel import Wheel
from hostedge.observe.counters import make_counters
from hostedge.observe.refused import Refusals
from hostedge.settings import Limits

DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"


class EchoLeaf:
    """Answers with what was asked and how long the body was."""

    limits: Limits | None = None

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []

    def answer(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        exchange.receive(Echo(exchange))

    def explain(self) -> list[str]:
        return ["echo"]


class Echo:
    """One echo."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.size = 0

    def body_data(self, data: bytes) -> None:
        self.size += len(data)

    def body_end(self) -> None:
        exchange = self.exchange
        text = b"%b %b %d" % (exchange.method, exchange.target, self.size)
        exchange.respond(200, [(b"X-Echo", b"1")], text)

    def client_gone(self) -> None:
        pass


class Waiting:
    """A leaf that answers when the test says so."""

    limits: Limits | None = None

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.heard: list[object] = []

    def __call__(self, exchange: Exchange) -> Waiting:
        return self

    def answer(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        exchange.receive(self)

    def explain(self) -> list[str]:
        return []

    def body_data(self, data: bytes) -> None:
        self.heard.append(data)

    def body_end(self) -> None:
        self.heard.append("end")

    def client_gone(self) -> None:
        self.heard.append("gone")


class Scene:
    """An entrance on a fake clock, and whatever its log was told."""

    def __init__(
        self, router: Callable[[Exchange], Leaf | str], limits: Limits | None = None
    ) -> None:
        self.clock = Clock()
        self.counters = make_counters()
        self.recorded: list[Exchange] = []
        self.refusals = Refusals(self.clock.seconds)
        self.wheel = Wheel(self.clock, self.clock.seconds)
        self.limits = limits or Limits()
        self.entrance = Entrance(
            scheme=b"http",
            router=router,
            limits=self.limits,
            wheel=self.wheel,
            counters=self.counters,
            record=self.recorded.append,
            refusals=self.refusals,
            make_id=lambda: "the-id",
            date=lambda: DATE,
        )

    def connect(self) -> tuple[H1, ClientEnd]:
        protocol = H1(self.entrance)
        transport = ClientEnd()
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return protocol, transport

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([0.25] * round(seconds * 4))

    def changed_counters(self) -> dict[str, int]:
        return {name: count for name, count in self.counters.items() if count}


class ClientEnd(StringTransportWithDisconnection):
    """The client's side of a server's transport: what came, and how it ended."""

    half_closed = False
    aborted = False
    unsent = undelivered = 0
    unread = False

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def abortConnection(self) -> None:
        self.aborted = True
        self.loseConnection()

    @property
    def ended(self) -> bool:
        return self.half_closed or not self.connected


def with_limits(**changes: float) -> Limits:
    return evolve(Limits(), **changes)


def split_answers(
    text: bytes, heads: tuple[bool, ...] = ()
) -> list[tuple[int, dict[bytes, bytes], bytes]]:
    """Take a stream of answers with known lengths apart; `heads` says which are to HEAD."""
    answers = []
    while text:
        head, blank, text = text.partition(b"\r\n\r\n")
        assert blank, head
        line, *lines = head.split(b"\r\n")
        fields = {name.lower(): value for name, _, value in (x.partition(b": ") for x in lines)}
        assert len(fields) == len(lines), lines
        status = int(line.split(b" ")[1])
        size = int(fields.get(b"content-length", b"0"))
        if len(answers) < len(heads) and heads[len(answers)]:
            size = 0
        answers.append((status, fields, text[:size]))
        assert len(text) >= size
        text = text[size:]
    return answers

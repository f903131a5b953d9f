"""Clients, the data path and servers in any order: no answer is lost, doubled or mixed up."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.h1 import H1
from hostedge.http.pool_backend import PoolBackend
from hostedge.http.relay import Relay
from hostedge.model.site import Pool, Server
from tests.http.network import Network, PlayedApp, make_means
from tests.http.parts import ClientEnd, Scene
from tests.live.recorder import read, whole

# what a request without a good answer may get
EXCUSES = frozenset((502, 503, 504, 408))
# which of those that there are
WHICH = st.integers(0, 7)
_NUMBER = re.compile(rb"/([0-9]+)\b")


class Asked:
    """One request, and what became of it."""

    def __init__(self, number: int, method: bytes, body: bytes = b"") -> None:
        self.number = number
        self.method = method
        self.body = body
        # how often a server has had all of it
        self.arrived = 0
        # a server's whole answers to it, in the order in which they were given
        self.given: list[bytes] = []
        # the bodies of all that was given, whole or not
        self.bodies: list[bytes] = []
        # a server has begun to answer before it had all of it, or has broken off
        self.disturbed = False


def own_bytes(number: int, size: int) -> bytes:
    """So many bytes as only this request or its answer has."""
    word = b"%d;" % number
    return (word * (size // len(word) + 1))[:size]


class Visitor:
    """One connection of a client: what it asked, what it has not sent yet."""

    def __init__(self, protocol: H1, transport: ClientEnd) -> None:
        self.protocol = protocol
        self.transport = transport
        self.asked: list[Asked] = []
        self.unsent = b""

    @property
    def is_there(self) -> bool:
        return self.transport.connected and not self.transport.half_closed

    def send(self, size: int) -> None:
        piece, self.unsent = self.unsent[:size], self.unsent[size:]
        if piece and self.is_there:
            self.protocol.dataReceived(piece)


class Connection:
    """A server's side of one connection: what came, and what is still to be answered."""

    def __init__(self, accepted: socket.socket) -> None:
        self.socket = accepted
        self.data = b""
        self.waiting: list[Asked] = []
        # the rest of an answer that has begun
        self.rest = b""
        self.of: Asked | None = None
        # nothing that comes after this may be a request
        self.is_spoilt = False
        # the edge has ended it
        self.is_left = False


class AnyOrder(RuleBasedStateMachine):
    """A pool of one server with two places; three may wait."""

    @initialize(buffer=st.sampled_from(["stream", "spool"]), visitors=st.integers(1, 4))
    def build(self, buffer: str, visitors: int) -> None:
        self.network = Network()
        self.means = make_means(self.network)
        self.server = PlayedApp(backlog=64)
        pool = Pool("p", (Server(self.server.address),), 2, 3)
        self.backend = PoolBackend("demo/p", pool, self.means)
        relay = Relay(self.backend, buffer, self.means.limits, self.means.counters, self.means.disk)
        self.scene = Scene(lambda exchange: relay)
        self.scene.entrance.wheel = self.means.wheel
        self.requests: list[Asked] = []
        self.everyone: list[Visitor] = []
        self.open: list[Connection] = []
        for _ in range(visitors):
            self.come()

    # clients

    @rule()
    @precondition(lambda self: len(self.everyone) < 8)
    def come(self) -> None:
        self.everyone.append(Visitor(*self.scene.connect()))

    @rule(
        which=WHICH,
        method=st.sampled_from([b"GET", b"GET", b"HEAD", b"POST", b"PUT"]),
        size=st.sampled_from([0, 3, 3000]),
        chunked=st.booleans(),
        cut=st.integers(0, 200),
    )
    @precondition(lambda self: self.everyone)
    def ask(self, which: int, method: bytes, size: int, chunked: bool, cut: int) -> None:
        """Send a request, or the first bytes of it; what was not sent before goes first."""
        visitor = self.everyone[which % len(self.everyone)]
        if not visitor.is_there:
            return
        number = len(self.requests)
        body = b"" if method in (b"GET", b"HEAD") else own_bytes(number, size)
        asked = Asked(number, method, body)
        self.requests.append(asked)
        visitor.asked.append(asked)
        head = b"%b /%d HTTP/1.1\r\nHost: a.test\r\n" % (method, asked.number)
        if method in (b"GET", b"HEAD"):
            raw = head + b"\r\n"
        elif chunked:
            pieces = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            raw = head + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n"
        else:
            raw = head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        visitor.unsent += raw
        visitor.send(len(visitor.unsent) if cut > 100 else cut)

    @rule(which=WHICH, size=st.sampled_from([1, 30, 1000, 10_000]))
    @precondition(lambda self: any(visitor.unsent for visitor in self.everyone))
    def say_more(self, which: int, size: int) -> None:
        waiting = [visitor for visitor in self.everyone if visitor.unsent]
        waiting[which % len(waiting)].send(size)

    @rule(which=WHICH)
    @precondition(lambda self: self.everyone)
    def leave(self, which: int) -> None:
        """A client's connection breaks."""
        visitor = self.everyone[which % len(self.everyone)]
        if visitor.transport.connected:
            visitor.transport.connected = False
            visitor.protocol.connectionLost(Failure(ConnectionLost()))
        self.everyone.remove(visitor)

    # the server

    def accept(self) -> None:
        while not self.server.nobody_waits:
            self.open.append(Connection(self.server.accept()))
        for connection in self.open[:]:
            self.hear(connection)
            if connection.is_left:
                # whatever is answered here, nobody hears
                self.disturb(connection)
                self.hang_up(connection)

    def one(self, which: int, fits: Callable[[Connection], object]) -> Connection | None:
        """Choose one of the connections that fit."""
        self.accept()
        fitting = [connection for connection in self.open if fits(connection)]
        return fitting[which % len(fitting)] if fitting else None

    def hear(self, connection: Connection) -> None:
        """Read what has come, as far as it is there."""
        try:
            while data := connection.socket.recv(1 << 20):
                connection.data += data
            connection.is_left = True
        except BlockingIOError:
            pass
        except OSError:
            connection.is_left = True
        while (end := whole(connection.data)) > 0:
            arrived = read(connection.data[:end])
            connection.data = connection.data[end:]
            found = _NUMBER.match(arrived.target)
            assert found is not None
            asked = self.requests[int(found[1])]
            assert asked.method == arrived.method
            assert asked.body == arrived.body, "another body than was sent"
            assert not connection.is_spoilt, "a spoilt connection was used again"
            # one at a time: nothing is sent before the last answer has gone
            assert not connection.waiting and connection.of is None
            asked.arrived += 1
            connection.waiting.append(asked)

    @rule(which=WHICH, size=st.sampled_from([0, 5, 70_000]), how=st.integers(0, 3))
    def answer(self, which: int, size: int, how: int) -> None:
        """Answer what waits: at once, in two parts, in chunks, or until the connection ends."""
        connection = self.one(which, lambda x: x.waiting)
        if connection is None:
            return
        asked = connection.waiting.pop()
        asked_body = b"%d." % asked.number + own_bytes(asked.number, size)
        asked.bodies.append(asked_body)
        head = b"HTTP/1.1 200 OK\r\nX-Number: %d\r\n" % asked.number
        framing = b"Content-Length: %d\r\n\r\n" % len(asked_body)
        if asked.method == b"HEAD":
            self.finish(connection, asked, head + framing)
        elif how == 0:
            self.finish(connection, asked, head + framing + asked_body)
        elif how == 1:
            connection.of = asked
            connection.rest = asked_body[1:]
            self.put(connection, head + framing + asked_body[:1])
        elif how == 2:
            chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(asked_body), asked_body)
            self.finish(connection, asked, head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
        else:
            self.finish(connection, asked, head + b"\r\n" + asked_body)
            self.hang_up(connection)
        self.network.turn()

    @rule(which=WHICH)
    def go_on(self, which: int) -> None:
        """Send the rest of an answer."""
        connection = self.one(which, lambda x: x.of)
        if connection is not None and connection.of is not None:
            asked, connection.of = connection.of, None
            self.finish(connection, asked, connection.rest)
            connection.rest = b""
            self.network.turn()

    @rule(which=WHICH)
    def interrupt(self, which: int) -> None:
        """Answer a request before all of it is there."""
        connection = self.one(which, lambda x: b"\r\n\r\n" in x.data and not x.of)
        if connection is None:
            return
        asked = self.partial(connection)
        assert asked is not None
        asked.disturbed = True
        connection.is_spoilt = True
        body = b"%d.early" % asked.number
        asked.bodies.append(body)
        head = b"HTTP/1.1 200 OK\r\nX-Number: %d\r\n" % asked.number
        self.finish(connection, asked, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.network.turn()
        # whatever still comes belongs to this request
        connection.socket.setblocking(False)
        connection.data = b""
        self.hear(connection)
        self.hang_up(connection)
        self.network.turn()

    @rule(which=WHICH)
    def babble(self, which: int) -> None:
        """Say something that nobody asked for."""
        connection = self.one(which, lambda x: not (x.of or x.waiting or x.data))
        if connection is None:
            return
        connection.is_spoilt = True
        self.put(connection, b"HTTP/1.1 200 OK\r\nX-Number: 99\r\nContent-Length: 3\r\n\r\n99.")
        self.network.turn()

    @rule(which=WHICH)
    def fail(self, which: int) -> None:
        """Close, whatever is under way."""
        connection = self.one(which, lambda x: True)
        if connection is None:
            return
        self.disturb(connection)
        self.hang_up(connection)
        self.network.turn()

    def disturb(self, connection: Connection) -> None:
        """Whatever is under way here may come to nothing."""
        for asked in (*connection.waiting, connection.of, self.partial(connection)):
            if asked is not None:
                asked.disturbed = True

    def partial(self, connection: Connection) -> Asked | None:
        """The request of which a part has come."""
        found = re.match(rb"[A-Z]+ /([0-9]+) ", connection.data)
        return self.requests[int(found[1])] if found else None

    def finish(self, connection: Connection, asked: Asked, data: bytes) -> None:
        asked.given.append(data)
        self.put(connection, data)

    def put(self, connection: Connection, data: bytes) -> None:
        with contextlib.suppress(OSError):
            connection.socket.sendall(data)

    def hang_up(self, connection: Connection) -> None:
        connection.socket.close()
        self.open.remove(connection)

    # time

    @rule()
    def turn(self) -> None:
        self.network.turn()

    @rule(seconds=st.sampled_from([0.25, 2.0, 5.0]))
    def wait(self, seconds: float) -> None:
        self.network.pass_time(seconds)

    # what holds at any time

    @invariant()
    def answers_fit(self) -> None:
        """The answers that a client has are those to its requests, in their order."""
        for visitor in getattr(self, "everyone", ()):
            self.heard(visitor)
            places = self.backend.places
            assert 0 <= places.taken <= 2

    def heard(self, visitor: Visitor) -> list[int]:
        """Give the statuses of the whole answers that a client has."""
        statuses = []
        rest = visitor.transport.value()
        asked = iter(visitor.asked)
        while rest:
            if rest.startswith(b"HTTP/1.1 100 "):
                rest = rest.partition(b"\r\n\r\n")[2]
                continue
            of = next(asked)
            found = take_answer(rest, of.method)
            if found is None:
                break
            status, fields, body, rest = found
            statuses.append(status)
            if status == 200:
                assert fields[b"x-number"] == b"%d" % of.number, (fields, of.number)
                assert of.given, "an answer that nobody gave"
                if of.method != b"HEAD":
                    assert body in of.bodies, "another body than was given"
            else:
                assert status in EXCUSES, (status, body)
        return statuses

    def teardown(self) -> None:
        if not hasattr(self, "network"):
            return
        try:
            self.come_to_an_end()
        finally:
            for connection in self.open:
                connection.socket.close()
            self.server.close()

    def come_to_an_end(self) -> None:
        # everybody says all, and every server answers
        for visitor in self.everyone:
            visitor.send(1 << 20)
        for _ in range(400):
            self.network.turn()
            for _ in range(4):
                self.answer(0, 0, 0)
                self.go_on(0)
            if all(self.is_done(visitor) for visitor in self.everyone):
                break
            self.network.pass_time(0.25)
        for visitor in self.everyone:
            assert self.is_done(visitor), visitor.transport.value()[-500:]
            statuses = self.heard(visitor)
            for place, asked in enumerate(visitor.asked):
                # a server's word counts, if nothing came between
                if asked.given and not asked.disturbed and asked.arrived == 1:
                    assert statuses[place : place + 1] == [200], (asked.number, statuses)
        for asked in self.requests:
            if asked.method in (b"POST", b"PUT"):
                assert asked.method == b"PUT" or asked.arrived <= 1, "done twice"
        for visitor in self.everyone:
            if visitor.transport.connected:
                visitor.transport.connected = False
                visitor.protocol.connectionLost(Failure(ConnectionLost()))
        self.network.pass_time(1)
        assert self.backend.places.taken == 0 and len(self.backend.places) == 0
        assert self.scene.entrance.in_flight == 0
        self.backend.cut("suspended")
        self.network.turn()
        assert not self.network.readers and not self.network.writers

    def is_done(self, visitor: Visitor) -> bool:
        """Whether a client has an answer for each request, or its connection has ended."""
        return not visitor.is_there or len(self.heard(visitor)) == len(visitor.asked)


Answer = tuple[int, dict[bytes, bytes], bytes, bytes]


def take_answer(data: bytes, method: bytes) -> Answer | None:
    """Give status, fields, body and what follows; None if it is not whole."""
    head, blank, rest = data.partition(b"\r\n\r\n")
    if not blank:
        return None
    first, *lines = head.split(b"\r\n")
    status = int(first.split(b" ")[1])
    fields = {name.lower(): value for name, _, value in (line.partition(b": ") for line in lines)}
    if method == b"HEAD" and status != 408:
        # of a head that never was whole nobody knows that it was one
        return status, fields, b"", rest
    if fields.get(b"transfer-encoding") == b"chunked":
        body = b""
        while True:
            line, blank, rest = rest.partition(b"\r\n")
            if not blank:
                return None
            size = int(line, 16)
            if len(rest) < size + 2:
                return None
            body, rest = body + rest[:size], rest[size + 2 :]
            if not size:
                return status, fields, body, rest
    size = int(fields[b"content-length"])
    return None if len(rest) < size else (status, fields, rest[:size], rest[size:])


class AnyOrderTests(SynchronousTestCase):
    """The machine, as a test."""

    def test_anyOrder(self) -> None:
        """Whatever happens in whatever order."""
        examples = settings.default.max_examples * 4
        run_state_machine_as_test(AnyOrder, settings=settings(max_examples=examples))
        self.assertEqual(self.flushLoggedErrors(), [])

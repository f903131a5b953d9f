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
from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.pool_backend import PoolBackend
from hostedge.http.relay import Relay
from hostedge.model.site import Pool, Server
from tests.http.network import Network, PlayedApp, make_means
from tests.http.parts import Scene
from tests.http.visitors import WIDE, Asked, H2Visitor, Visitor, visit
from tests.live.recorder import read, whole

# which of those that there are
WHICH = st.integers(0, 7)
# those of a client of HTTP/2; None: it speaks HTTP/1
WINDOWS = st.sampled_from([None, None, WIDE, WIDE, 0, 1000])
_NUMBER = re.compile(rb"/([0-9]+)\b")


def own_bytes(number: int, size: int) -> bytes:
    """So many bytes as only this request or its answer has."""
    word = b"%d;" % number
    return (word * (size // len(word) + 1))[:size]


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

    @initialize(
        buffer=st.sampled_from(["stream", "spool"]),
        visitors=st.lists(WINDOWS, min_size=1, max_size=4),
    )
    def build(self, buffer: str, visitors: list[int | None]) -> None:
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
        for window in visitors:
            self.come(window)

    # clients

    @rule(window=WINDOWS)
    @precondition(lambda self: len(self.everyone) < 8)
    def come(self, window: int | None) -> None:
        self.everyone.append(visit(self.scene, window))

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
        visitor.ask(asked, chunked)
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
        visitor.leave()
        self.everyone.remove(visitor)

    def of_http2(self, which: int) -> H2Visitor | None:
        some = [each for each in self.everyone if isinstance(each, H2Visitor)]
        return some[which % len(some)] if some else None

    @rule(which=WHICH, count=st.integers(1, 3))
    def release(self, which: int, count: int) -> None:
        """Pieces of bodies come, in whatever order with the heads of other requests."""
        visitor = self.of_http2(which)
        if visitor is not None:
            visitor.release(count)
            visitor.send(len(visitor.unsent))

    @rule(which=WHICH)
    def make_room(self, which: int) -> None:
        """A client takes all that there is."""
        visitor = self.of_http2(which)
        if visitor is not None and visitor.is_small:
            visitor.make_room()
            visitor.send(len(visitor.unsent))

    @rule(which=WHICH, stream=WHICH)
    def cancel(self, which: int, stream: int) -> None:
        """A client wants one of its answers no more."""
        visitor = self.of_http2(which)
        if visitor is not None:
            visitor.cancel(stream)

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
        """The answers that a client has are those to its requests, in their order or place."""
        for visitor in getattr(self, "everyone", ()):
            visitor.statuses()
            places = self.backend.places
            assert 0 <= places.taken <= 2

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
            if isinstance(visitor, H2Visitor):
                visitor.make_room()
            visitor.say_all()
        for _ in range(400):
            self.network.turn()
            for _ in range(4):
                self.answer(0, 0, 0)
                self.go_on(0)
            if all(visitor.is_done for visitor in self.everyone):
                break
            self.network.pass_time(0.25)
        for visitor in self.everyone:
            assert visitor.is_done, (visitor.statuses(), visitor.transport.value()[-500:])
            for asked, status in zip(visitor.asked, visitor.statuses(), strict=True):
                # a server's word counts, if nothing came between
                if asked.given and not asked.disturbed and asked.arrived == 1:
                    assert status == 200 or visitor.may_lack(asked), (asked.number, status)
        for asked in self.requests:
            if asked.method in (b"POST", b"PUT"):
                assert asked.method == b"PUT" or asked.arrived <= 1, "done twice"
        for visitor in self.everyone:
            visitor.leave()
        self.network.pass_time(1)
        assert self.backend.places.taken == 0 and len(self.backend.places) == 0
        assert self.scene.entrance.in_flight == 0
        self.backend.cut("suspended")
        self.network.turn()
        assert not self.network.readers and not self.network.writers


class AnyOrderTests(SynchronousTestCase):
    """The machine, as a test."""

    def test_anyOrder(self) -> None:
        """Whatever happens in whatever order."""
        examples = settings.default.max_examples * 4
        run_state_machine_as_test(AnyOrder, settings=settings(max_examples=examples))
        self.assertEqual(self.flushLoggedErrors(), [])

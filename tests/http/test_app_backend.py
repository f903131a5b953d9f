"""One app on an edge, from its first request to its last."""

from __future__ import annotations

import socket
from time import monotonic
from typing import Any

from attrs import evolve, frozen
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.app_backend import AppBackend
from hostedge.http.last_requests import LastRequests
from hostedge.http.relay import Relay
from hostedge.ipc import Use
from hostedge.model.site import App
from tests.http.network import Network, PlayedApp, PlayedKeeper, is_ended, make_means, received
from tests.http.parts import ClientEnd, Scene, split_answers

GET = b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"
EXPECTING = b"POST / HTTP/1.1\r\nHost: a.test\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@frozen
class Answer:
    """The keeper's answer to a wake."""

    generation: int
    address: str
    refusal: str = ""
    retry: float = 0.0


class AppCase(SynchronousTestCase):
    """An app whose keeper and whose daemon the test plays."""

    def setUp(self) -> None:
        self.network = Network()
        self.played = PlayedApp()
        self.addCleanup(self.played.close)
        self.means = make_means(self.network)
        self.keeper: Any = self.means.keeper
        assert isinstance(self.keeper, PlayedKeeper)
        self.backend = AppBackend("demo/hello", App("hello", "wsgi", None, queue=3), self.means)
        means, self.last = self.means, LastRequests(monotonic)
        name = self.backend.name
        self.relay = Relay(
            self.backend, "spool", means.limits, means.counters, means.disk, name, last=self.last
        )
        self.scene = Scene(lambda exchange: self.relay)
        self.scene.entrance.wheel = self.means.wheel
        self.addCleanup(self.backend.cut, "suspended")

    def ask(self, request: bytes = GET) -> ClientEnd:
        protocol, client = self.scene.connect()
        protocol.dataReceived(request)
        return client

    def reason(self, client: ClientEnd) -> tuple[int, bytes]:
        status, fields, _ = split_answers(client.value())[0]
        return status, fields.get(b"x-hostedge-reason", b"")

    def wake(self, generation: int = 1, address: str = "") -> None:
        self.keeper.waiting.pop(0).callback(Answer(generation, address or self.played.address))

    def answer(self, text: bytes = OK) -> None:
        self.played.accepted[-1].sendall(text)
        self.network.turn()


class WakingTests(AppCase):
    """While nobody knows where the app is."""

    def test_oneWakeForAll(self) -> None:
        """Many first requests are one wake; they are served in order, within capacity."""
        clients = [self.ask() for _ in range(3)]
        self.assertEqual(self.keeper.asked, [("demo/hello", "a.test")])
        self.wake()
        self.played.accept()
        self.played.accept()
        self.assertTrue(self.played.nobody_waits)
        self.answer()
        self.assertTrue(self.played.nobody_waits, "the connection is used again")
        self.answer(OK)
        for connection in self.played.accepted:
            connection.sendall(OK)
        self.network.turn()
        self.assertEqual([self.reason(c)[0] for c in clients if c.value()].count(200), 3)

    def test_nobodyWaits(self) -> None:
        """When the last who waits has gone, the keeper hears of it; the next one wakes anew."""
        first, second = (self.scene.connect()[0] for _ in range(2))
        first.dataReceived(GET)
        second.dataReceived(GET)
        waking = self.keeper.waiting[0]
        first.connectionLost(Failure(ConnectionLost()))
        self.assertNoResult(waking)
        second.connectionLost(Failure(ConnectionLost()))
        self.assertTrue(waking.called)
        self.ask()
        self.assertEqual(len(self.keeper.asked), 2)

    def test_lineIsFull(self) -> None:
        """More than may wait are refused at once."""
        clients = [self.ask() for _ in range(4)]
        self.assertEqual(self.reason(clients[3]), (503, b"queue_full"))
        self.assertEqual(clients[0].value(), b"")

    def test_bodiesThatWait(self) -> None:
        """What waiting requests have in memory is bounded; one without a body may still wait."""
        self.means.kept_bodies.limit = 1000
        post = b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 600\r\n\r\n" + b"x" * 600
        first, second, third = self.ask(post), self.ask(post), self.ask()
        self.assertEqual((first.value(), third.value()), (b"", b""))
        self.assertEqual(self.reason(second), (503, b"queue_full"))
        self.assertRegex(second.value(), rb"\r\nRetry-After: [1-5]\r\n")
        self.wake()
        for _ in range(2):
            self.played.accept()
            self.answer()
        self.assertEqual((self.means.kept_bodies.taken, self.means.waiting.taken), (0, 0))

    def test_tooSlow(self) -> None:
        """Who has waited thirty seconds is told to come again; the start goes on."""
        client = self.ask()
        self.network.pass_time(29)
        self.assertEqual(client.value(), b"")
        self.network.pass_time(3)
        self.assertEqual(self.reason(client), (503, b"start_slow"))
        self.assertIn(b"Retry-After: 5\r\n", client.value())

    def test_expected(self) -> None:
        """Who is told to come again is told when the start should be over, as far as is known."""
        first, second = self.ask(), None
        self.backend.expect(42.0)
        self.network.pass_time(25)
        second = self.ask()
        self.network.pass_time(7)
        self.assertEqual(self.reason(first), (503, b"start_slow"))
        self.assertRegex(first.value(), rb"\r\nRetry-After: (10|11|12)\r\n")
        self.network.pass_time(25)
        self.assertIn(b"\r\nRetry-After: 1\r\n", second.value(), "any moment now")
        self.backend.moved(1, self.played.address)
        self.backend.quiesce(1)
        late = self.ask()
        self.network.pass_time(32)
        self.assertIn(b"\r\nRetry-After: 5\r\n", late.value(), "that was another start")

    def test_mappingsPatience(self) -> None:
        """A mapping's own patience holds while the app starts; for a place there is another."""
        self.relay.limits = evolve(self.relay.limits, hold_timeout=60.0, queue_timeout=3.0)
        clients = [self.ask() for _ in range(3)]
        self.network.pass_time(50)
        self.wake()
        self.assertEqual([client.value() for client in clients], [b""] * 3)
        late = self.ask()
        self.network.pass_time(4)
        self.assertEqual(self.reason(late), (503, b"queue_timeout"))
        self.assertEqual(clients[2].value(), b"", "it came when the app had to start")

    def test_refused(self) -> None:
        """The keeper's refusal is everybody's answer."""
        client = self.ask()
        self.keeper.waiting.pop().callback(Answer(0, "", "not_configured"))
        self.assertEqual(self.reason(client), (503, b"not_configured"))
        self.ask()
        self.assertEqual(len(self.keeper.asked), 2)

    def test_waitsForTheNextAttempt(self) -> None:
        """After a crash who can wait for the next start does; who cannot is told when to come."""
        client = self.ask()
        self.network.pass_time(20)
        patient = self.ask()
        self.keeper.waiting.pop().callback(Answer(0, "", "crash_loop", 15.0))
        self.assertEqual(self.reason(client), (503, b"crash_loop"))
        self.assertIn(b"Retry-After: 15\r\n", client.value())
        self.assertEqual(patient.value(), b"")
        self.network.pass_time(15.5)
        self.assertEqual(len(self.keeper.asked), 2)
        self.wake()
        self.played.accept()
        self.answer()
        self.assertEqual(self.reason(patient)[0], 200)

    def test_keeperIsLost(self) -> None:
        """A wake that went down with the keeper is repeated to the next one."""
        client = self.ask()
        self.backend.keeper_lost()
        self.keeper.waiting.pop().errback(Failure(ConnectionLost()))
        late = self.ask()
        self.assertEqual(len(self.keeper.asked), 1)
        self.backend.keeper_back()
        self.assertEqual(len(self.keeper.asked), 2)
        self.wake()
        for _ in range(2):
            self.played.accept()
            self.answer()
        self.assertEqual([self.reason(c)[0] for c in (client, late)], [200, 200])

    def test_keeperStaysAway(self) -> None:
        """Without a keeper the answer says so in the end."""
        self.backend.keeper_lost()
        client = self.ask()
        self.network.pass_time(32)
        self.assertEqual(self.reason(client), (503, b"keeper_down"))

    def test_knownRefusal(self) -> None:
        """As long as nobody could wait for the next start, who asks with a body is told at once."""
        self.assertIsNone(self.backend.refusal(30.0))
        self.ask()
        self.assertIsNone(self.backend.refusal(30.0), "the keeper has not answered")
        self.keeper.waiting.pop().callback(Answer(0, "", "crash_loop", 40.0))
        self.network.pass_time(5)
        cause, left = self.backend.refusal(30.0) or ("", 0.0)
        self.assertEqual((cause, round(left or 0)), ("crash_loop", 35))
        client = self.ask(EXPECTING)
        self.assertEqual(self.reason(client), (503, b"crash_loop"))
        self.assertEqual(len(self.keeper.asked), 1)
        self.network.pass_time(10)
        self.assertIsNone(self.backend.refusal(30.0), "who comes now can wait")
        waiting = self.ask(EXPECTING)
        self.assertEqual(waiting.value(), b"")
        self.backend.moved(1, self.played.address)
        self.assertEqual(waiting.value(), CONTINUE)
        self.backend.quiesce(1)
        self.assertIsNone(self.backend.refusal(30.0), "it has run since")

    def test_programsDoNotWake(self) -> None:
        """A monitor or crawler wakes nobody, whatever it asks; who comes to a page does."""
        monitor = b"%b / HTTP/1.1\r\nHost: a.test\r\nUser-Agent: UptimeRobot/2.0\r\n\r\n"
        for method in (b"GET", b"HEAD", b"OPTIONS", b"POST"):
            client = self.ask(monitor % method)
            self.assertIn(b" 503 ", client.value()[:13])
            self.assertIn(b"\r\nX-Hostedge-Reason: not_woken\r\n", client.value())
            self.assertIn(b"\r\nRetry-After: 60\r\n", client.value())
        self.assertEqual(self.keeper.asked, [])
        self.backend.update(evolve(self.backend.app, always_on=True))
        self.ask(monitor % b"GET")
        self.assertEqual(len(self.keeper.asked), 1, "it is to run in any case")

    def test_everyMethodWakes(self) -> None:
        """HEAD and OPTIONS are requests like any other."""
        for number, method in enumerate((b"HEAD", b"OPTIONS"), 1):
            client = self.ask(b"%b / HTTP/1.1\r\nHost: a.test\r\n\r\n" % method)
            self.assertEqual(len(self.keeper.asked), number)
            self.wake(number)
            self.played.accept()
            self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            self.assertIn(b"HTTP/1.1 200 OK", client.value())
            self.assertTrue(self.backend.quiesce(number))

    def test_waitingPage(self) -> None:
        """A browser is shown a page after three seconds, if the app wants it; others wait."""
        page = b"GET / HTTP/1.1\r\nHost: a.test\r\nAccept: text/html\r\nSec-Fetch-Mode: %b\r\n\r\n"
        patient = self.ask(page % b"navigate")
        self.network.pass_time(4)
        self.assertEqual(patient.value(), b"", "nobody has asked for that")
        self.backend.update(evolve(self.backend.app, waiting_page=True, queue=10))
        self.backend.expect(20.0)
        browser, script, program = (
            self.ask(page % b"navigate"),
            self.ask(page % b"cors"),
            self.ask(),
        )
        self.network.pass_time(2.5)
        self.assertEqual(browser.value(), b"")
        self.network.pass_time(1.5)
        self.assertEqual(self.reason(browser), (503, b"starting"))
        self.assertRegex(browser.value(), rb"\r\nRetry-After: 1[67]\r\n")
        self.assertIn(b"\r\nRefresh: 2\r\n", browser.value())
        self.assertIn(b"should take about 1", browser.value())
        self.assertEqual(len(self.keeper.asked), 1)
        self.assertFalse(self.keeper.waiting[0].called, "the start goes on")
        again = self.ask(page % b"navigate")
        self.backend.moved(1, self.played.address)
        for _ in range(4):
            while not self.played.nobody_waits:
                self.played.accept()
            for connection in self.played.accepted:
                if received(connection):
                    connection.sendall(OK)
            self.network.turn()
        self.assertEqual(
            [self.reason(client)[0] for client in (patient, script, program, again)], [200] * 4
        )

    def test_waitingPageOfAFailure(self) -> None:
        """Who cannot wait for the next start sees that it fails, and is not sent round."""
        self.backend.update(evolve(self.backend.app, waiting_page=True))
        client = self.ask(b"GET / HTTP/1.1\r\nHost: a.test\r\nAccept: text/html\r\n\r\n")
        self.keeper.waiting.pop().callback(Answer(0, "", "crash_loop", 8.0))
        self.assertEqual(self.reason(client), (503, b"crash_loop"))
        self.assertNotIn(b"\r\nRefresh", client.value())

    def test_leavesTheLine(self) -> None:
        """A client that goes while the app starts is not sent on."""
        protocol, _ = self.scene.connect()
        protocol.dataReceived(GET)
        protocol.connectionLost(Failure(ConnectionLost()))
        self.wake()
        self.assertTrue(self.played.nobody_waits)
        self.assertEqual(self.backend.places.taken, 0)


class SlowStartTests(AppCase):
    """A generation that has just come up, of an app with much capacity."""

    def setUp(self) -> None:
        super().setUp()
        self.means = evolve(self.means, workers=lambda app: 16)
        self.backend.means = self.means
        self.backend.update(evolve(self.backend.app, queue=50))

    def accept(self) -> list[socket.socket]:
        came = []
        while not self.played.nobody_waits:
            came.append(self.played.accept())
        return came

    def test_fewThenMore(self) -> None:
        """Four at first, one more with each response; who waits longer sees more with time."""
        clients = [self.ask() for _ in range(30)]
        # the keeper tells every edge before it answers
        self.backend.moved(1, self.played.address)
        self.wake()
        first = self.accept()
        self.assertEqual(len(first), 4)
        first[0].sendall(OK)
        self.network.turn()
        self.assertEqual(len(self.accept()), 1, "one has taken the free connection")
        self.assertEqual(self.backend.places.taken, 5)
        self.network.pass_time(1)
        self.assertEqual(self.backend.places.taken, 9, "responses that last hold nobody up")
        self.network.pass_time(3)
        self.assertEqual(self.backend.places.taken, 16)
        self.assertEqual(sum(bool(client.value()) for client in clients), 1)

    def test_withoutALine(self) -> None:
        """Nobody has to wait for it to grow."""
        self.backend.moved(1, self.played.address)
        for _ in range(3):
            self.ask()
            connection = (self.accept() or self.played.accepted)[-1]
            received(connection)
            connection.sendall(OK)
            self.network.turn()
        for _ in range(10):
            self.ask()
        self.assertEqual(self.backend.places.taken, 7)
        self.assertEqual(len(self.backend.places), 3)

    def test_runsForLong(self) -> None:
        """One of which nobody has said that it has come up gets all at once."""
        for _ in range(30):
            self.ask()
        self.wake()
        self.assertEqual(self.backend.places.taken, 16)

    def test_startWasTold(self) -> None:
        """One whose start was told is new as well, in whichever order the news come."""
        self.backend.expect(3.0)
        for _ in range(30):
            self.ask()
        self.wake()
        self.assertEqual(self.backend.places.taken, 4)

    def test_swapped(self) -> None:
        """What takes over is as new as what was started."""
        self.backend.moved(1, self.played.address)
        self.network.pass_time(10)
        for _ in range(20):
            self.ask()
        self.assertEqual(self.backend.places.taken, 16)
        new = PlayedApp()
        self.addCleanup(new.close)
        self.backend.moved(2, new.address)
        self.assertEqual(self.backend.places.taken, 4)


class RunningTests(AppCase):
    """Once it runs."""

    def setUp(self) -> None:
        super().setUp()
        self.backend.moved(1, self.played.address)

    def test_gone(self) -> None:
        """An address that refuses is forgotten and the keeper asked; the request is not lost."""
        self.played.close()
        client = self.ask(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx")
        self.assertEqual(len(self.keeper.asked), 1)
        self.played = PlayedApp()
        self.addCleanup(self.played.close)
        self.wake(2)
        self.played.accept()
        self.answer()
        self.assertEqual(self.reason(client)[0], 200)
        self.assertEqual(self.backend.places.taken, 0)

    def test_diedUnderRequests(self) -> None:
        """
        Who was on it when it died is known for a while, by generation; what went well is not.
        """
        self.ask()
        self.played.accept()
        self.answer()
        self.assertEqual(self.last.of("demo/hello", 1), [])
        client = self.ask(
            b"POST /pay?card=1 HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx"
        )
        self.network.turn()
        self.played.accepted[-1].close()
        self.network.turn()
        self.assertEqual(self.reason(client), (502, b"upstream_died"))
        [died] = self.last.of("demo/hello", 1)
        self.assertEqual((died["method"], died["host"], died["path"]), ("POST", "a.test", "/pay"))
        self.assertEqual(self.last.of("demo/hello", 2), [])

    def test_keeperHearsLater(self) -> None:
        """
        Where the keeper knows of no end yet, it is asked again after a pause, and after a longer
        one; nothing is lost, and nobody else runs into the same wall meanwhile.
        """
        self.played.close()
        clients = [self.ask(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1\r\n\r\nx")]
        for number, (least, most) in enumerate(((0.05, 0.16), (0.2, 0.61))):
            asked = len(self.keeper.asked)
            self.wake(1)
            clients.append(self.ask())
            self.network.advance(least - 0.01)
            self.assertEqual(len(self.keeper.asked), asked, "it is left alone")
            self.network.advance(most - least + 0.01)
            self.assertEqual(len(self.keeper.asked), asked + 1)
            if not number:
                # it still knows nothing: one more connection is refused
                self.wake(1)
                self.assertEqual(len(self.keeper.asked), asked + 2)
        self.played = PlayedApp()
        self.addCleanup(self.played.close)
        self.wake(2)
        for _ in clients:
            self.answer_all()
        self.assertEqual([self.reason(client)[0] for client in clients], [200] * 3)
        self.assertEqual(self.backend.places.taken, 0)

    def answer_all(self) -> None:
        while not self.played.nobody_waits:
            self.played.accept()
        for connection in self.played.accepted:
            if received(connection):
                connection.sendall(OK)
        self.network.turn()

    def test_nobodyComesBack(self) -> None:
        """A process that lives and does not listen is given up in the end, within a second."""
        self.played.close()
        client = self.ask()
        for _ in range(8):
            while self.keeper.waiting:
                self.wake(1)
            self.network.advance(0.15)
        self.assertEqual(self.reason(client), (502, b"upstream_refused"))
        self.assertEqual(self.means.counters["upstream_connect_failed"], 3)
        self.network.pass_time(6)
        # that was long ago: the next pause is the short one
        self.ask()
        while self.keeper.waiting:
            self.wake(1)
        asked = len(self.keeper.asked)
        self.network.advance(0.16)
        self.assertEqual(len(self.keeper.asked), asked + 1)

    def test_movedMeanwhile(self) -> None:
        """News from the keeper end a pause."""
        self.played.close()
        client = self.ask()
        self.wake(1)
        self.played = PlayedApp()
        self.addCleanup(self.played.close)
        self.backend.moved(2, self.played.address)
        self.played.accept()
        self.answer()
        self.assertEqual(self.reason(client)[0], 200)
        self.network.pass_time(1)
        self.assertEqual(len(self.keeper.asked), 1)

    def test_manyAtAGoneAddress(self) -> None:
        """A whole line that runs into a dead address waits for the new one, in order."""
        self.backend.update(evolve(self.backend.app, queue=500))
        self.backend.places.capacity = 400
        self.backend._forget()
        clients = [self.ask() for _ in range(300)]
        self.played.close()
        self.wake(2)
        self.assertEqual({c.value() for c in clients}, {b""})
        self.played = PlayedApp(500)
        self.addCleanup(self.played.close)
        self.wake(3)
        self.network.turn(2)
        while not all(c.value() for c in clients):
            while not self.played.nobody_waits:
                self.played.accept()
            for connection in self.played.accepted:
                if received(connection):
                    connection.sendall(OK)
            self.network.turn(2)
        self.assertEqual({self.reason(c)[0] for c in clients}, {200})

    def fill(self) -> list[socket.socket]:
        """Connect until the backlog takes no more."""
        filling = []
        while True:
            one = socket.socket(socket.AF_UNIX)
            self.addCleanup(one.close)
            one.setblocking(False)
            if one.connect_ex(self.played.path):
                return filling
            filling.append(one)

    def test_fullBacklog(self) -> None:
        """Where the backlog is full it is tried again now and then, until there is room."""
        filling = self.fill()
        clients = [self.ask(EXPECTING + b"x"), self.ask()]
        tried = self.means.counters["upstream_connect_failed"]
        self.assertEqual(tried, 1, "the second one need not try")
        self.network.pass_time(3)
        self.assertLess(self.means.counters["upstream_connect_failed"], 40)
        for _ in filling:
            self.played.accept().close()
        self.played.accepted.clear()
        self.network.pass_time(0.25)
        self.answer_all()
        self.network.turn()
        self.answer_all()
        self.assertEqual([self.reason(c)[0] for c in clients[1:]], [200])
        self.assertTrue(clients[0].value().endswith(b"\r\n\r\nok"))
        self.assertEqual((self.backend.places.taken, self.backend.places.capacity), (0, 2))
        self.assertEqual(self.keeper.asked, [])

    def test_backlogStaysFull(self) -> None:
        """Who has waited as long as for a place is told so, and not that nobody is there."""
        self.fill()
        client = self.ask()
        self.network.pass_time(14.5)
        self.assertEqual(client.value(), b"")
        self.network.pass_time(2)
        self.assertEqual(self.reason(client), (503, b"queue_full"))
        self.assertRegex(client.value(), rb"\r\nRetry-After: [1-5]\r\n")
        self.assertEqual(self.backend.places.taken, 0)

    def test_quiesce(self) -> None:
        """An idle app is let go; a busy one is not; the next request wakes it."""
        client = self.ask()
        self.played.accept()
        self.assertFalse(self.backend.quiesce(1))
        self.answer()
        self.assertTrue(client.value())
        self.assertTrue(self.backend.quiesce(1))
        self.network.turn()
        self.assertTrue(is_ended(self.played.accepted[0]))
        self.ask()
        self.assertEqual(len(self.keeper.asked), 1)
        self.assertTrue(self.backend.quiesce(7), "an unknown generation is idle")

    def test_swap(self) -> None:
        """After a move new requests go to the new generation, old ones end on the old."""
        first = self.ask()
        old = self.played.accept()
        new = PlayedApp()
        self.addCleanup(new.close)
        self.backend.moved(2, new.address)
        self.backend.moved(1, self.played.address)
        self.assertFalse(self.backend.quiesce(1))
        second = self.ask()
        new.accept().sendall(OK)
        old.sendall(OK)
        self.network.turn()
        self.assertEqual([self.reason(c)[0] for c in (first, second)], [200, 200])
        self.assertEqual({e.upstream[-2:] for e in self.scene.recorded}, {"#1", "#2"})
        self.assertTrue(is_ended(old))
        self.assertTrue(self.backend.quiesce(1))
        self.assertEqual(self.backend.places.taken, 0)

    def test_retire(self) -> None:
        """What still runs on an old generation at its deadline is broken off."""
        client = self.ask()
        old = self.played.accept()
        new = PlayedApp()
        self.addCleanup(new.close)
        self.backend.moved(2, new.address)
        self.backend.retire(1, 10.0)
        self.network.pass_time(9)
        self.assertEqual(client.value(), b"")
        self.network.pass_time(2)
        self.assertEqual(self.reason(client), (502, b"upstream_died"))
        self.assertTrue(is_ended(old))
        self.assertEqual(self.backend.old, [])

    def test_cut(self) -> None:
        """A suspension ends what runs and what waits."""
        clients = [self.ask() for _ in range(4)]
        self.backend.cut("suspended")
        self.assertEqual({self.reason(c) for c in clients}, {(503, b"suspended")})
        self.assertEqual(self.backend.old, [])

    def test_activity(self) -> None:
        """News are told once; what is in flight is told each time."""
        self.assertEqual([use.in_flight for use in self.backend.activity()], [0])
        self.assertEqual(self.backend.activity(), [])
        self.ask()
        for _ in range(2):
            self.assertEqual([use.in_flight for use in self.backend.activity()], [1])
        self.played.accept()
        self.answer()
        self.assertEqual([use.in_flight for use in self.backend.activity()], [0])

    def test_served(self) -> None:
        """Responses that were whole are told once, also of a generation that is no more."""
        for _ in range(3):
            self.ask()
            if not self.played.accepted:
                self.played.accept()
            self.answer()
        self.ask()
        self.assertEqual([use.served for use in self.backend.activity()], [3])
        self.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nbroken")
        self.played.accepted[0].close()
        self.network.turn()
        self.assertEqual([use.served for use in self.backend.activity()], [0])
        self.ask()
        self.played.accept()
        self.answer()
        self.assertTrue(self.backend.quiesce(1))
        use = Use("demo/hello", 1, 0, 0.0, served=1)
        self.assertEqual((self.backend.activity(), self.backend.activity()), ([use], []))
        self.backend.moved(2, self.played.address)
        self.ask()
        self.played.accept()
        self.backend.moved(3, "unix:/elsewhere")
        self.answer()
        self.assertEqual(
            [(u.generation, u.served) for u in self.backend.activity()], [(2, 1), (3, 0)]
        )

    def test_upgraded(self) -> None:
        """What is upgraded needs no place; the app is not idle, and its lane stays, under it."""
        lane = self.backend.lane
        assert lane is not None
        lane.in_flight += 1
        self.backend.places.taken += 1
        lane.exchange_place()
        self.assertEqual((self.backend.places.taken, self.backend.sockets), (0, 1))
        self.assertFalse(self.backend.quiesce(1))
        self.network.pass_time(5)
        self.assertEqual(self.backend.activity(), [Use("demo/hello", 1, 1, 0.0, sockets=1)])
        self.backend.used_at -= 3600
        self.assertFalse(self.backend.is_forgettable)
        self.assertIn("1 WebSockets open", self.backend.explain()[0])
        self.backend.moved(2, "unix:/elsewhere")
        self.assertEqual(self.backend.old, [lane])
        lane.leave()
        self.assertEqual((self.backend.old, self.backend.sockets), ([], 0))
        self.assertTrue(self.backend.quiesce(2))

    def test_silentSockets(self) -> None:
        """What is upgraded and silent is told of, and keeps the app from nothing."""
        lane = self.backend.lane
        assert lane is not None
        for _ in range(2):
            lane.in_flight += 1
            self.backend.places.taken += 1
            lane.exchange_place()
        lane.hush(True)
        (use,) = self.backend.activity()
        self.assertEqual((use.in_flight, use.sockets), (1, 2))
        self.assertFalse(self.backend.quiesce(1))
        lane.hush(True)
        self.assertIn("2 WebSockets open, 2 of them silent", self.backend.explain()[0])
        (use,) = self.backend.activity()
        self.assertEqual((use.in_flight, use.sockets), (0, 2))
        self.assertTrue(self.backend.quiesce(1))
        self.assertEqual(self.backend.old, [lane])
        lane.leave(True)
        lane.leave(True)
        self.assertEqual((self.backend.old, self.backend.sockets, lane.silent), ([], 0, 0))

    def test_standsStill(self) -> None:
        """A response that goes on keeps the app awake; one of which nothing comes does not."""
        self.relay.limits = evolve(self.relay.limits, response_idle=600.0, response_timeout=600.0)
        head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
        client = self.ask()
        served = self.played.accept()
        self.network.pass_time(100)
        self.assertEqual(self.told(), (1, True), "it has not begun: the app works")
        served.sendall(head + b"1\r\nx\r\n")
        self.network.turn()
        for _ in range(3):
            self.network.pass_time(40)
            self.assertEqual(self.told(), (1, True))
            served.sendall(b"1\r\nx\r\n")
            self.network.turn()
        self.network.pass_time(62)
        self.assertEqual(self.told(), (0, False))
        self.assertTrue(self.backend.quiesce(1))
        self.assertTrue(client.ended)
        self.assertEqual(self.backend.old, [])
        self.assertNotIn(b"\r\n0\r\n", client.value(), "it does not look whole")

    def told(self) -> tuple[int, bool]:
        """Of the last report: requests, and whether it is used just now."""
        use = self.backend.activity()[-1]
        return use.in_flight, not use.age

    def test_programIsCutOff(self) -> None:
        """A monitor whose app dies under it does not have it started again."""
        client = self.ask(b"GET / HTTP/1.1\r\nHost: a.test\r\nUser-Agent: UptimeRobot/2.0\r\n\r\n")
        self.played.accept().close()
        self.played.accepted.clear()
        self.played.close()
        self.network.turn()
        self.assertEqual(self.reason(client), (503, b"not_woken"))
        self.assertEqual((self.keeper.asked, len(self.backend.places)), ([], 0))

    def test_programs(self) -> None:
        """A monitor is served, and the app is as idle as without it."""
        monitor = b"GET / HTTP/1.1\r\nHost: a.test\r\nUser-Agent: UptimeRobot/2.0\r\n\r\n"
        self.ask()
        self.played.accept()
        self.answer()
        self.network.pass_time(5)
        client = self.ask(monitor)
        self.assertEqual(self.told(), (0, False))
        self.assertFalse(self.backend.quiesce(1), "it is not cut off")
        for _ in range(2):
            self.ask(monitor)
        self.assertEqual((len(self.backend.places), self.told()), (1, (0, False)))
        self.network.pass_time(5)
        self.played.accept()
        self.answer()
        self.assertEqual(self.reason(client)[0], 200)
        self.assertGreaterEqual(self.backend.activity()[-1].age, 9.0)
        self.ask()
        self.assertEqual(self.told(), (1, True))

    def test_explain(self) -> None:
        """What would happen, in words."""
        self.assertIn("0 of 2 places", self.backend.explain()[0])
        self.backend.quiesce(1)
        self.assertTrue(self.backend.explain()[0].endswith("would wake it"))
        self.ask()
        self.keeper.waiting.pop().callback(Answer(0, "", "crash_loop", 40.0))
        self.assertTrue(self.backend.explain()[0].endswith("before: crash_loop, for 40 s more"))

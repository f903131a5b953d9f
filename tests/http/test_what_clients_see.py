"""What a client is told of an app that starts, fails, is full or is not to be had, row by row."""

from __future__ import annotations

from collections.abc import Callable

from attrs import evolve, frozen
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import CAUSES
from hostedge.filters.rate import Rated
from hostedge.http.exchange import Exchange
from hostedge.http.relay import Relay
from hostedge.model.site import Rate
from tests.http.parts import ClientEnd, split_answers
from tests.http.test_app_backend import OK, Answer, AppCase
from tests.routes.kinds import Counting

FIELDS = (
    (b"plain", b"", b"text/plain; charset=utf-8"),
    (b"program", b"Accept: application/json\r\n", b"application/problem+json"),
    (
        b"browser",
        b"Accept: text/html,*/*;q=0.8\r\nSec-Fetch-Mode: navigate\r\n",
        b"text/html; charset=utf-8",
    ),
)
DESTINATION = "destination_unavailable"


@frozen
class Row:
    """What happens, and what is seen of it."""

    happens: Callable[[RowTests], None]
    status: int
    reason: str
    error: str
    # least and most seconds; None: it is not said
    retry: tuple[int, int] | None


def refused(cause: str, retry: float = 0.0) -> Callable[[RowTests], None]:
    """The keeper's answer."""
    return lambda case: case.keeper.waiting.pop().callback(Answer(0, "", cause, retry))


def waits(seconds: float) -> Callable[[RowTests], None]:
    return lambda case: case.network.pass_time(seconds)


def learned(case: RowTests) -> None:
    case.backend.expect(40.0)
    case.network.pass_time(31)


def is_lost(case: RowTests) -> None:
    case.backend.keeper_lost()
    case.network.pass_time(31)


def answers(text: bytes, ends: bool = True) -> Callable[[RowTests], None]:
    """The app's doing, once it runs."""

    def happens(case: RowTests) -> None:
        case.wake()
        # what is safe is tried once more
        for _ in range(2):
            if not case.played.nobody_waits:
                served = case.played.accept()
                served.sendall(text)
                if ends:
                    served.close()
                case.network.turn()

    return happens


def says_nothing(case: RowTests) -> None:
    case.wake()
    case.network.pass_time(62)


ROWS = {
    "too slow": Row(waits(31), 503, "start_slow", DESTINATION, (5, 5)),
    "too slow, and how slow is known": Row(learned, 503, "start_slow", DESTINATION, (8, 10)),
    "never ready": Row(refused("start_timeout", 2.0), 504, "start_timeout", DESTINATION, (2, 2)),
    "crashes": Row(refused("crash_loop", 47.2), 503, "crash_loop", DESTINATION, (48, 48)),
    "off": Row(refused("disabled"), 503, "disabled", DESTINATION, (5, 5)),
    "suspended": Row(refused("suspended"), 503, "suspended", DESTINATION, (5, 5)),
    "squatted": Row(refused("squatted"), 503, "squatted", DESTINATION, (5, 5)),
    "deleted": Row(refused("not_configured"), 503, "not_configured", DESTINATION, (5, 5)),
    "no keeper": Row(is_lost, 503, "keeper_down", DESTINATION, (5, 10)),
    "dies": Row(answers(b""), 502, "upstream_died", "connection_terminated", None),
    "is no HTTP": Row(answers(b"hi\r\n"), 502, "bad_response", "http_protocol_error", None),
    "is silent": Row(says_nothing, 504, "response_timeout", "connection_read_timeout", None),
}


class RowTests(AppCase):
    """Before a byte of an answer has come."""

    def test_rows(self) -> None:
        """Status, reason, time to come again, and a form for everybody; nothing is ever kept."""
        for name, row in ROWS.items():
            for who, fields, form in FIELDS:
                for method in (b"GET", b"HEAD", b"POST"):
                    with self.subTest(row=name, who=who, method=method):
                        self.setUp()
                        client = self.ask_as(method, fields)
                        self.assertEqual(client.value(), b"", "it is held")
                        row.happens(self)
                        self.check(client, row, method, form)
                        self.doCleanups()

    def ask_as(self, method: bytes, fields: bytes) -> ClientEnd:
        body = b"Content-Length: 1\r\n\r\nx" if method == b"POST" else b"\r\n"
        return self.ask(b"%b / HTTP/1.1\r\nHost: a.test\r\n%b%b" % (method, fields, body))

    def check(self, client: ClientEnd, row: Row, method: bytes, form: bytes) -> None:
        head, _, body = client.value().partition(b"\r\n\r\n")
        said = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        self.assertTrue(head.startswith(b"HTTP/1.1 %d " % row.status), (row, method))
        self.assertEqual(said[b"x-hostedge-reason"], row.reason.encode())
        self.assertEqual(said[b"cache-control"], b"no-store")
        self.assertEqual(said[b"proxy-status"], b"hostedge; error=" + row.error.encode())
        self.assertEqual(said[b"content-type"], form)
        self.assertIn(b"x-request-id", said)
        if row.retry is None:
            self.assertNotIn(b"retry-after", said)
        else:
            least, most = row.retry
            self.assertIn(int(said[b"retry-after"]), range(least, most + 1))
        self.assertEqual(CAUSES[row.reason].reason.encode() in body, method != b"HEAD")
        self.assertNotIn(b"refresh", said, "without a waiting page nobody is sent round")
        self.assertEqual(self.backend.places.taken, 0)
        self.assertEqual(self.means.waiting.taken, 0)


class HeldTests(AppCase):
    """What is held is answered by the app in the end, whatever it asked."""

    def test_held(self) -> None:
        """Nothing of a request is sent before the app is there; then all of it, once."""
        for number, method in enumerate((b"GET", b"POST", b"OPTIONS"), 1):
            body = b"Content-Length: 3\r\n\r\nabc" if method == b"POST" else b"\r\n"
            client = self.ask(b"%b /x HTTP/1.1\r\nHost: a.test\r\n%b" % (method, body))
            self.network.pass_time(25)
            self.assertEqual(client.value(), b"")
            self.wake(number)
            self.played.accept()
            self.answer()
            self.assertEqual(split_answers(client.value())[0][0], 200)
            self.assertTrue(self.backend.quiesce(number))

    def test_brokenOff(self) -> None:
        """An answer that has begun is aborted, and never looks whole."""
        client = self.ask()
        self.wake()
        self.played.accept().sendall(OK[:-1])
        self.played.accepted[0].close()
        self.network.turn()
        self.assertTrue(client.aborted)
        self.assertTrue(client.value().endswith(b"\r\n\r\no"))

    def test_refusedByARule(self) -> None:
        """What a rule refuses wakes nobody."""
        rate = Rate(1)
        rated = Rated(self.relay, rate, Counting("a.test", rate))
        self.scene.entrance.router = lambda exchange: rated
        self.ask()
        self.wake()
        self.played.accept()
        self.answer()
        self.assertTrue(self.backend.quiesce(1))
        asked = len(self.keeper.asked)
        self.assertEqual(self.reason(self.ask()), (429, b"rate_limited"))
        self.assertEqual(len(self.keeper.asked), asked)

    def test_ownPage(self) -> None:
        """A site's own page stands for each of them, with the same fields."""
        self.scene.entrance.router = self.found
        self.scene.entrance.page = lambda host, status: f"<p>ours {status} {{{{reason}}}}"
        self.backend.update(evolve(self.backend.app, waiting_page=True))
        for cause in ("crash_loop", "disabled", "start_timeout"):
            client = self.ask_html()
            self.keeper.waiting.pop().callback(Answer(0, "", cause, 30.0))
            self.assertEqual(self.reason(client)[1], cause.encode())
            self.assertIn(b"<p>ours ", client.value())
        client = self.ask_html()
        self.network.pass_time(4)
        self.assertEqual(self.reason(client), (503, b"starting"))
        self.assertIn(b"<p>ours 503 This site is waking up.", client.value())
        self.assertIn(b"\r\nRefresh: 2\r\n", client.value())

    def found(self, exchange: Exchange) -> Relay:
        """The leaf of a host that was found."""
        exchange.revision = 1
        return self.relay

    def ask_html(self) -> ClientEnd:
        self.backend._refused_until = 0.0
        return self.ask(b"GET / HTTP/1.1\r\nHost: a.test\r\nAccept: text/html\r\n\r\n")


class AllCausesTests(SynchronousTestCase):
    def test_everyRow(self) -> None:
        """No cause that stands between a client and an app is without a test."""
        rows = {row.reason for row in ROWS.values()}
        elsewhere = {"starting", "not_woken", "queue_full", "queue_timeout", "no_server"}
        elsewhere |= {"websockets_full", "descriptors", "spool_full", "connect_timeout"}
        elsewhere |= {"upstream_refused", "request_timeout", "upgrade_failed"}
        behind = {name for name, cause in CAUSES.items() if cause.status in (502, 503, 504)}
        self.assertEqual(behind - rows - elsewhere, set())

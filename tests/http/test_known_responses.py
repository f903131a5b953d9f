"""Responses that have come before: what is found out about them is what the parser finds."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from hostedge.http import upstream
from hostedge.http.exchange import Fields
from hostedge.http.known_responses import MOST, KnownResponses
from hostedge.http.upstream import UpstreamConnection
from hostedge.settings import Limits
from tests.http.network import Network, make_means
from tests.http.parts import with_limits
from tests.http.test_upstream import Asker

DATE = b"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT"
PLAIN = (
    b"HTTP/1.1 200 OK\r\nServer: a" + DATE + b"\r\nX-A:  b \tc\r\n"
    b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 3\r\n\r\nabc"
)
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 1"
# what means something somewhere in a head, and the ends of what may stand in it
BYTES = b'\x00\t\n\r\x1f !",-:;\x7f\x80\xff0139Aaz'


class Hearing(Asker):
    """Hears the fields as well."""

    def response_begins(
        self, status: int, fields: Fields, length: int | None, data: bytes, whole: bool
    ) -> None:
        self.heard.append((status, [*fields], length, data, whole))


class Transport:
    """Where nothing goes to."""

    unsent = 0

    def __init__(self) -> None:
        self.ended = ""

    def write(self, data: bytes) -> None:
        pass

    def loseConnection(self) -> None:
        self.ended = "lost"

    def abortConnection(self) -> None:
        self.ended = "aborted"


class KnownResponsesTests(SynchronousTestCase):
    """One address after the other, and what is known of all."""

    def setUp(self) -> None:
        self.means = make_means(Network())
        self.known = KnownResponses()
        self.patch(upstream, "SAMPLED", 1)
        self.patch(upstream, "_known", self.known)

    def read(self, *pieces: bytes, limits: Limits | None = None, to_head: bool = False) -> object:
        """All that comes of a response: what is heard, and of the connection."""
        behind = self.means.upstream("unix:/nowhere")
        connection = UpstreamConnection(behind, Hearing(), limits or Limits())
        connection.transport = transport = Transport()  # type: ignore[assignment]
        hearing = Hearing()
        connection.send(b"", hearing, to_head, True, limits or Limits())
        for piece in pieces:
            connection.dataReceived(piece)
        kept = behind.take(False) is connection
        return hearing.heard, kept, transport.ended, behind.idle_life

    def read_anew(self, data: bytes) -> object:
        """The same, where nothing is known."""
        self.patch(upstream, "_known", KnownResponses())
        found = self.read(data)
        self.patch(upstream, "_known", self.known)
        return found

    def teach(self, *responses: bytes) -> None:
        for data in responses:
            for _ in range(2):
                self.read(data)

    def test_known(self) -> None:
        """What has come twice need not be parsed, whatever its date."""
        self.teach(PLAIN)
        later = PLAIN.replace(b"37 GMT", b"38 GMT")
        self.assertIsNotNone(self.known.recall(later, 1000))
        wanted = [(200, [(b"X-A", b"b \tc")], 3, b"abc", True)]
        for data in (PLAIN, later):
            found = self.read(data)
            self.assertEqual(found, self.read_anew(data))
            self.assertEqual(found[0], wanted)  # type: ignore[index]

    def test_sameAsTheParser(self) -> None:
        """With a byte more, one less or another one anywhere: the parser would say the same."""
        for nearly in _nearly(PLAIN):
            wanted = self.read_anew(nearly)
            # first where the whole is known, then where it is known itself
            for data in (nearly, nearly, nearly):
                self.assertEqual(self.read(data), wanted, data)
            self.teach(PLAIN)
            self.assertIsNotNone(self.known.recall(PLAIN, 1000))

    def test_onlyDates(self) -> None:
        """What only looks like a date is not passed over."""
        plain = HEAD + DATE + b"\r\nX: y\r\n\r\na"
        # if the rest of the line were the end of the one before, the length would be 10
        longer = HEAD + DATE + b"0\r\n\r\n" + b"a" * 10
        hidden = HEAD + b"\r\nDate: \r\nTransfer-Encoding: chunked1" + b"\r\nX: y\r\n\r\na"
        self.assertEqual(len(hidden), len(plain))
        self.teach(plain, HEAD + DATE + b"\r\n\r\n" + b"a", HEAD + b"0\r\n\r\n" + b"a" * 10)
        for data in (longer, hidden):
            self.assertIsNone(self.known.recall(data, 1000))
            self.assertEqual(self.read(data), self.read_anew(data))

    def test_notKept(self) -> None:
        """What leaves something open, and what one client has got for himself."""
        for data in (
            b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
            b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na",
            b"HTTP/1.1 103 Early Hints\r\n\r\n" + HEAD + b"\r\n\r\na",
            HEAD + b"\r\n\r\nab",
            HEAD + b"\r\n\r\n",
            HEAD + b"\n\na",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1\r\n\r\n",
            HEAD + b"\r\nSet-Cookie: a=1\r\n\r\na",
            HEAD + b"\r\nX: %b\r\n\r\na" % (b"y" * 1024),
        ):
            self.teach(data, data)
            self.assertEqual([*filter(None, self.known.values())], [], data)
        for pieces in ((HEAD, b"\r\n\r\na"), (HEAD + b"\r\n\r\n", b"a")):
            for _ in range(3):
                self.read(*pieces)
            self.assertEqual([*filter(None, self.known.values())], [])

    def test_withoutBody(self) -> None:
        """What is known of GET is nothing to HEAD, and the other way round."""
        empty = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        self.teach(empty, PLAIN)
        found = self.read(empty, to_head=True)
        self.assertEqual(found[0], [(200, [], 0, b"", True)])  # type: ignore[index]
        self.assertEqual(self.read(PLAIN, to_head=True)[2], "lost")  # type: ignore[index]

    def test_limits(self) -> None:
        """Each app has limits of its own."""
        self.teach(PLAIN)
        strict = with_limits(response_head_size=64)
        heard, kept, _, _ = self.read(PLAIN, limits=strict)  # type: ignore[misc]
        self.assertEqual((heard, kept), ([("bad_response", True)], False))

    def test_bounded(self) -> None:
        """However many sizes come, few are kept."""
        for number in range(MOST + 5):
            self.teach(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % number + bytes(number))
            self.assertLessEqual(len(self.known), MOST)
        self.assertEqual(len(self.known), 5)


def _nearly(data: bytes) -> Iterator[bytes]:
    for at in range(len(data)):
        yield data[:at] + data[at + 1 :]
        for code in BYTES:
            byte = bytes((code,))
            yield data[:at] + byte + data[at:]
            yield data[:at] + byte + data[at + 1 :]

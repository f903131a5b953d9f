"""Responses that the parser need not see: it would say the same."""

from __future__ import annotations

from collections.abc import Iterator

from httptools import HttpParserError, HttpResponseParser
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import BadRequest
from hostedge.wire import plain_response
from hostedge.wire.plain_response import Whole, read_whole
from hostedge.wire.response_head import MAX_FIELDS, Fields, examine

PLAIN = (
    b"HTTP/1.1 200 OK\r\nServer: a\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-A:  b \tc\r\n"
    b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 3\r\n\r\nabc"
)
# what means something somewhere in a head, and the ends of what may stand in it
BYTES = b'\x00\t\n\x0b\r\x1f !"(),:;=@[]\x7f\x80\xff013479AHckz-'


class ReadWholeTests(SynchronousTestCase):
    """What is told of whole responses."""

    def test_plain(self) -> None:
        """Status, what travels back, the body, and how long the connection is kept."""
        self.assertEqual(read_whole(PLAIN, 1000), (200, [(b"X-A", b"b \tc")], b"abc", b"timeout=5"))
        empty = b"HTTP/1.1 404 \r\ncontent-length: 0\r\n\r\n"
        self.assertEqual(read_whole(empty, 1000), (404, [], b"", b""))

    def test_dates(self) -> None:
        """Heads that differ only in their dates say the same; what only looks like one does not."""
        date = b"\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT"
        head = b"HTTP/1.1 200 OK\r\nContent-Length: 1"
        for data in (
            head + date + b"\r\nX: y\r\n\r\na",
            head + date.replace(b"37", b"38") + b"\r\nX: y\r\n\r\na",
            head + b"\r\nX: y" + date + b"\r\n\r\na",
            head + b"\r\nX: y" + date.lower() + b"\r\n\r\na",
            head + b"\r\nX: y\r\nDate: now\r\n\r\na",
        ):
            self.assertEqual(read_whole(data, 1000), (200, [(b"X", b"y")], b"a", b""), data)
        # put together without it, the length would be 10
        longer = head + date + b"0\r\n\r\n"
        self.assertEqual(read_whole(longer + b"a", 1000), (200, [], b"a", b""))
        self.assertIsNone(read_whole(longer + b"a" * 10, 1000))
        hidden = head + b"\r\nDate: \r\nTransfer-Encoding: chunked1\r\n\r\na"
        self.assertIsNone(read_whole(hidden, 1000))

    def test_unclear(self) -> None:
        """What says more than that, or less, is for the parser."""
        for before, after in (
            (b"HTTP/1.1", b"HTTP/1.0"),
            (b"200 OK", b"204 No Content"),
            (b"200 OK", b"304 Not Modified"),
            (b"200 OK", b"103 Early Hints"),
            (b"200 OK", b"600 More"),
            (b"200 OK", b"200"),
            (b"keep-alive", b"close"),
            (b"keep-alive", b"keep-alive, x-a"),
            (b"Connection", b"Proxy-Connection"),
            (b"Server: a", b"Transfer-Encoding: chunked"),
            (b"Server: a", b"Upgrade: h2c"),
            (b"Server: a", b"Server:"),
            (b"Server: a", b"Server: a "),
            (b"Server: a", b"Server : a"),
            (b"Server: a", b" Server: a"),
            (b"Server: a", b"Content-Length: 3"),
            (b"Server: a", b"x: 1\r\n" * MAX_FIELDS + b"x: 1"),
            (b"\r\nContent-Length: 3", b""),
            (b"Length: 3", b"Length: 2"),
            (b"Length: 3", b"Length: 4"),
            (b"Length: 3", b"Length: +3"),
            (b"Length: 3", b"Length: 3, 3"),
            (b"\r\n\r\nabc", b"\r\n"),
        ):
            self.assertIsNone(read_whole(PLAIN.replace(before, after), 10_000), after)

    def test_size(self) -> None:
        """The head is no larger than its limit; the body is not counted."""
        size = PLAIN.index(b"\r\n\r\n") + 4
        for _ in range(3):
            self.assertIsNotNone(read_whole(PLAIN, size))
            self.assertIsNone(read_whole(PLAIN, size - 1))

    def test_bounded(self) -> None:
        """However many heads, lines and sizes come, few are remembered."""
        for number in range(5000):
            body = bytes(number)
            head = b"HTTP/1.1 200 OK\r\nX: %d\r\nContent-Length: %d\r\n\r\n" % (number, number)
            for _ in range(3):
                fields = [(b"X", b"%d" % number)]
                self.assertEqual(read_whole(head + body, 1000), (200, fields, body, b""))
        self.assertLessEqual(len(plain_response._known), 256)
        self.assertLessEqual(len(plain_response._lines), 2048)

    def test_ofOneClient(self) -> None:
        """What sets a cookie is not remembered as a whole."""
        plain_response._known.clear()
        data = PLAIN.replace(b"X-A", b"Set-Cookie")
        for _ in range(3):
            self.assertEqual(read_whole(data, 1000), _by_parser(data))
        self.assertEqual(plain_response._known, {})

    def test_statuses(self) -> None:
        """Each of them is the parser's as well, with the same body."""
        for status in range(200, 600):
            data = PLAIN.replace(b"200 OK", b"%d x" % status)
            found = read_whole(data, 1000)
            if status in (204, 304):
                self.assertIsNone(found)
            else:
                self.assertEqual(found, _by_parser(data))

    def test_sameAsTheParser(self) -> None:
        """With a byte more, one less, or another one anywhere: what is told, the parser tells."""
        told = 0
        # of those that have one size, the last that came is remembered: each once after the whole,
        # once after itself
        for nearly in _nearly(PLAIN):
            for data in (nearly, nearly, PLAIN, PLAIN):
                found = read_whole(data, 10_000)
                if found is not None:
                    told += 1
                    self.assertEqual(found, _by_parser(data), data)
        # in most places of a head any other letter is as good
        self.assertGreater(told, 10_000)


def _nearly(data: bytes) -> Iterator[bytes]:
    for at in range(len(data)):
        yield data[:at] + data[at + 1 :]
        for code in BYTES:
            byte = bytes((code,))
            yield data[:at] + byte + data[at:]
            yield data[:at] + byte + data[at + 1 :]


class _Heard:
    """What the parser says of one response."""

    def __init__(self) -> None:
        self.fields: Fields = []
        self.body = b""
        self.ends = 0
        self.parser = HttpResponseParser(self)
        self.lives_on = False

    def on_headers_complete(self) -> None:
        self.lives_on = self.parser.should_keep_alive()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.ends += 1


def _by_parser(data: bytes) -> Whole | str:
    heard = _Heard()
    parser = heard.parser
    try:
        parser.feed_data(data)
        kept, length, framed, keep_alive = examine(heard.fields, parser.get_http_version())
    except (HttpParserError, BadRequest) as error:
        return repr(error)
    if heard.ends != 1 or not framed or length != len(heard.body):
        return "another end"
    if not heard.lives_on:
        return "the connection ends"
    return parser.get_status_code(), kept, heard.body, keep_alive

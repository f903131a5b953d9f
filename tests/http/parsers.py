"""
What others read where we wrote: h11, llhttp and gunicorn.

In:  tests, with a whole request as it goes to an upstream.
Out: nothing, or what differs.
"""

from __future__ import annotations

from collections.abc import Sequence

import h11
import httptools
from gunicorn.config import Config
from gunicorn.http.parser import RequestParser

# method, target, fields in the order of their names in lower case, body
Facts = tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]


def check_parsers(raw: bytes, wanted: Facts) -> None:
    """h11, llhttp and gunicorn read this request, and nothing beside it."""
    for parse in (by_h11, by_llhttp, by_gunicorn):
        found = parse(raw)
        assert found == wanted, (parse.__name__, found, wanted)


def in_order(fields: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return sorted((name.lower(), value) for name, value in fields)


def by_h11(raw: bytes) -> Facts:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(raw)
    head, body = connection.next_event(), b""
    assert isinstance(head, h11.Request)
    while True:
        event = connection.next_event()
        if isinstance(event, h11.EndOfMessage):
            break
        assert isinstance(event, h11.Data), event
        body += event.data
    assert connection.trailing_data == (b"", False)
    return head.method, head.target, in_order(list(head.headers)), body


class Heard:
    """What llhttp says."""

    def __init__(self) -> None:
        self.target = self.body = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.ends = 0

    def on_url(self, url: bytes) -> None:
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.ends += 1


def by_llhttp(raw: bytes) -> Facts:
    heard = Heard()
    parser = httptools.HttpRequestParser(heard)
    parser.feed_data(raw)
    assert heard.ends == 1
    # it leaves the blanks after a value to whoever asks
    fields = [(name, value.strip(b" \t")) for name, value in heard.fields]
    return parser.get_method(), heard.target, in_order(fields), heard.body


def by_gunicorn(raw: bytes) -> Facts:
    config = Config()
    # its limits are others than ours
    for limit in ("limit_request_line", "limit_request_field_size"):
        config.set(limit, 0)
    config.set("limit_request_fields", 1000)
    parser = RequestParser(config, iter([raw]), ("127.0.0.1", 1))
    request = next(parser)
    body = request.body.read()
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in request.headers]
    return request.method.encode(), request.uri.encode(), in_order(fields), body

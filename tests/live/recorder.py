"""
An upstream that writes down what arrives, byte for byte, and answers `ok`.

In:  tests that look at what a proxy sends.
Out: `Arrived`, in the order in which requests were whole; every one is answered.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading

from attrs import frozen

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked\r\n", re.IGNORECASE)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


@frozen
class Arrived:
    """One request."""

    raw: bytes
    method: bytes
    target: bytes
    # as they were spelled, in order
    fields: tuple[tuple[bytes, bytes], ...]
    # `length`, `chunked`, or neither
    framing: str
    body: bytes


class Recorder:
    """Listens on a port of 127.0.0.1 until it is closed."""

    def __init__(self) -> None:
        self.arrived: list[Arrived] = []
        # what made no sense; a test that looks at this list is about something else
        self.faults: list[bytes] = []
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for each in list(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def take(self) -> list[Arrived]:
        """Give what has arrived since the last time."""
        arrived, self.arrived = self.arrived, []
        return arrived

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(accepted)
            threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, connected: socket.socket) -> None:
        data = b""
        with connected, contextlib.suppress(OSError):
            while more := connected.recv(65536):
                data += more
                while (end := whole(data)) > 0:
                    arrived = read(data[:end])
                    self.arrived.append(arrived)
                    data = data[end:]
                    connected.sendall(ANSWER[:-2] if arrived.method == b"HEAD" else ANSWER)
                if end < 0:
                    self.faults.append(data)
                    break
        self._open.discard(connected)


def whole(data: bytes) -> int:
    """Give the length of the request at the beginning; 0: more is to come; -1: no request."""
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return 0
    head = data[: end + 2]
    at = end + 4
    if _CHUNKED.search(head):
        while True:
            line = data.find(b"\r\n", at)
            if line < 0:
                return 0
            try:
                size = int(data[at:line], 16)
            except ValueError:
                return -1
            at = line + 2 + size + 2
            if len(data) < at:
                return 0
            if data[at - 2 : at] != b"\r\n":
                # trailers are not passed on by anybody here
                return -1
            if not size:
                return at
    length = _LENGTH.search(head)
    at += int(length[1]) if length else 0
    return at if len(data) >= at else 0


def read(raw: bytes) -> Arrived:
    """Take a whole request apart, without judging it."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    method, target, _ = first.split(b" ")
    fields = tuple(
        (name, value.strip(b" \t")) for name, _, value in (x.partition(b":") for x in lines)
    )
    names = {name.lower() for name, _ in fields}
    if b"transfer-encoding" not in names:
        framing = "length" if b"content-length" in names else ""
        return Arrived(raw, method, target, fields, framing, rest)
    body = b""
    while True:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line, 16)
        if not size:
            return Arrived(raw, method, target, fields, "chunked", body)
        body += rest[:size]
        rest = rest[size + 2 :]

"""
A load generator of WebSocket messages that expects each of them back.

It opens its connections, has a few messages echoed on each, prints `ready`, waits for a line on
standard input, and then sends: without a rate, the next message on a connection as soon as the
last one is back, for so many seconds; with a rate, as `generator` does. Every echo is compared
with what was sent. It prints one line of JSON.

In:  `load.echoed` starts it as a program, on the load generator's core.
Out: the line of JSON: messages as `requests`, seconds, quantiles of the time to the whole echo.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import select
import socket
import sys
import time
from collections.abc import Sequence

from benchmarks import frames
from benchmarks.echo import BUFFER
from benchmarks.generator import Connection, drive, result_line, schedule

KEY = b"MDEyMzQ1Njc4OWFiY2RlZg=="
WARM_UP = 0.3


class Echoed(Connection):
    """One open WebSocket with at most one message under way."""

    def __init__(self, connected: socket.socket, payload: bytes, mask: bytes) -> None:
        super().__init__(connected, frames.frame(frames.BINARY, payload, mask))
        self._payload = payload
        self._expected = frames.frame(frames.BINARY, payload)

    def receive(self) -> bool:
        """Take what has come; say whether the echo is whole."""
        data = self.socket.recv(65536)
        if data == self._expected and not self._data:
            return True
        if not data:
            raise ValueError("the connection was closed")
        self._data += data
        message = frames.read_message(self._data)
        if message is None:
            return False
        if message.size != len(self._data) or message.payload != self._payload:
            raise ValueError(f"the echo (opcode {message.opcode}) is not what was sent")
        self._data = b""
        return True

    def close(self) -> None:
        """Say that this is the end, and wait for the same."""
        self.socket.settimeout(2)
        self.socket.sendall(frames.frame(frames.CLOSE, b"\x03\xe8", b"bye!"))
        while self.socket.recv(65536):
            pass
        self.socket.close()


def upgrade(port: int, host: str, path: str) -> socket.socket:
    """
    Connect and open a WebSocket without extensions.

    Raises:
        ValueError: if it is not opened; its text has the answer's first line.
    """
    connected = socket.socket()
    connected.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.settimeout(10)
    connected.connect(("127.0.0.1", port))
    connected.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY.decode()}\r\n"
        "User-Agent: bench\r\n\r\n".encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        data = connected.recv(65536)
        if not data:
            raise ValueError("the connection was closed before the handshake's answer")
        answer += data
    check_handshake(answer)
    return connected


def check_handshake(answer: bytes) -> None:
    """
    See that an answer opens a WebSocket for our key, and that nothing else came with it.

    Raises:
        ValueError: naming what is wrong.
    """
    head, _, rest = answer.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    if not status.startswith(b"HTTP/1.1 101 "):
        raise ValueError(f"answered {status.decode('latin-1')}")
    fields = {name.lower(): value.strip() for name, _, value in (x.partition(b":") for x in lines)}
    if fields.get(b"sec-websocket-accept") != frames.accept(KEY):
        raise ValueError("the handshake's answer does not fit its key")
    if rest or b"sec-websocket-extensions" in fields:
        raise ValueError("something came with the handshake's answer")


def flood(connections: Sequence[Connection], seconds: float) -> tuple[float, list[float]]:
    """Keep one message under way on each; give the seconds and each echo's time."""
    poller = select.epoll()
    by_number = {each.socket.fileno(): each for each in connections}
    for number in by_number:
        poller.register(number, select.EPOLLIN)
    took: list[float] = []
    clock = time.monotonic
    start = clock()
    end = start + seconds
    for each in connections:
        each.due = start
        each.send()
    waiting = len(connections)
    while waiting:
        ready = poller.poll(10)
        if not ready:
            raise ValueError("no echo for 10 s")
        # one look at the clock for all that have come at once: it is not free
        now = clock()
        for number, _ in ready:
            each = by_number[number]
            if each.receive():
                took.append(now - each.due)
                if now < end:
                    each.due = now
                    each.send()
                else:
                    waiting -= 1
    return clock() - start, took


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--path", required=True)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--rate", type=float, help="messages a second; default: flat out")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, required=True)
    options = parser.parse_args(arguments)
    draw = random.Random(options.size)
    payload, mask = draw.randbytes(options.size), draw.randbytes(4)
    due = [] if options.rate is None else schedule(options.rate, options.seconds)
    connections: list[Echoed] = []
    try:
        for _ in range(options.connections):
            connected = upgrade(options.port, options.host, options.path)
            connected.setblocking(False)
            connections.append(Echoed(connected, payload, mask))
        gc.disable()
        flood(connections, WARM_UP)
        print("ready", flush=True)
        sys.stdin.readline()
        if due:
            seconds, took = drive(connections, due)
        else:
            seconds, took = flood(connections, options.seconds)
    except (OSError, ValueError) as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    print(result_line(seconds, took), flush=True)
    # stay until the reader has taken its second look at the proxy: closing costs it CPU
    sys.stdin.readline()
    for each in connections:
        each.close()


if __name__ == "__main__":
    main(sys.argv[1:])

"""
An open-loop load generator: requests leave when they are due, whatever the answers do.

It opens its connections and sends one request on each, prints `ready`, waits for a line on
standard input, then sends `rate` requests a second, spread at random but the same for every
peer, and prints one line of JSON. A request that finds all connections busy leaves late; its
time is counted from when it was due.

In:  `load.paced` starts it as a program, on the load generator's core.
Out: the line of JSON: requests, seconds, and quantiles of the time to the whole answer.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import re
import select
import socket
import ssl
import sys
import time
from collections import deque
from collections.abc import Sequence

# more than this it does not send evenly: it is Python
MOST_PACED = 3000.0

LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)


def schedule(rate: float, seconds: float, seed: int = 1) -> list[float]:
    """Give when each request is due: random arrivals of a number that is exact."""
    draw = random.Random(seed)
    return sorted(draw.uniform(0, seconds) for _ in range(round(rate * seconds)))


def missing(data: bytes) -> int:
    """
    Say how many bytes an answer that begins like this still lacks; -1 if that is unknown yet.

    Raises:
        ValueError: if it is not the answer that this generator wants, with a Content-Length.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return -1
    if not data.startswith(b"HTTP/1.1 200 "):
        status = data[: data.index(b"\r\n")].decode("latin-1")
        raise ValueError(f"answered {status}")
    length = LENGTH.search(data, 0, end + 2)
    if length is None:
        raise ValueError("an answer has no Content-Length")
    return end + 4 + int(length.group(1)) - len(data)


def quantile(values: Sequence[float], share: float) -> float:
    """Give the value that this share of sorted values does not exceed."""
    return values[min(len(values) - 1, int(share * len(values)))]


def result_line(seconds: float, took: Sequence[float]) -> str:
    """Give the line of JSON for answers that took so long."""
    ordered = sorted(took)
    return json.dumps(
        {
            "requests": len(ordered),
            "seconds": seconds,
            "p50": quantile(ordered, 0.5),
            "p99": quantile(ordered, 0.99),
        }
    )


class Connection:
    """One kept-alive connection with at most one request under way."""

    def __init__(self, connected: socket.socket, request: bytes) -> None:
        self.socket = connected
        self.due = 0.0
        self._request = request
        self._data = b""

    def send(self) -> None:
        # a request is far smaller than an empty socket buffer: nothing is left over
        self.socket.sendall(self._request)

    def receive(self) -> bool:
        """Take what has come; say whether the answer is whole."""
        while True:
            try:
                data = self.socket.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError):
                return False
            if not data:
                raise ValueError("the connection was closed")
            self._data += data
            lacking = missing(self._data)
            if lacking == 0:
                self._data = b""
                return True
            if lacking < -1:
                raise ValueError("an answer is longer than it says")


def connect(port: int, host: str, tls: bool, request: bytes) -> Connection:
    """Connect and have one request answered."""
    connected = socket.create_connection(("127.0.0.1", port), timeout=10)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        # the certificate was made for this run
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["http/1.1"])
        connected = context.wrap_socket(connected, server_hostname=host)
    connection = Connection(connected, request)
    connection.send()
    while not connection.receive():
        pass
    connected.setblocking(False)
    return connection


def drive(connections: Sequence[Connection], due: Sequence[float]) -> tuple[float, list[float]]:
    """Send each request when it is due; give the seconds it took and each answer's time."""
    poller = select.epoll()
    by_number = {each.socket.fileno(): each for each in connections}
    for number in by_number:
        poller.register(number, select.EPOLLIN)
    idle = deque(connections)
    took: list[float] = []
    sent = 0
    clock = time.monotonic
    start = clock()
    while len(took) < len(due):
        now = clock() - start
        while sent < len(due) and due[sent] <= now and idle:
            connection = idle.popleft()
            connection.due = due[sent]
            connection.send()
            sent += 1
        wait = 10.0
        if sent < len(due) and idle:
            wait = max(0.0, due[sent] - (clock() - start))
        # epoll counts whole milliseconds, select microseconds
        if not select.select([poller], [], [], wait)[0] and wait == 10.0:
            raise ValueError("no answer for 10 s")
        for number, _ in poller.poll(0):
            connection = by_number[number]
            if connection.receive():
                took.append(clock() - start - connection.due)
                idle.append(connection)
    return clock() - start, took


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--rate", type=float, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, required=True)
    options = parser.parse_args(arguments)
    request = f"GET / HTTP/1.1\r\nHost: {options.host}\r\nUser-Agent: bench\r\n\r\n".encode()
    due = schedule(options.rate, options.seconds)
    try:
        connections = [
            connect(options.port, options.host, options.tls, request)
            for _ in range(options.connections)
        ]
        gc.disable()
        print("ready", flush=True)
        sys.stdin.readline()
        seconds, took = drive(connections, due)
    except (OSError, ValueError) as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    print(result_line(seconds, took), flush=True)
    # stay until the reader has taken its second look at the proxy: closing costs it CPU
    sys.stdin.readline()


if __name__ == "__main__":
    main(sys.argv[1:])

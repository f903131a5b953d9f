"""
Large bodies, down or up: as fast as they pass, or at a fixed rate.

Flat out, each connection begins the next body when the last one has ended. Paced, pieces of
64 KiB are due evenly, one connection after the other; a client takes or gives a piece when it is
due, as one on a slower line does, and the peer has to wait for it.

In:  `load.bodies` starts it as a program, on the load generator's core.
Out: `ready`, and after a line on standard input one line of JSON: megabytes and seconds.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import sys
import time
from collections.abc import Sequence
from typing import Protocol

from benchmarks.generator import missing
from benchmarks.origin import LARGE_SIZE

PIECE = 64 * 1024
# what is read or written flat out at a time
GULP = 512 * 1024
WARM_UP = 0.3
MB = 1_000_000


class Client(Protocol):
    """One connection with bodies in one direction."""

    socket: socket.socket
    # what epoll is asked for
    events: int

    def move(self, most: int) -> int:
        """Take or give up to so many bytes of a body; give how many. May block, or raise."""


def connect(port: int) -> socket.socket:
    connected = socket.create_connection(("127.0.0.1", port), timeout=10)
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connected


class Download:
    """Asks for the large file again and again, and counts its bytes without looking at them."""

    events = select.EPOLLIN
    _room = bytearray(GULP)

    def __init__(self, port: int, host: str) -> None:
        self.socket = connect(port)
        self._request = f"GET /large HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        self._ask()

    def _ask(self) -> None:
        self.socket.sendall(self._request)
        self._answer = b""
        self._missing = -1

    def move(self, most: int) -> int:
        if self._missing < 0:
            return self._begin()
        most = min(most, self._missing, GULP)
        got = self.socket.recv_into(self._room, most, socket.MSG_TRUNC)
        if not got:
            raise ValueError("a download was cut")
        self._missing -= got
        if not self._missing:
            self._ask()
        return got

    def _begin(self) -> int:
        more = self.socket.recv(4096)
        if not more:
            raise ValueError("the connection was closed")
        self._answer += more
        self._missing = missing(self._answer)
        return 0 if self._missing < 0 else LARGE_SIZE - self._missing


class Upload:
    """Sends a large body again and again, and reads how much the sink took."""

    events = select.EPOLLOUT
    _bytes = memoryview(bytes(GULP))

    def __init__(self, port: int, host: str) -> None:
        self.socket = connect(port)
        self._head = (
            f"POST /upload HTTP/1.1\r\nHost: {host}\r\nContent-Length: {LARGE_SIZE}\r\n\r\n"
        ).encode()
        self._missing = 0

    def move(self, most: int) -> int:
        if not self._missing:
            self.socket.sendall(self._head)
            self._missing = LARGE_SIZE
        sent = self.socket.send(self._bytes[: min(most, self._missing)])
        self._missing -= sent
        if not self._missing:
            self._end()
        return sent

    def _end(self) -> None:
        answer = b""
        while missing(answer):
            more = self.socket.recv(4096)
            if not more:
                raise ValueError("an upload got no answer")
            answer += more
        if not answer.endswith(b"\r\n\r\n%d 00000000" % LARGE_SIZE):
            raise ValueError(f"not the whole upload came through: {answer[-40:]!r}")


DIRECTIONS: dict[str, type[Download] | type[Upload]] = {"download": Download, "upload": Upload}


def flood(clients: Sequence[Client], seconds: float) -> tuple[float, int]:
    """Move as much as passes; give the seconds and the bytes."""
    poller = select.epoll()
    by_number = {each.socket.fileno(): each for each in clients}
    for number, each in by_number.items():
        poller.register(number, each.events)
    clock = time.monotonic
    start = now = clock()
    moved = 0
    while now - start < seconds:
        ready = poller.poll(10)
        if not ready:
            raise ValueError("nothing moved for 10 s")
        for number, _ in ready:
            moved += by_number[number].move(GULP)
        now = clock()
    poller.close()
    return now - start, moved


def trickle(clients: Sequence[Client], rate: float, seconds: float) -> tuple[float, int]:
    """Move so many bytes a second, all clients together; give the seconds and the bytes."""
    clock = time.monotonic
    start = clock()
    moved = 0
    for number in range(int(rate * seconds / PIECE)):
        early = number * PIECE / rate - (clock() - start)
        if early > 0:
            select.select((), (), (), early)
        client, due = clients[number % len(clients)], PIECE
        while due > 0:
            due -= client.move(due)
        moved += PIECE - due
    return clock() - start, moved


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", required=True)
    parser.add_argument("--direction", choices=DIRECTIONS, required=True)
    parser.add_argument("--rate", type=float, help="MB a second; default: flat out")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--connections", type=int, required=True)
    options = parser.parse_args(arguments)
    make = DIRECTIONS[options.direction]
    try:
        clients = [make(options.port, options.host) for _ in range(options.connections)]
        # all of them are in the midst of a body when it begins
        for each in clients:
            each.move(PIECE)
        flood(clients, WARM_UP)
        print("ready", flush=True)
        sys.stdin.readline()
        if options.rate is None:
            seconds, moved = flood(clients, options.seconds)
        else:
            seconds, moved = trickle(clients, options.rate * MB, options.seconds)
    except (OSError, ValueError) as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    result = {"requests": round(moved / MB), "seconds": seconds, "p50": 0.0, "p99": 0.0}
    print(json.dumps(result), flush=True)
    # stay until the reader has taken its second look at the proxy: closing costs it CPU
    sys.stdin.readline()


if __name__ == "__main__":
    main(sys.argv[1:])

"""Real sockets on a reactor that turns when the test says so, and apps that the test plays."""

from __future__ import annotations

import os
import select
import socket
import tempfile
from typing import Any

from twisted.internet import main
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from hostedge.balance.budget import Budget
from hostedge.http.lane import Means
from hostedge.http.spool import Disk
from hostedge.http.wheel import Wheel
from hostedge.net.descriptors import Files
from hostedge.observe.counters import make_counters
from hostedge.settings import Limits


class Network(Clock):
    """A reactor with descriptors and a fake clock; it waits for nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: dict[Any, None] = {}
        self.writers: dict[Any, None] = {}

    def addReader(self, reader: Any) -> None:
        self.readers[reader] = None

    def addWriter(self, writer: Any) -> None:
        self.writers[writer] = None

    def removeReader(self, reader: Any) -> None:
        self.readers.pop(reader, None)

    def removeWriter(self, writer: Any) -> None:
        self.writers.pop(writer, None)

    def resolve(self, name: str) -> Deferred[str]:
        return succeed("127.0.0.1")

    def turn(self, times: int = 3) -> None:
        """Serve whatever is ready."""
        for _ in range(times):
            self.advance(0)
            ready, able, _ = select.select(list(self.readers), list(self.writers), [], 0)
            for one in ready:
                if one in self.readers:
                    self._end(one, one.doRead(), True)
            for one in able:
                if one in self.writers:
                    self._end(one, one.doWrite(), False)

    def _end(self, one: Any, why: Any, reading: bool) -> None:
        if reading and why is main.CONNECTION_DONE:
            # as Twisted's reactors do: it may have more to say
            self.removeReader(one)
            one.readConnectionLost(Failure(why))
        elif why:
            one.connectionLost(Failure(why if isinstance(why, Exception) else main.CONNECTION_LOST))

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds * 4)):
            self.advance(0.25)
            self.turn(1)


class PlayedApp:
    """A listener whose side of every connection the test plays."""

    def __init__(self, backlog: int = 16) -> None:
        self.path = os.path.join(tempfile.mkdtemp(), "app.sock")
        self.address = f"unix:{self.path}"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(backlog)
        self.listener.setblocking(False)
        self.accepted: list[socket.socket] = []

    def accept(self) -> socket.socket:
        connection, _ = self.listener.accept()
        connection.setblocking(False)
        self.accepted.append(connection)
        return connection

    @property
    def nobody_waits(self) -> bool:
        return not select.select([self.listener], [], [], 0)[0]

    def close(self) -> None:
        self.listener.close()
        for connection in self.accepted:
            connection.close()


def received(connection: socket.socket) -> bytes:
    """What has come so far."""
    data = b""
    while True:
        try:
            piece = connection.recv(1 << 20)
        except BlockingIOError:
            return data
        if not piece:
            return data
        data += piece


def is_ended(connection: socket.socket) -> bool:
    """Whether the other side has ended or reset the connection; what it sent is dropped."""
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    return True


class PlayedKeeper:
    """A keeper whose answers the test gives."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.waiting: list[Deferred[Any]] = []

    def wake(self, app: str, host: str) -> Deferred[Any]:
        self.asked.append((app, host))
        self.waiting.append(Deferred())
        return self.waiting[-1]


def make_means(
    network: Network, limits: Limits | None = None, workers: int = 2, kept: float = 0.0
) -> Means:
    return Means(
        reactor=network,
        clock=network,
        resolve=network.resolve,
        wheel=Wheel(network, network.seconds),
        limits=limits or Limits(),
        counters=make_counters(),
        keeper=PlayedKeeper(),
        workers=lambda app: workers,
        kept=lambda app: kept,
        edges=1,
        disk=Disk(1 << 40, Files()),
        waiting=Budget(1 << 40),
        kept_bodies=Budget(1 << 40),
    )

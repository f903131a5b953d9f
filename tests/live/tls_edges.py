"""
Two edges of one template, as far as TLS goes: `python -m tests.live.tls_edges FOLDER`.

Prints the port of each; answers every request with what it knows of the connection, as JSON.
Both end when standard input does.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from OpenSSL import SSL
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import Deferred
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.protocol import Protocol

from hostedge.http.wheel import Wheel
from hostedge.net.handshake import Opening, Refusal, Terms
from hostedge.net.tls import TLSServer
from hostedge.observe.counters import make_counters
from hostedge.tls.authority import Authority
from hostedge.tls.certificates import UNKNOWN
from hostedge.tls.contexts import DEFAULT, make_certificate_context
from hostedge.tls.template import Ring, make_ring
from tests.tls.certified import now

NAMES = ("a.example", "b.example", "node.example")


class Edge:
    """Contexts, counters, and how often anything was read before a handshake was over."""

    def __init__(self, ring: Ring, authority: Authority) -> None:
        self.reactor = EPollReactor()
        self.counters = make_counters()
        self.woken = 0
        self._contexts = {}
        for name in NAMES:
            chain, key, _ = authority.sign(name)
            self._contexts[name] = make_certificate_context(
                DEFAULT, chain.encode(), key.encode(), (b"http/1.1",)
            )
        edge = self

        class Counted(Opening):
            def doRead(self) -> None:
                edge.woken += 1
                super().doRead()

        terms = Terms(
            self.reactor,
            ring,
            self,
            Wheel(self.reactor),
            self.counters,
            lambda alpn: Answers(self),
            lambda client: None,
            (b"http/1.1",),
            hello_timeout=2.0,
        )
        listening = socket.create_server(("127.0.0.1", 0))
        listening.setblocking(False)
        self.port = listening.getsockname()[1]
        _Accepts(
            self.reactor,
            listening,
            lambda connected, client: Counted(terms, connected, client, 0) and None,
        ).startReading()

    def find(self, name: str | None) -> SSL.Context | Refusal | Deferred[SSL.Context | Refusal]:
        return self._contexts.get(name or "node.example", UNKNOWN)


class _Accepts(FileDescriptor):
    def __init__(
        self,
        reactor: EPollReactor,
        listening: socket.socket,
        accept: Callable[[socket.socket, tuple[Any, ...]], None],
    ) -> None:
        super().__init__(reactor)
        self._listening = listening
        self._accept = accept

    def fileno(self) -> int:
        return self._listening.fileno()

    def doRead(self) -> None:
        connected, client = self._listening.accept()
        connected.setblocking(False)
        self._accept(connected, client)


class Answers(Protocol):
    """One answer for each request."""

    transport: TLSServer

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._got = b""

    def dataReceived(self, data: bytes) -> None:
        self._got += data
        if not self._got.endswith((b"\r\n\r\n", b"\n\n")):
            return
        last = b"close" in self._got
        self._got = b""
        transport = self.transport
        told = json.dumps(
            {
                "pid": os.getpid(),
                "name": transport.server_name,
                "version": transport.facts.version,
                "cipher": transport.facts.cipher,
                "resumed": transport.facts.resumed,
                "woken": self._edge.woken,
                "counters": {name: count for name, count in self._edge.counters.items() if count},
            }
        ).encode()
        transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(told), told))
        if last:
            transport.loseConnection()


def main(folder: Path) -> None:
    authority = Authority.load_or_create(folder / "ca.pem", folder / "ca.key", now)
    ring = make_ring(DEFAULT)
    read, write = os.pipe()
    children = []
    for _ in range(2):
        child = os.fork()
        if child == 0:
            edge = Edge(ring, authority)
            os.write(write, b"%d\n" % edge.port)
            edge.reactor.run()
            os._exit(0)
        children.append(child)
    os.close(write)
    ports = b""
    while ports.count(b"\n") < 2:
        more = os.read(read, 100)
        if not more:
            sys.exit("an edge could not begin")
        ports += more
    sys.stdout.write(ports.decode())
    sys.stdout.flush()
    sys.stdin.read()
    for child in children:
        os.kill(child, 15)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

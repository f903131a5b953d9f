"""A TLS port in the test's own process, and clients for it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from hostedge.net.handshake import Refusal, Terms, Timed
from hostedge.net.tls import TLSServer
from hostedge.observe.counters import make_counters
from hostedge.tls.certificates import UNKNOWN
from hostedge.tls.contexts import DEFAULT
from hostedge.tls.template import Ring, make_ring
from tests.net.turning import Turning, tcp_pair
from tests.tls.certified import certificate_context, client_context

NAMES = frozenset(("a.example", "b.example", "node.example"))


@implementer(IHalfCloseableProtocol)
class Recorder(Protocol):
    """Hears everything; does what it was told to do with data."""

    transport: TLSServer

    def __init__(self) -> None:
        self.data = b""
        self.lost: Failure | None = None
        self.read_ended = False
        self.got: Callable[[bytes], object] = lambda data: None

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        self.got(data)

    def readConnectionLost(self) -> None:
        self.read_ended = True

    def writeConnectionLost(self) -> None:
        pass

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason


class FakeWheel:
    """Remembers who is watched."""

    def __init__(self) -> None:
        self.watched: list[Timed] = []

    def watch(self, timed: Timed) -> None:
        self.watched.append(timed)

    def forget(self, timed: Timed) -> None:
        self.watched.remove(timed)


class FixedNames:
    """Certificates for `NAMES`; `node.example` for who names nobody."""

    def find(self, name: str | None) -> SSL.Context | Refusal | Deferred[SSL.Context | Refusal]:
        asked = name or "node.example"
        return certificate_context(asked) if asked in NAMES else UNKNOWN


class Port:
    """What a listener of an edge would be, without the listener."""

    def __init__(
        self, test: SynchronousTestCase, certificates: object = None, ring: Ring | None = None
    ) -> None:
        self.test = test
        self.turning = Turning(test)
        self.until = self.turning.until
        self.wheel = FakeWheel()
        self.counters = make_counters()
        self.protocols: list[Recorder] = []
        self.abandoned = 0
        self.terms = Terms(
            self.turning.reactor,
            ring or make_ring(DEFAULT, 1),
            certificates or FixedNames(),  # type: ignore[arg-type]
            self.wheel,
            self.counters,
            self._make,
            self._abandon,
            (b"http/1.1",),
        )

    def _make(self, alpn: bytes = b"") -> Recorder:
        self.protocols.append(Recorder())
        return self.protocols[-1]

    def _abandon(self, client: str) -> None:
        assert client == "127.0.0.1"
        self.abandoned += 1

    def connect(self) -> socket.socket:
        """A client's socket; what it is connected to has been accepted."""
        client, accepted = tcp_pair(self.test)
        client.setblocking(False)
        # as accept(2) gives it: nobody else holds it
        self.terms.accept(socket.socket(fileno=accepted.detach()), client.getsockname())
        return client

    def wrap(
        self,
        client: socket.socket,
        name: str | None = "a.example",
        context: ssl.SSLContext | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        context = context or client_context()
        context.check_hostname = name is not None
        return context.wrap_socket(
            client,
            server_hostname=name,
            do_handshake_on_connect=False,
            suppress_ragged_eofs=False,
            session=session,
        )

    def shake(self, client: ssl.SSLSocket) -> ssl.SSLSocket:
        """Both ends until the client is through."""

        def through() -> bool:
            try:
                client.do_handshake()
            except ssl.SSLWantReadError:
                return False
            return True

        self.until(through)
        return client

    def open(
        self,
        name: str | None = "a.example",
        context: ssl.SSLContext | None = None,
        session: ssl.SSLSession | None = None,
    ) -> tuple[ssl.SSLSocket, Recorder]:
        """A connection through which both can talk."""
        before = len(self.protocols)
        client = self.shake(self.wrap(self.connect(), name, context, session))
        self.until(lambda: len(self.protocols) > before)
        return client, self.protocols[-1]

    def receive(self, client: socket.socket, size: int = 65536) -> bytes:
        """The next bytes that the client gets; empty: a clean end."""
        got: list[bytes] = []

        def received() -> bool:
            try:
                got.append(client.recv(size))
            except (ssl.SSLWantReadError, BlockingIOError):
                return False
            return True

        self.until(received)
        return got[0]

    def counted(self) -> dict[str, int]:
        return {name: count for name, count in self.counters.items() if count}

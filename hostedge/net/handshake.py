"""
From an accepted socket on a TLS port to a protocol that speaks on it, or to an alert.

In:  `net.listener` accepts; `tls.certificates` and `tls.template` are asked.
Out: a `TLSServer` with its protocol; everything that is not one ends here, counted once.
Spec: RFC 8446 sections 4.1.2 and 6.2, RFC 6066 section 3, RFC 7301 section 3.2.

    1 hello        the ClientHello is looked at (MSG_PEEK) until it is complete
    2 certificate  usually there; else control signs the name meanwhile
    3 handshake    by OpenSSL, on the socket
    4              the protocol is made and gets its transport
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

from attrs import field, frozen
from OpenSSL import SSL
from twisted.internet.abstract import FileDescriptor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure

from hostedge.net.tls import TLSFacts, TLSServer, watch
from hostedge.tls.contexts import is_resumed, make_watching_context
from hostedge.wire.client_hello import (
    INTERNAL_ERROR,
    MAX_PEEK,
    NO_APPLICATION_PROTOCOL,
    BadHello,
    Hello,
    alert_record,
    is_plain_http,
    read_hello,
)

# taken off the socket before it is closed with something unread, which would be a reset that
# overtakes our last word
_REST = 65_536

# what nearly every client speaks
NEWEST = "TLSv1.3"


class Ring(Protocol):
    """What is needed of `tls.template.Ring`."""

    def context_for(self, hello: Hello, now: float) -> SSL.Context: ...


class Refusal(Protocol):
    """What is needed of `tls.certificates.Refusal`."""

    @property
    def alert(self) -> int: ...

    @property
    def counter(self) -> str: ...


class Certificates(Protocol):
    """What is needed of `tls.certificates.Certificates`."""

    def find(self, name: str | None) -> SSL.Context | Refusal | Deferred[Any]: ...


class Timed(Protocol):
    """What the wheel watches."""

    deadline: float
    due: int

    def timed_out(self) -> None: ...


class Wheel(Protocol):
    """What is needed of `http.wheel.Wheel`; deadlines are of `time.monotonic`."""

    def watch(self, timed: Timed) -> None: ...

    def forget(self, timed: Timed) -> None: ...


def _answer_plain(request: bytes, client: tuple[Any, ...], port: int) -> bytes:
    """Nobody will ask why."""
    return b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def _begin(client: str) -> str:
    """Nobody counts."""
    return ""


@frozen
class Terms:
    """What all connections of one TLS listener share."""

    reactor: Any
    ring: Ring
    certificates: Certificates
    wheel: Wheel
    counters: dict[str, int]
    # by what ALPN came to; empty: the client has not asked
    make_protocol: Callable[[bytes], IProtocol]
    # a connection ended that never had a protocol; with its client's address
    abandoned: Callable[[str], object]
    protocols: tuple[bytes, ...]
    # refuses the beginning of a plain request, of this client, to this port; a small answer
    answer_plain: Callable[[bytes, tuple[Any, ...], int], bytes] = _answer_plain
    # a handshake of this client begins, or may not: as what that counts; and that one was none, for
    # a session was resumed
    begin: Callable[[str], str] = _begin
    resumed: Callable[[str], object] = _begin
    hello_timeout: float = 5.0
    handshake_timeout: float = 10.0
    watching: SSL.Context = field(factory=lambda: make_watching_context(watch))

    def accept(
        self, connected: socket.socket, client: tuple[Any, ...], reached_port: int = 0
    ) -> None:
        """Take in a connection that a listener has accepted."""
        Opening(self, connected, client, reached_port)


class Opening(FileDescriptor):
    """
    One connection until its protocol has it, or nobody; which of both is said exactly once.
    `deadline` is absolute: no byte that trickles in moves it.
    """

    _log = Logger()
    due = 0

    def __init__(
        self, terms: Terms, connected: socket.socket, client: tuple[Any, ...], reached_port: int
    ) -> None:
        super().__init__(terms.reactor)
        self._terms = terms
        self._socket = connected
        self._client = client
        self._reached_port = reached_port
        self._session: SSL.Connection | None = None
        # the bytes without which there is nothing to do
        self._wanted = 1
        self._waiting: Deferred[Any] | None = None
        self._server_name: str | None = None
        self._ended = False
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._began = time.monotonic()
        self.deadline = self._began + terms.hello_timeout
        terms.wheel.watch(self)
        self.startReading()

    def fileno(self) -> int:
        return self._socket.fileno()

    def doRead(self) -> None:
        if self._session is None:
            self._read_hello()
        else:
            self._shake_hands(self._session)

    def doWrite(self) -> None:
        self.doRead()

    def connectionLost(self, reason: Failure) -> None:
        # a hang-up while nothing is read, or a bug that the reactor has logged
        self._end("tls_gone")

    def timed_out(self) -> None:
        self._end("tls_timeout")

    # 1 hello

    def _read_hello(self) -> None:
        try:
            data = self._socket.recv(MAX_PEEK, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            self._end("tls_gone")
            return
        if len(data) < self._wanted:
            # woken below the low-water mark: no more will come, or the kernel has no memory
            self._end("tls_gone")
            return
        try:
            hello = read_hello(data)
        except BadHello as refusal:
            if is_plain_http(data):
                port = self._reached_port or self._socket.getsockname()[1]
                answer = self._terms.answer_plain(data, self._client, port)
                self._end("tls_plain", answer)
            else:
                self._end("tls_refused", alert_record(refusal.alert))
            return
        if isinstance(hello, int):
            # the peeked bytes stay and keep the socket readable: wake when the rest is there
            self._wait_for(hello)
            return
        if self._wanted > 1:
            self._wait_for(1)
        self._choose(hello)

    def _wait_for(self, wanted: int) -> None:
        self._wanted = wanted
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, wanted)

    # 2 certificate

    def _choose(self, hello: Hello) -> None:
        terms = self._terms
        self.deadline = time.monotonic() + terms.handshake_timeout
        if hello.alpn and not any(each in terms.protocols for each in hello.alpn):
            self._end("tls_no_protocol", alert_record(NO_APPLICATION_PROTOCOL))
            return
        if refused_as := terms.begin(self._client[0]):
            # nothing has been computed for it yet, and nothing is for its alert
            self._end(refused_as)
            return
        try:
            found = terms.certificates.find(hello.server_name)
        except Exception:  # noqa: BLE001 - the outermost shell of a hello; it has to be answered
            self._not_found(Failure())
            return
        if isinstance(found, Deferred):
            self.stopReading()
            self._waiting = found
            found.addCallback(self._found, hello)
            found.addErrback(self._not_found)
        else:
            self._found(found, hello)

    def _found(self, found: SSL.Context | Refusal, hello: Hello) -> None:
        self._waiting = None
        if self._ended:
            return
        if not isinstance(found, SSL.Context):
            self._end(found.counter, alert_record(found.alert))
            return
        terms = self._terms
        session = SSL.Connection(
            terms.ring.context_for(hello, terms.reactor.seconds()), self._socket
        )
        session.set_context(found)
        session.set_accept_state()
        self._session = session
        self._server_name = hello.server_name
        self._shake_hands(session)

    def _not_found(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            self._log.failure("a certificate could not be looked for", failure)
        self._waiting = None
        self._end("tls_no_certificate", alert_record(INTERNAL_ERROR))

    # 3 handshake

    def _shake_hands(self, session: SSL.Connection) -> None:
        try:
            session.do_handshake()
        except SSL.WantReadError:
            self.stopWriting()
            self.startReading()
        except SSL.WantWriteError:
            self.stopReading()
            self.startWriting()
        except SSL.SysCallError:
            self._end("tls_gone")
        except SSL.Error:
            # the alert is sent
            self._end("tls_failed")
        else:
            self._hand_over(session)

    # 4 protocol

    def _hand_over(self, session: SSL.Connection) -> None:
        terms = self._terms
        facts = TLSFacts(
            session.get_protocol_version_name(),
            session.get_cipher_name() or "",
            is_resumed(session),
            session.get_alpn_proto_negotiated(),
        )
        session.set_context(terms.watching)
        terms.counters["tls_handshakes"] += 1
        older = facts.version != NEWEST
        if older:
            terms.counters["tls_older"] += 1
        if facts.resumed:
            terms.counters["tls_resumed"] += 1
            if older:
                terms.counters["tls_older_resumed"] += 1
            terms.resumed(self._client[0])
        protocol = terms.make_protocol(facts.alpn)
        self._leave()
        transport = TLSServer(
            self._socket,
            protocol,
            self._client,
            terms.reactor,
            session,
            facts,
            self._server_name,
            terms.counters,
        )
        transport.reached_port = self._reached_port
        transport.handshake = time.monotonic() - self._began
        try:
            protocol.makeConnection(transport)
        except Exception:  # noqa: BLE001 - the reactor would blame this object, not the transport
            self._log.failure("a protocol could not begin")
            transport.abortConnection()

    # the end

    def _leave(self) -> None:
        self._ended = True
        self._terms.wheel.forget(self)
        self.stopReading()
        self.stopWriting()

    def _end(self, counter: str, last_word: bytes = b"") -> None:
        if self._ended:
            return
        self._leave()
        self._terms.counters[counter] += 1
        if self._waiting is not None:
            self._waiting.cancel()
        try:
            self._socket.recv(_REST)
            if last_word:
                self._socket.send(last_word)
        except OSError:
            # there is nobody to tell
            pass
        self._socket.close()
        self._terms.abandoned(self._client[0])

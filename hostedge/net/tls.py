"""
A TLS connection whose handshake is over, as a transport: OpenSSL works on the socket itself.

In:  `net.handshake` hands over socket and session; the protocol writes.
Out: bytes to the socket; the protocol's callbacks.
Spec: RFC 8446 sections 5.1, 6.1 and 4.6.3.

    close_notify from the peer           ->  clean end, ConnectionDone or readConnectionLost
    end without it, reset, bad record    ->  ConnectionLost, counted
    loseConnection, loseWriteConnection  ->  close_notify after the last byte, then FIN
    abortConnection                      ->  reset, no close_notify: the peer sees a cut
"""

from __future__ import annotations

import errno
import socket
import time
from typing import Any

from attrs import frozen
from OpenSSL import SSL
from twisted.internet import main
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IProtocol, IReactorFDSet
from twisted.python.failure import Failure

from hostedge.net.eager import EagerServer

# Asked for a whole record, OpenSSL keeps no byte back that epoll would not know of.
RECORD = 16_384
# key updates and alerts a second: each costs more to take than to send; RFC 8446 section 4.6.3
# asks for one every 2^24 records
MAX_EVENTS = 100


@frozen
class TLSFacts:
    """What a handshake came to, for the log."""

    version: str
    cipher: str
    resumed: bool
    alpn: bytes


class TLSServer(EagerServer):
    """
    An accepted connection with its TLS session. A protocol sees plain bytes only; whatever
    OpenSSL waits for is asked of the reactor here.
    """

    def __init__(
        self,
        connected: socket.socket,
        protocol: IProtocol,
        client: tuple[Any, ...],
        reactor: IReactorFDSet,
        session: SSL.Connection,
        facts: TLSFacts,
        server_name: str | None,
        counters: dict[str, int],
    ) -> None:
        super().__init__(connected, protocol, client, None, 0, reactor)  # type: ignore[arg-type]
        self.repstr = f"<TLSServer {client[0]}>"
        self.facts = facts
        # what the client asked for, in normal form
        self.server_name = server_name
        self._session = session
        self._counters = counters
        # the counter for how the connection broke
        self._broken = ""
        self._notified = False
        # OpenSSL has to answer a key update before it reads on
        self._read_waits = False
        self._events = 0
        self._events_since = 0.0
        session.set_app_data(self)

    # bytes

    def _send(self, data: bytes | memoryview) -> int:
        send = self._session.send
        sent = 0
        try:
            # OpenSSL takes a record at a time; one that it could not get rid of it wants again
            # from its first byte, so that one counts as not taken
            sent = send(data)
            while sent < len(data):
                sent += send(memoryview(data)[sent:])
        except SSL.WantWriteError:
            pass
        except SSL.Error as error:
            # WantRead is not among them: without renegotiation writing waits for no reading
            if not sent:
                raise self._lost(error) from None
        return sent

    def _receive(self) -> bytes | None:
        try:
            return self._session.recv(RECORD)
        except SSL.WantReadError:
            return None
        except SSL.WantWriteError:
            self._read_waits = True
            self.stopReading()
            self.startWriting()
            return None
        except SSL.ZeroReturnError:
            return b""
        except SSL.Error as error:
            raise self._lost(error) from None

    def doWrite(self) -> Exception | int | None:  # type: ignore[override]
        if self._read_waits:
            self._read_waits = False
            self.startReading()
        return super().doWrite()  # type: ignore[no-any-return]

    def pauseProducing(self) -> None:
        self._read_waits = False
        super().pauseProducing()

    # the end

    def _postLoseConnection(self) -> ConnectionDone | None:
        return main.CONNECTION_DONE if self._notify() else None

    def _closeWriteConnection(self) -> None:
        if self._notify():
            super()._closeWriteConnection()

    def _notify(self) -> bool:
        """Say that nothing follows; False = there is no room, the reactor's writer asks again."""
        if not self._notified:
            try:
                self._session.shutdown()
            except (SSL.WantReadError, SSL.WantWriteError):
                self.startWriting()
                return False
            except SSL.Error:
                # whom it would tell is gone
                pass
            self._notified = True
        return True

    def connectionLost(self, reason: Failure) -> None:
        # the reactor or an abort may call this twice
        if not hasattr(self, "socket"):
            return
        if reason.check(ConnectionDone):
            # the peer said so first; it is told as well, if there is room
            self._notify()
        elif not reason.check(ConnectionAborted):
            self._counters[self._broken or "tls_reset"] += 1
        self._session.set_app_data(None)
        # the descriptor's number will soon be another connection's
        del self._session
        super().connectionLost(reason)

    def _lost(self, error: SSL.Error) -> OSError:
        if isinstance(error, SSL.SysCallError):
            code, text = error.args
            self._broken = self._broken or ("tls_truncated" if code < 0 else "tls_reset")
            return OSError(errno.ECONNRESET if code < 0 else code, str(text))
        self._broken = self._broken or "tls_broken"
        return OSError(errno.EPROTO, "not TLS any more")

    # what is not data

    def event(self) -> None:
        """A key update or an alert; whoever sends floods of them is shut out."""
        now = time.monotonic()
        if now - self._events_since >= 1.0:
            self._events_since = now
            self._events = 0
        self._events += 1
        if self._events == MAX_EVENTS:
            self._broken = "tls_flood"
            # OpenSSL would read on within this very call
            self.socket.shutdown(socket.SHUT_RD)


def watch(session: SSL.Connection) -> None:
    """What the context for connections after the handshake tells."""
    transport = session.get_app_data()
    if transport is not None:
        transport.event()

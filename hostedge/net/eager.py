"""
Stream transports that send at once, and leave to the reactor only what the kernel did not take.

In:  listeners make the servers, `http.upstream` the clients; protocols write.
Out: bytes to sockets; the protocol's callbacks, as from every Twisted transport.

An eager write saves four `epoll_ctl` calls and two reactor turns a request. It never calls
`connectionLost`: a send that fails leaves its bytes queued, and the reactor's writer meets the
same error in its own turn. All else is Twisted's: producers, half close, abort.

On an edge's reactor a turn has parts, see `net.reactor`: what is read is delivered when all have
been read, and a small write waits for the end. With any other reactor both are done at once.

A transport that encrypts overrides `_send` and `_receive`, nothing more.
"""

from __future__ import annotations

import fcntl
import os
import socket
import sys
import termios
from abc import ABC, abstractmethod
from collections.abc import Iterable
from errno import EINPROGRESS, EISCONN

from twisted.internet import main, tcp
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IReactorFDSet
from twisted.internet.protocol import Protocol

# seconds of silence until the kernel asks a peer whether it is there, between two questions, and
# how many of them may stay without an answer
PROBES = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 6),
)
# a larger write is worth a send of its own, and would only be memory until the turn ends
MAX_LATE = 16_384
_LOCAL = ("unix:", "127.", "[::1]:", "localhost:")


class EagerConnection(tcp.Connection):
    """
    A connected stream socket; while nothing is queued, `write` goes straight to the kernel.

    `_is_late`: what is queued was written in this turn, and `turn_ends` will come.
    """

    _is_late = False
    # where a reactor of turns takes what was read
    _shelf = "received"
    # the port that the client has connected to, where a proxy before us has said it
    reached_port = 0
    # seconds that a handshake took, from the accept on
    handshake = 0.0

    def _send(self, data: bytes | memoryview) -> int:
        """
        Hand bytes to the kernel: how many were taken, 0 = would block. `data` is never empty.

        Raises:
            OSError: the connection is lost, and every later call says so too.
        """
        try:
            return self.socket.send(data)
        except BlockingIOError:
            return 0

    def _receive(self) -> bytes | None:
        """
        What has arrived; None = would block, empty = the peer has ended its side.

        Raises:
            OSError: the connection is lost.
        """
        try:
            return self.socket.recv(self.bufferSize)
        except BlockingIOError:
            return None

    @property
    def unsent(self) -> int:
        """Bytes written by the protocol that the kernel has not taken yet."""
        return len(self.dataBuffer) - self.offset + self._tempDataLen

    @property
    def undelivered(self) -> int:
        """Bytes on their way, here or in the kernel, that the peer has not confirmed yet."""
        queued = fcntl.ioctl(self.socket, termios.TIOCOUTQ, bytes(4))
        return self.unsent + int.from_bytes(queued, sys.byteorder)

    @property
    def unread(self) -> bool:
        """Whether something has arrived: to close now would be a reset, and cost its answer."""
        waiting = fcntl.ioctl(self.socket, termios.FIONREAD, bytes(4))
        return bool(int.from_bytes(waiting, sys.byteorder))

    def write(self, data: bytes) -> None:
        if not self.connected or self._writeDisconnected or not data:
            return
        if self._tempDataLen or self.dataBuffer:
            self._queue(data)
            return
        written = getattr(self.reactor, "written", None)
        if written is None or len(data) > MAX_LATE:
            self._write_now(data)
        else:
            self._tempDataBuffer.append(data)
            self._tempDataLen = len(data)
            self._is_late = True
            written.append(self)

    def keep_alive(self) -> None:
        """Have the kernel find out by itself when the peer has vanished."""
        if self.socket.family != socket.AF_UNIX:
            for option in PROBES:
                self.socket.setsockopt(*option)

    def turn_ends(self) -> None:
        """From the reactor in whose `written` it stands: send what waited for this."""
        self._is_late = False
        if self.dataBuffer:
            # the reactor's writer was here meanwhile, and stays
            return
        data = b"".join(self._tempDataBuffer)
        self._tempDataBuffer.clear()
        self._tempDataLen = 0
        if data and self.connected and not self._aborting:
            self._write_now(data)

    def _write_now(self, data: bytes) -> None:
        try:
            sent = self._send(data)
        except OSError:
            # doWrite will meet it again, where connectionLost may be called
            sent = 0
        if sent < len(data):
            self._queue(data[sent:] if sent else data)
        elif self.producer is not None and (self.producerPaused or not self.streamingProducer):
            # doWrite asks it for more
            self.startWriting()

    def _queue(self, data: bytes) -> None:
        self._tempDataBuffer.append(data)
        self._tempDataLen += len(data)
        self._maybePauseProducer()
        if not self._is_late:
            self.startWriting()

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        self.write(b"".join(iovec))

    def writeSomeData(self, data: bytes) -> int | ConnectionLost:
        if not data:
            return 0
        try:
            return self._send(memoryview(data)[: self.SEND_LIMIT])
        except OSError:
            return main.CONNECTION_LOST

    def doRead(self) -> ConnectionLost | ConnectionDone | None:  # type: ignore[override]
        try:
            data = self._receive()
        except OSError:
            return main.CONNECTION_LOST
        if data:
            received = getattr(self.reactor, self._shelf, None)
            if received is None:
                self.protocol.dataReceived(data)
            else:
                received.append((self, data))
            return None
        return None if data is None else main.CONNECTION_DONE

    def deliver(self, data: bytes) -> None:
        """
        From the reactor to whose list it was added; others have had their part meanwhile.

        It is not held back when one of them has paused this transport.
        """
        if self.connected and not self.disconnecting and not self._aborting:
            self.protocol.dataReceived(data)


class EagerServer(EagerConnection, tcp.Server):
    """An accepted TCP connection."""


class ClientProtocol(Protocol, ABC):
    """A protocol for an `EagerClient`: it also hears of a connection that was never made."""

    @abstractmethod
    def connection_failed(self, error: OSError) -> None:
        """No other callback follows."""


class EagerClient(EagerConnection):
    """
    A connection of our own to `host:port` (numeric) or `unix:/path`.

    Exactly one of `connectionMade` and `connection_failed` is called, for UNIX addresses before
    `connect` returns. A UNIX listener whose backlog is full refuses at once: the kernel offers
    nothing to wait for. The deadline is the caller's: `give_up` ends an attempt.
    """

    connecting = False
    _shelf = "answered"

    def __init__(self, address: str, protocol: ClientProtocol, reactor: IReactorFDSet) -> None:
        family, self.peer = parse_endpoint(address)
        skt = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        super().__init__(skt, protocol, reactor)
        self.logstr = type(protocol).__name__
        if family != socket.AF_UNIX:
            skt.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connect(self) -> None:
        try:
            code = self.socket.connect_ex(self.peer)
        except OSError as error:
            self._fail(error)
            return
        if code in (0, EISCONN):
            self._made()
        elif code == EINPROGRESS:
            self.connecting = True
            self.startWriting()
        else:
            self._fail(OSError(code, os.strerror(code)))

    def give_up(self) -> None:
        """End an attempt that takes too long; nothing happens to a connection that is made."""
        if self.connecting:
            self._fail(TimeoutError("connect"))

    def doWrite(self) -> Exception | int | None:  # type: ignore[override]
        if not self.connecting:
            return super().doWrite()  # type: ignore[no-any-return]
        code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self._fail(OSError(code, os.strerror(code)))
        else:
            self.connecting = False
            self.stopWriting()
            self._made()
        return None

    def connectionLost(self, reason: object) -> None:
        # the reactor calls this for a hang-up, which a refused attempt shows as well
        if self.connecting:
            code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            self._fail(OSError(code, os.strerror(code)))
        else:
            super().connectionLost(reason)  # type: ignore[arg-type]

    def _made(self) -> None:
        self.connected = 1
        self.startReading()
        self.protocol.makeConnection(self)

    def _fail(self, error: OSError) -> None:
        self.connecting = False
        self.disconnected = 1
        self.stopReading()
        self.stopWriting()
        self.socket.close()
        protocol = self.protocol
        del self.protocol, self.socket, self.fileno
        protocol.connection_failed(error)  # type: ignore[attr-defined]

    def getHost(self) -> IPv4Address | IPv6Address | UNIXAddress:
        return _address(self.socket.getsockname())

    def getPeer(self) -> IPv4Address | IPv6Address | UNIXAddress:
        return _address(self.peer)


def parse_endpoint(address: str) -> tuple[socket.AddressFamily, str | tuple[str, int]]:
    """
    Where `host:port`, `[v6]:port` or `unix:/path` leads.

    Raises:
        ValueError: it is none of these, or the host is a name.
    """
    if address.startswith("unix:"):
        return socket.AF_UNIX, address.removeprefix("unix:")
    host, _, port = address.rpartition(":")
    if host.startswith("["):
        host = host[1:-1]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)
    except OSError:
        raise ValueError(f"{address!r} holds no numeric address") from None
    return family, (host, int(port))


def is_local(address: str) -> bool:
    """Whether it is this machine's, as far as can be seen."""
    return address.startswith(_LOCAL)


def is_numeric(address: str) -> bool:
    """Whether no name has to be looked up."""
    try:
        parse_endpoint(address)
    except ValueError:
        return False
    return True


def _address(sockaddr: str | tuple[str, int]) -> IPv4Address | IPv6Address | UNIXAddress:
    if isinstance(sockaddr, str):
        return UNIXAddress(os.fsencode(sockaddr) or None)
    kind = IPv6Address if ":" in sockaddr[0] else IPv4Address
    return kind("TCP", sockaddr[0], sockaddr[1])

"""
The public listeners: bound once by the keeper, shared by every edge through inheritance.

In:  the keeper binds or takes them back; an edge accepts on each, or reads the datagrams.
Out: a connected socket goes to `make_connection` of the listener's protocol; whoever ends the
     connection tells the edge's `Share`.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from typing import Any

from attrs import frozen
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from zope.interface import implementer

from hostedge.balance.turns import FLOOR, should_skip
from hostedge.errors import ConfigError
from hostedge.net.page import SharedPage
from hostedge.settings import Settings, parse_address

BACKLOG = 4096  # net.core.somaxconn of current kernels; more is cut silently
SKIP = 0.001  # seconds that a skipped turn lasts: long against an accept, short for a client
RECEIVE = 1024 * 1024  # bytes of datagrams that wait while every edge is busy
PORTS = 64  # that the kernel is asked for, until one is free for both UDP and TCP
EXHAUSTED = 0.1  # seconds without accepting when there is no room for one more connection

_OUT_OF = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
# the connection went away between the handshake and accept(2)
_GONE = frozenset((errno.ECONNABORTED, errno.EPERM, errno.EPROTO))

# Python 3.11 has no names for them: IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, IP(V6)_PMTUDISC_OMIT
_MTU_DISCOVER = {
    socket.AF_INET: (socket.IPPROTO_IP, 10),
    socket.AF_INET6: (socket.IPPROTO_IPV6, 23),
}
_PMTUDISC_OMIT = 5


@frozen
class Listener:
    """One public address; `asked` is what the settings say, the socket knows the real one."""

    protocol: str
    asked: str
    socket: socket.socket

    @property
    def address(self) -> str:
        host, port = self.socket.getsockname()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def wanted(settings: Settings) -> list[tuple[str, str]]:
    """Protocol and address of every listener that the settings ask for, as they are bound."""
    listen = settings.listen
    return [
        *listen.streams,
        *((protocol, asked) for asked in listen.dns for protocol in ("dns-udp", "dns-tcp")),
    ]


def bind(protocol: str, asked: str, where: str) -> Listener:
    """
    Bind and listen on one address.

    Raises:
        ConfigError: the address cannot be bound; says why.
    """
    try:
        return _bind(protocol, asked, parse_address(asked, where))
    except OSError as error:
        raise ConfigError(where, f"cannot listen on {asked}: {error.strerror}") from None


def bind_both(asked: str, where: str) -> tuple[Listener, Listener]:
    """
    Bind one address for DNS: UDP, and TCP at the same port.

    Raises:
        ConfigError: as `bind`.
    """
    for _ in range(PORTS):
        datagrams = bind("dns-udp", asked, where)
        address = datagrams.socket.getsockname()[:2]
        try:
            return datagrams, _bind("dns-tcp", asked, address)
        except OSError as error:
            datagrams.socket.close()
            if error.errno != errno.EADDRINUSE or parse_address(asked, where)[1]:
                problem = f"cannot listen on {asked} over TCP: {error.strerror}"
                raise ConfigError(where, problem) from None
    raise ConfigError(where, f"found no port of {asked} that is free for UDP and TCP")


def _bind(protocol: str, asked: str, address: tuple[str, int]) -> Listener:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    kind = socket.SOCK_DGRAM if protocol == "dns-udp" else socket.SOCK_STREAM
    opened = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_DGRAM:
            # without SO_REUSEADDR: with it anybody of our uid could bind the port as well
            _prepare_datagrams(opened, family)
            opened.bind(address)
        else:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            opened.bind(address)
            opened.listen(BACKLOG)
    except OSError:
        opened.close()
        raise
    return Listener(protocol, asked, opened)


def _prepare_datagrams(opened: socket.socket, family: socket.AddressFamily) -> None:
    # What a router says of the path's MTU is not believed: whoever forges it would have answers
    # sent in fragments, and could then replace the second one. Ours fit any path (RFC 9715).
    level, option = _MTU_DISCOVER[family]
    opened.setsockopt(level, option, _PMTUDISC_OMIT)
    # the kernel cuts it to net.core.rmem_max
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE)


@implementer(IReadDescriptor)
class Acceptor(FileDescriptor):
    """
    Accepts for one edge on one shared listener, one connection a reactor turn.

    The listener is level-triggered in every edge: whoever comes first gets the connection,
    an edge far above the mean leaves a turn to the others.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        listener: Listener,
        make_connection: Callable[[socket.socket, tuple[Any, ...]], None],
        share: Share,
    ) -> None:
        super().__init__(reactor)
        self._listener = listener
        self._socket = listener.socket
        self._make_connection = make_connection
        self._share = share
        self._reactor = reactor
        self._skipped = False
        self._resting: Any = None
        self.connected = 1

    def fileno(self) -> int:
        return self._socket.fileno()

    def doRead(self) -> None:
        if self._share.is_full():
            self._rest(EXHAUSTED)
            return
        if not self._skipped and self._share.is_large():
            self._skipped = True
            self._rest(SKIP)
            return
        self._skipped = False
        try:
            accepted, address = self._socket.accept()
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno in _OUT_OF:
                self._rest(EXHAUSTED)
            elif error.errno not in _GONE:
                raise
            return
        accepted.setblocking(False)
        self._share.opened()
        try:
            self._make_connection(accepted, address)
        except Exception:  # noqa: BLE001 - the outermost shell of an accept; the next must work
            self.log.failure("a connection could not be taken in")
            accepted.close()
            self._share.closed()

    def _rest(self, seconds: float) -> None:
        self.stopReading()
        self._resting = self._reactor.callLater(seconds, self._rested)

    def _rested(self) -> None:
        self._resting = None
        self.startReading()

    def stop(self) -> None:
        """Accept no more; the listener stays open for the other edges."""
        if self._resting is not None:
            self._resting.cancel()
            self._resting = None
        self.stopReading()
        self.connected = 0
        os.close(self._socket.detach())

    def connectionLost(self, reason: Any) -> None:
        """The reactor gives up on the descriptor; the keeper still holds the listener."""

    def logPrefix(self) -> str:
        return f"{self._listener.protocol} {self._listener.address}"


class Share:
    """This edge's part of all connections, told to the others through the page."""

    def __init__(self, page: SharedPage, place: int, limit: int) -> None:
        self._page = page
        self._place = place
        self.limit = limit
        self.connections = 0
        # the edge is at its end, whatever its connections are
        self.paused = False
        self._put = page.put
        page.put(place, 0)
        # of all edges that live, as of the last look
        self.places = page.living()

    def look(self) -> None:
        """See who lives; the list stays the same one."""
        self.places[:] = self._page.living()

    def opened(self) -> None:
        self.connections += 1
        self._put(self._place, self.connections)

    def closed(self) -> None:
        self.connections -= 1
        self._put(self._place, self.connections)

    def leave(self) -> None:
        """No more are taken in here."""
        self._put = self._page.put_leaving
        self._put(self._place, self.connections)

    def is_full(self) -> bool:
        """More would leave too little for what is there: accepting pauses, nobody is refused."""
        return self.paused or self.connections >= self.limit

    def is_large(self) -> bool:
        # below the rule's floor nobody reads the page: an accept stays cheap
        return self.connections >= FLOOR and should_skip(self.connections, self._page.counts())

"""
The links between the node's processes: AMP over UNIX sockets that reconnect by themselves.

In:  `links.*` give the responders of each role; `compose` opens and listens.
Out: messages of `ipc`; a peer of another uid is turned away before its first byte is read.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet import defer
from twisted.internet.defer import Deferred, fail, maybeDeferred
from twisted.internet.endpoints import UNIXClientEndpoint
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.amp import AMP, AmpBox, AmpError, Command, RemoteAmpError
from twisted.python.failure import Failure

from hostedge.net.identity import peer_credentials, process_started
from hostedge.version import VERSION

# seconds between two tries: a role that comes back must find its links within a request's patience
RETRY = 0.1

# of a link's socket; who calls is looked at besides
MODE = 0o660

# how a message fails that is not answered in time
Silent = defer.TimeoutError

# how a message fails when the other side is dead, silent or at a loss
LOST = (ConnectionDone, ConnectionLost, AmpError, Silent)


class LinkPeer(AMP):
    """
    One end of a link. An exception in a responder answers that one message, never more:
    AMP itself would close the connection.
    """

    log = Logger()
    ENDED = Failure(ConnectionDone())
    # set on the connecting side: who wants to know when the link comes and goes
    link: LinkClient | None = None

    def connectionMade(self) -> None:
        super().connectionMade()
        if self.link is not None:
            self.link.gained(self)

    def locateResponder(self, name: bytes) -> Callable[[AmpBox], Deferred[AmpBox]] | None:
        respond = super().locateResponder(name)
        if respond is None:
            return None

        def guarded(box: AmpBox) -> Deferred[AmpBox]:
            return maybeDeferred(respond, box).addErrback(self._contain, name)

        return guarded

    def _contain(self, failure: Failure, name: bytes) -> Failure:
        if failure.check(RemoteAmpError):
            return failure
        # whoever asked was waiting for a third process that is gone: that is an answer, not a bug
        if not failure.check(*LOST):
            self.log.failure("{message} could not be answered", failure, message=name.decode())
        return Failure(RemoteAmpError(b"FAILED", "the message could not be answered"))

    def connectionLost(self, reason: Failure = ENDED) -> None:
        super().connectionLost(reason)
        if self.link is not None:
            self.link.gone(self)


class LinkServer(Service):
    """
    Listens on a UNIX socket for the peers of this node.

    `make_peer(pid)` gives the responders for a process that has just connected; `listening` is
    a descriptor that listens there already and is taken over, -1: there is none.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        path: Path,
        make_peer: Callable[[int], LinkPeer],
        uids: frozenset[int],
        listening: int = -1,
    ) -> None:
        self._reactor = reactor
        self._path = path
        self._make_peer = make_peer
        self._uids = uids
        # whoever else may link is no member of our group; the kernel says who it is
        self._mode = MODE if uids == {os.geteuid()} else 0o666
        self._listening = listening
        self._port: Any = None

    def startService(self) -> None:
        factory = _PeerFactory(self._make_peer, self._uids)
        listening, self._listening = self._listening, -1
        if listening >= 0:
            self._port = self._reactor.adoptStreamPort(listening, socket.AF_UNIX, factory)
            os.close(listening)
            # Twisted has just opened it to everybody
            self._path.chmod(self._mode)
        else:
            # a socket file outlives its process; only one process of a role lives at a time
            self._path.unlink(missing_ok=True)
            self._port = self._reactor.listenUNIX(str(self._path), factory, mode=self._mode)
        super().startService()

    def fileno(self) -> int:
        """The listening socket, while the service runs."""
        return int(self._port.fileno())

    def stopService(self) -> Any:
        super().stopService()
        port, self._port = self._port, None
        return None if port is None else port.stopListening()


class _PeerFactory(Factory):
    noisy = False

    def __init__(self, make_peer: Callable[[int], LinkPeer], uids: frozenset[int]) -> None:
        self._make_peer = make_peer
        self._uids = uids

    def buildProtocol(self, addr: IAddress | None) -> AMP:
        return _Doorkeeper(self._make_peer, self._uids)


class _Doorkeeper(AMP):
    """Stands in for the peer until the kernel has said who is calling."""

    log = Logger()

    def __init__(self, make_peer: Callable[[int], LinkPeer], uids: frozenset[int]) -> None:
        super().__init__()
        self._make_peer = make_peer
        self._uids = uids

    def makeConnection(self, transport: Any) -> None:
        pid, uid = peer_credentials(transport.socket)
        if uid not in self._uids:
            self.log.warn("process {pid} of uid {uid} may not link here", pid=pid, uid=uid)
            transport.abortConnection()
            return
        peer = self._make_peer(pid)
        transport.protocol = peer
        peer.makeConnection(transport)

    def connectionLost(self, reason: Failure = LinkPeer.ENDED) -> None:
        """Turned away: there was never a peer to tell."""


class LinkClient(Service):
    """
    A link to a role that may die and come back, tried again every `RETRY` seconds, silently:
    the other role's end is in the keeper's log already.

    `call` fails while there is no connection; `came` is called after every connect.
    """

    def __init__(
        self,
        reactor: Any,
        path: Path,
        make_peer: Callable[[], LinkPeer],
        came: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self._endpoint = UNIXClientEndpoint(reactor, str(path), timeout=2)
        self._make_peer = make_peer
        self._came = came
        self._lost = lost
        self._peer: LinkPeer | None = None
        self._retry: Any = None

    def startService(self) -> None:
        super().startService()
        self._connect()

    def stopService(self) -> None:
        super().stopService()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._peer is not None and self._peer.transport is not None:
            self._peer.transport.loseConnection()

    @property
    def connected(self) -> bool:
        return self._peer is not None

    def call(self, command: type[Command], **arguments: object) -> Deferred[Any]:
        """
        Send a message; fires with the answer, fails when the link is or gets lost.
        """
        if self._peer is None:
            return fail(ConnectionLost(f"no link for {command.__name__}"))
        asked: Deferred[Any] = self._peer.callRemote(command, **arguments)
        return asked

    def gained(self, peer: LinkPeer) -> None:
        self._peer = peer
        self._came()

    def gone(self, peer: LinkPeer) -> None:
        if self._peer is peer:
            self._peer = None
            self._lost()
        self._later()

    def _connect(self) -> None:
        self._retry = None
        self._endpoint.connect(_ClientFactory(self, self._make_peer)).addErrback(
            lambda failure: self._later()
        )

    def _later(self) -> None:
        if self.running and self._retry is None:
            self._retry = self._reactor.callLater(RETRY, self._connect)


class _ClientFactory(Factory):
    noisy = False

    def __init__(self, client: LinkClient, make_peer: Callable[[], LinkPeer]) -> None:
        self._client = client
        self._make_peer = make_peer

    def buildProtocol(self, addr: IAddress | None) -> LinkPeer:
        peer = self._make_peer()
        peer.link = self._client
        return peer


def forget(failure: Failure) -> None:
    """
    Errback for a message whose loss is no loss: it is repeated, or its reader asks again.
    """
    failure.trap(*LOST)


def hello(role: str, index: int, revision: int) -> dict[str, object]:
    """The arguments of `Hello` for this process."""
    pid = os.getpid()
    return {
        "pid": pid,
        "started": process_started(pid),
        "role": role,
        "index": index,
        "revision": revision,
        "version": VERSION,
    }

"""
The same links for a process that runs no reactor: it waits in `recvmsg`.

In:  `links.template`, which must not own a reactor because edges are forked from it.
Out: messages of `ipc`, answered by a `LinkPeer`.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IUNIXTransport
from twisted.protocols.amp import Command
from twisted.python.failure import Failure
from zope.interface import implementer

from hostedge.net.link import LinkPeer


@implementer(IUNIXTransport)
class BlockingTransport:
    """
    Writes at once and in full; descriptors travel with the bytes that follow them.
    """

    disconnecting = False

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self._descriptors: list[int] = []

    def write(self, data: bytes) -> None:
        descriptors, self._descriptors = self._descriptors, []
        try:
            if descriptors:
                sent = socket.send_fds(self.socket, [data], descriptors)
                data = data[sent:]
            self.socket.sendall(data)
        except OSError:
            # the reader learns of it
            self.disconnecting = True

    def writeSequence(self, iovec: Any) -> None:
        self.write(b"".join(iovec))

    def sendFileDescriptor(self, descriptor: int) -> None:
        self._descriptors.append(descriptor)

    def loseConnection(self) -> None:
        self.disconnecting = True

    def getPeer(self) -> UNIXAddress:
        return UNIXAddress(None)

    def getHost(self) -> UNIXAddress:
        return UNIXAddress(None)


class BlockingLink:
    """A connected link and the peer that answers on it."""

    def __init__(self, connected: socket.socket, peer: LinkPeer) -> None:
        self._transport = BlockingTransport(connected)
        self._peer = peer
        peer.makeConnection(self._transport)

    @classmethod
    def connect(cls, path: Path, peer: LinkPeer) -> BlockingLink:
        """
        Raises:
            OSError: nobody listens there.
        """
        connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            connected.connect(str(path))
        except OSError:
            connected.close()
            raise
        return cls(connected, peer)

    def call(self, command: type[Command], **arguments: object) -> Any:
        """
        Send a message and wait for its answer, answering what comes meanwhile.

        Raises:
            ConnectionDone: the link ended first.
        """
        outcome: list[Any] = []
        asked: Deferred[Any] = self._peer.callRemote(command, **arguments)
        asked.addBoth(outcome.append)
        while not outcome:
            if not self.receive():
                raise ConnectionDone
        answer = outcome[0]
        if isinstance(answer, Failure):
            answer.raiseException()
        return answer

    def receive(self) -> bool:
        """Wait for bytes and take them in; False: the link has ended."""
        try:
            data, descriptors, _, _ = socket.recv_fds(
                self._transport.socket, 65536, 16, socket.MSG_CMSG_CLOEXEC
            )
        except OSError:
            data, descriptors = b"", []
        for descriptor in descriptors:
            self._peer.fileDescriptorReceived(descriptor)
        if data:
            self._peer.dataReceived(data)
        if not data or self._transport.disconnecting:
            self.close()
            return False
        return True

    def close(self) -> None:
        if self._transport.socket.fileno() >= 0:
            self._transport.socket.close()
            self._peer.connectionLost(Failure(ConnectionDone()))

"""
Connections to the API socket: who may call, and how much one request may bring.

In:  the reactor, with connections to `control/api.sock`.
Out: requests for `api.guard.Guard`; others' connections are answered 403 and closed.
"""

from __future__ import annotations

import os
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, connectionDone
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.resource import IResource
from twisted.web.server import Request, Site

from hostedge.api.guard import JSON, MAX_BODY, Guard, error_body, media_type
from hostedge.net.identity import name_of_user, peer_credentials

SOCKET_MODE = 0o660  # root, the node's own user, and whom the operator puts into its group

MAX_DIGITS = 32  # of a length, with the blanks around it

IN_MEMORY = 1024 * 1024  # bytes of a body that are not worth a file


def caller_of(request: Request) -> str:
    """Who is at the other end of the request's connection."""
    channel = request.channel
    if not isinstance(channel, ApiChannel):
        raise TypeError("the request did not come through the API's site")
    return name_of_user(channel.uid)


class ApiRequest(Request):
    """
    A request whose body is kept only up to the limit, and only if it is JSON.

    The rest of a larger one is read and dropped: a peer that is still sending would not see
    the answer.
    """

    oversized = False

    def gotLength(self, length: int | None) -> None:
        most = self.channel.max_body if isinstance(self.channel, ApiChannel) else MAX_BODY
        self._room = most if media_type(self.requestHeaders) == JSON.decode() else 0
        small = length is not None and length <= IN_MEMORY
        self.content: IO[bytes] = BytesIO() if small or not self._room else TemporaryFile()

    def handleContentChunk(self, data: bytes) -> None:
        self._room -= len(data)
        if self._room >= 0:
            self.content.write(data)
        else:
            self.oversized = True


class ApiChannel(HTTPChannel):
    """A connection; `uid` is what the kernel says of the process that made it."""

    uid = -1
    uids: frozenset[int] = frozenset()
    max_body = MAX_BODY

    def connectionMade(self) -> None:
        super().connectionMade()
        transport: Any = self.transport
        _, self.uid = peer_credentials(transport.getHandle())
        if self.uid in self.uids:
            return
        body = error_body("caller", f"want root or the node's own user, not {_shown(self.uid)}")
        transport.write(
            b"HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-type: %s\r\n"
            b"content-length: %d\r\n\r\n%s" % (JSON, len(body), body)
        )
        self.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.site.channels.discard(self)  # type: ignore[attr-defined]

    def dataReceived(self, data: bytes) -> None:
        # bytes that came before the refused connection was closed
        if self.uid in self.uids:
            super().dataReceived(data)

    def headerReceived(self, line: bytes) -> bool:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length" and len(value) > MAX_DIGITS:
            # reading a number of thousands of digits fails in a way that Twisted does not expect
            line = b"content-length: none"
        return super().headerReceived(line)  # type: ignore[no-any-return]


def _shown(uid: int) -> str:
    name = name_of_user(uid)
    return name if name.startswith("uid") else f"{name} (uid {uid})"


class ApiSite(Site):
    """HTTP/1.1 with keep-alive for the users in `uids`."""

    protocol = ApiChannel  # type: ignore[assignment]
    requestFactory = ApiRequest
    # connections of this factory are not worth a log line each
    noisy = False

    def __init__(
        self,
        reactor: Any,
        resource: IResource,
        uids: frozenset[int],
        max_body: int = MAX_BODY,
    ) -> None:
        super().__init__(Guard(resource), reactor=reactor, parsePOSTFormSubmission=False)
        self._uids = uids
        self._max_body = max_body
        self.channels: set[ApiChannel] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a call is being read or answered."""
        return any(channel.requests for channel in self.channels)

    def end(self) -> None:
        """From here on nothing is read: who sends a call learns that it was not looked at."""
        for channel in list(self.channels):
            channel.loseConnection()

    def buildProtocol(self, addr: Any) -> Any:
        channel = super().buildProtocol(addr)
        channel.uids = self._uids
        channel.max_body = self._max_body
        self.channels.add(channel)
        return channel

    def log(self, request: Any) -> None:
        """What changes is in the change log, what fails is logged where it fails."""


def allowed_uids() -> frozenset[int]:
    """Root, and the user that the node runs as."""
    return frozenset({0, os.geteuid()})


def listen(reactor: Any, path: Path, site: Factory) -> IListeningPort:
    """Bind the API's socket; one that a dead process has left is taken over."""
    path.unlink(missing_ok=True)
    return reactor.listenUNIX(str(path), site, mode=SOCKET_MODE)  # type: ignore[no-any-return]

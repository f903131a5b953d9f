"""
The manhole's socket in the state folder: who may attach, and as what.

In:  `hostedge manhole`, with one line of JSON: `{"terminal": [80, 24]}` or `{"width": 80}`.
Out: a line of JSON, `{}` or `{"error": …}`; then a terminal's bytes both ways, or lines in, and
     out JSON, one value a line: `{"shown": …}`, `{"failed": …}`, at last `{"ended": status}`.

A terminal's last byte is NUL when the session has ended as it should: all else is a break.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hostedge.console.sessions import FULL, Screen, Sessions
from hostedge.net.identity import name_of_user, peer_credentials

SOCKET_MODE = 0o600
HEADER = 1024  # bytes
PATIENCE = 10.0  # seconds until the header is there
WIDEST = 1000  # columns and rows that a terminal may say it has

END = b"\0"


class Strange(ValueError):
    """A header that `hostedge manhole` does not send."""


@implementer(IHalfCloseableProtocol)
class Attached(Protocol):
    """One connection: first its header, then all that comes is the session's."""

    log = Logger()

    def __init__(self, reactor: Any, sessions: Sessions, uids: frozenset[int]) -> None:
        self._reactor = reactor
        self._sessions = sessions
        self._uids = uids
        self._who = ""
        self._header = b""
        self._late: Any = None
        # what becomes of what comes, of its end, and of ours
        self._inside: Any = None
        self._finish: Any = self._break
        self._leave: Any = lambda: None
        self._admitted = False

    def connectionMade(self) -> None:
        transport: Any = self.transport
        pid, uid = peer_credentials(transport.getHandle())
        self._who = name_of_user(uid)
        if uid not in self._uids:
            self.log.warn("process {pid} of {who} may not attach", pid=pid, who=self._who)
            self._refuse(f"want root or the node's own user, not {self._who}")
            return
        self._late = self._reactor.callLater(PATIENCE, transport.abortConnection)

    def dataReceived(self, data: bytes) -> None:
        if self._inside is not None:
            self._inside(data)
            return
        if self._late is None:
            # refused; it only has not gone yet
            return
        self._header += data
        line, ended, rest = self._header.partition(b"\n")
        if not ended and len(line) < HEADER:
            return
        self._late.cancel()
        self._late = None
        try:
            terminal, width, height = _read_header(line)
        except Strange as error:
            self._refuse(str(error))
            return
        if not self._sessions.admit(self._who):
            self._refuse(FULL)
            return
        self._admitted = True
        self._say({})
        if terminal:
            self._open_terminal(width, height)
        else:
            self._open_lines(width)
        if rest:
            self.dataReceived(rest)

    def _open_terminal(self, width: int, height: int) -> None:
        transport: Any = self.transport
        screen = Screen(transport.write, self._end)
        session = self._sessions.terminal(self._who, screen, width, height)
        self._inside = session.dataReceived
        self._leave = lambda: session.connectionLost(Failure(connectionDone.value))

    def _open_lines(self, width: int) -> None:
        lines = self._sessions.lines(self._who, _Pipe(self), width)
        self._inside = lines.feed
        self._finish = lines.end
        self._leave = lines.leave

    def readConnectionLost(self) -> None:
        """Nothing more is typed."""
        self._finish()

    def writeConnectionLost(self) -> None:
        """Nobody reads any more."""
        self._break()

    def _end(self) -> None:
        transport: Any = self.transport
        transport.write(END)
        transport.loseConnection()

    def _break(self) -> None:
        transport: Any = self.transport
        transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
        if self._admitted:
            self._admitted = False
            self._leave()
            self._sessions.ended(self._who)

    def _refuse(self, problem: str) -> None:
        self._say({"error": problem})
        self._break()

    def _say(self, value: dict[str, object]) -> None:
        transport: Any = self.transport
        transport.write(json.dumps(value).encode() + b"\n")


class _Pipe:
    """Whoever has sent lines gets a value for each piece of what they came to."""

    def __init__(self, attached: Attached) -> None:
        self._attached = attached

    def shown(self, text: str) -> None:
        self._attached._say({"shown": text})

    def failed(self, text: str) -> None:
        self._attached._say({"failed": text})

    def ended(self, status: int) -> None:
        self._attached._say({"ended": status})
        self._attached._break()


def _read_header(line: bytes) -> tuple[bool, int, int]:
    """
    Whether it is a terminal, its width and its height.

    Raises:
        Strange: it is none of ours.
    """
    try:
        header = json.loads(line)
        terminal = "terminal" in header
        width, height = header["terminal"] if terminal else (header["width"], 24)
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Strange("want what `hostedge manhole` of this version sends first") from None
    if not all(type(each) is int and 0 <= each <= WIDEST for each in (width, height)):
        raise Strange(f"want the size of a terminal, at most {WIDEST} columns and rows")
    return terminal, width or 80, height or 24


class _Factory(Factory):
    noisy = False

    def __init__(self, reactor: Any, sessions: Sessions, uids: frozenset[int]) -> None:
        self._parts = reactor, sessions, uids

    def buildProtocol(self, addr: IAddress | None) -> Attached:
        return Attached(*self._parts)


class UnixConsole(Service):
    """Listens for operators on this machine; a socket that a dead process left is replaced."""

    def __init__(self, reactor: Any, path: Path, sessions: Sessions, uids: frozenset[int]) -> None:
        self._reactor = reactor
        self._path = path
        self._factory = _Factory(reactor, sessions, uids)
        self._port: Any = None

    def startService(self) -> None:
        super().startService()
        self._path.unlink(missing_ok=True)
        self._port = self._reactor.listenUNIX(str(self._path), self._factory, mode=SOCKET_MODE)

    def stopService(self) -> Any:
        super().stopService()
        port, self._port = self._port, None
        return None if port is None else port.stopListening()

"""
The manhole over SSH: public keys only, a shell that is the manhole, and nothing besides.

In:  OpenSSH and its like, when the settings have an address in `[console]`.
Out: the same sessions as at the UNIX socket; `ssh HOST 'status()'` runs one line.
Spec: RFC 4252, RFC 4254. No password, no forwarding, no subsystem, no environment.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.conch.avatar import ConchUser
from twisted.conch.error import IgnoreAuthentication
from twisted.conch.interfaces import IConchUser, ISession
from twisted.conch.ssh.connection import SSHConnection
from twisted.conch.ssh.factory import SSHFactory
from twisted.conch.ssh.session import SSHSession, SSHSessionProcessProtocol
from twisted.conch.ssh.transport import (
    DISCONNECT_NO_MORE_AUTH_METHODS_AVAILABLE,
    SSHServerTransport,
)
from twisted.conch.ssh.userauth import SSHUserAuthServer
from twisted.cred.portal import IRealm, Portal
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import connectionDone
from twisted.logger import ILogObserver, Logger
from twisted.python.failure import Failure
from zope.interface import implementer, provider

from hostedge.console.keys import ALGORITHMS, KeyFile, Operator, host_key
from hostedge.console.sessions import FULL, Screen, Sessions
from hostedge.settings import Settings, parse_address

LOGIN = 30.0  # seconds in which one has to be in
ATTEMPTS = 6  # keys that may be refused on a connection; ssh-agents offer several
DELAY = 1.0  # seconds until a refusal is told
DOORS = 16  # connections at once that are not in yet
TELL = 60.0  # seconds between two lines of the log about refusals

# what is left out: CBC, MD5 and SHA-1
CIPHERS = [b"aes256-ctr", b"aes192-ctr", b"aes128-ctr"]
MACS = [b"hmac-sha2-512", b"hmac-sha2-256"]
EXCHANGES = [
    b"mlkem768x25519-sha256",
    b"curve25519-sha256",
    b"curve25519-sha256@libssh.org",
    b"ecdh-sha2-nistp256",
    b"ecdh-sha2-nistp384",
    b"ecdh-sha2-nistp521",
]


@provider(ILogObserver)
def _drop(event: object) -> None:
    """What conch logs about whoever knocks: a line each would be theirs to make."""


class Door(SSHServerTransport):
    """A connection, until it is in and after; before that nothing of it is logged."""

    ourVersionString = b"SSH-2.0-hostedge"
    supportedCiphers = CIPHERS
    supportedMACs = MACS
    supportedCompressions = [b"none"]
    _log = Logger(observer=_drop)

    _failures = Logger()
    factory: SshFactory
    transport: Any
    late: Any = None

    def connectionMade(self) -> None:
        self.factory.doors.add(self)
        self.late = self.factory.reactor.callLater(LOGIN, self.transport.abortConnection)
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:
        try:
            super().dataReceived(data)
        except Exception:  # noqa: BLE001 - what conch cannot read costs this connection
            if self not in self.factory.doors:
                self._failures.failure("a session over SSH failed")
            else:
                self.refused()
            self.transport.abortConnection()

    def sendExtInfo(self, extensions: object) -> None:
        # conch would name the algorithms of the host key: a client with RSA had none left
        super().sendExtInfo([(b"server-sig-algs", b",".join(ALGORITHMS))])

    def refused(self) -> None:
        self.factory.refused(self.transport.getPeer().host)

    def entered(self) -> None:
        """The key was good."""
        self.factory.doors.discard(self)
        self.late.cancel()

    def connectionLost(self, reason: Failure | None = None) -> None:
        self.factory.doors.discard(self)
        if self.late.active():
            self.late.cancel()
        super().connectionLost(reason)


class KeysOnly(SSHUserAuthServer):
    """Each refusal is told after a while; too many end the connection at once."""

    _log = Logger(observer=_drop)
    loginTimeout = int(LOGIN)
    transport: Any

    def __init__(self, reactor: Any) -> None:
        self.clock = reactor
        self._refusals = 0
        self._telling: list[Any] = []

    def _cbFinishedAuth(self, result: Any) -> None:
        self.transport.entered()
        super()._cbFinishedAuth(result)

    def _ebBadAuth(self, reason: Failure) -> None:
        if self.method == b"none" or reason.check(IgnoreAuthentication):
            super()._ebBadAuth(reason)
            return
        self.transport.refused()
        self._refusals += 1
        if self._refusals >= ATTEMPTS:
            too_many = b"too many keys were refused"
            self.transport.sendDisconnect(DISCONNECT_NO_MORE_AUTH_METHODS_AVAILABLE, too_many)
            return
        self._telling.append(self.clock.callLater(DELAY, super()._ebBadAuth, reason))

    def serviceStopped(self) -> None:
        for each in self._telling:
            if each.active():
                each.cancel()
        super().serviceStopped()


class Channels(SSHConnection):
    """What is opened and asked for after the login; conch logs a traceback for each refusal."""

    _log = Logger(observer=_drop)


class SshFactory(SSHFactory):
    """`doors` are the connections that are not in yet."""

    protocol = Door
    noisy = False
    _log = Logger(observer=_drop)
    log = Logger()

    def __init__(self, reactor: Any, key: Any, portal: Portal, sessions: Sessions) -> None:
        self.reactor = reactor
        self.portal = portal
        self.doors: set[Door] = set()
        self.publicKeys = {b"ssh-ed25519": key.public()}
        self.privateKeys = {b"ssh-ed25519": key}
        # no groups of primes: exchanges with them are left out
        self.primes = {}
        services: Any = {
            b"ssh-userauth": partial(KeysOnly, reactor),
            b"ssh-connection": Channels,
        }
        self.services = services
        self._sessions = sessions
        self._told = -TELL

    def buildProtocol(self, addr: IAddress | None) -> Any:
        if len(self.doors) >= DOORS:
            return None
        door = super().buildProtocol(addr)
        known = door.supportedKeyExchanges
        door.supportedKeyExchanges = [each for each in EXCHANGES if each in known]
        return door

    def refused(self, address: str) -> None:
        """A key that is not let in, or what is no SSH; told once a minute at most."""
        self._sessions.refused += 1
        now = self.reactor.seconds()
        if now - self._told >= TELL:
            self._told = now
            self.log.warn(
                "{count} logins over SSH were refused, the last from {address}",
                count=self._sessions.refused,
                address=address,
            )


@implementer(IRealm)
class Realm:
    """Whoever has a key is an operator."""

    def __init__(self, reactor: Any, sessions: Sessions) -> None:
        self._parts = reactor, sessions

    def requestAvatar(self, avatarId: Any, mind: object, *interfaces: object) -> Any:
        return IConchUser, User(avatarId, *self._parts), lambda: None


class User(ConchUser):
    """One login; each of its channels is a session."""

    def __init__(self, operator: Operator, reactor: Any, sessions: Sessions) -> None:
        super().__init__()
        self._operator = operator
        self._parts = reactor, sessions
        self.channelLookup[b"session"] = Channel

    def __conform__(self, interface: object) -> object:
        if interface is not ISession:
            return None
        peer = self.conn.transport.transport.getPeer().host
        return Shell(f"{self._operator} from {peer}", *self._parts)


class Channel(SSHSession):
    """A channel with a shell or a command; conch would let subsystems be asked for."""

    def request_subsystem(self, data: bytes) -> int:
        return 0


@implementer(ISession)
class Shell:
    """One channel: at a terminal when it has one, else lines in and out."""

    def __init__(self, who: str, reactor: Any, sessions: Sessions) -> None:
        self._who = who
        self._reactor = reactor
        self._sessions = sessions
        self._size: tuple[int, int] | None = None
        self._terminal: Any = None
        self._lines: Any = None
        self._keys = _Keys()
        self._admitted = self._complete = self._closed = False

    def getPty(self, term: bytes, windowSize: tuple[int, ...], modes: object) -> None:
        self._size = windowSize[1] or 80, windowSize[0] or 24

    def windowChanged(self, newWindowSize: tuple[int, ...]) -> None:
        if self._terminal is not None and self._terminal.terminalProtocol is not None:
            height, width = newWindowSize[:2]
            self._terminal.terminalProtocol.terminalSize(width, height)
            self._terminal.terminalProtocol.draw()

    def openShell(self, proto: SSHSessionProcessProtocol) -> None:
        self._soon(proto, None)

    def execCommand(self, proto: SSHSessionProcessProtocol, command: bytes) -> None:
        self._soon(proto, command)

    def _soon(self, proto: SSHSessionProcessProtocol, command: bytes | None) -> None:
        """Begin once the request is answered; what comes before that waits."""
        proto.makeConnection(self._keys)
        self._reactor.callLater(0, self._begin, proto, command)

    def _begin(self, proto: SSHSessionProcessProtocol, command: bytes | None) -> None:
        if self._closed:
            return
        if not self._sessions.admit(self._who):
            proto.errReceived(f"{FULL}\r\n".encode())
            _end(proto, 1)
            return
        self._admitted = True
        if self._size is not None and command is None:
            screen = Screen(proto.write, partial(_end, proto, 0))
            self._terminal = self._sessions.terminal(self._who, screen, *self._size)
            self._keys.heard_by(self._terminal.dataReceived)
            if self._complete:
                self._terminal.loseConnection()
            return
        width = self._size[0] if self._size else 80
        self._lines = self._sessions.lines(self._who, _Pipe(proto), width)
        if command is not None:
            self._lines.feed(command)
            self._lines.end()
            return
        self._keys.heard_by(self._lines.feed)
        if self._complete:
            self._lines.end()

    def eofReceived(self) -> None:
        self._complete = True
        if self._lines is not None:
            self._lines.end()
        if self._terminal is not None:
            self._terminal.loseConnection()

    def closed(self) -> None:
        self._closed = True
        if not self._admitted:
            return
        self._admitted = False
        if self._lines is not None:
            self._lines.leave()
        if self._terminal is not None:
            self._terminal.connectionLost(Failure(connectionDone.value))
        self._sessions.ended(self._who)


class _Keys:
    """What conch writes to: the session's ear. Until that is open, keys wait in `early`."""

    def __init__(self) -> None:
        self._early: list[bytes] = []
        self.write: Callable[[bytes], object] = self._early.append
        # `Shell.closed` is told as well
        self.loseConnection = lambda: None

    def heard_by(self, write: Callable[[bytes], object]) -> None:
        self.write = write
        for data in self._early:
            write(data)


class _Pipe:
    """Results to stdout, errors to stderr."""

    def __init__(self, proto: SSHSessionProcessProtocol) -> None:
        self._proto = proto

    def shown(self, text: str) -> None:
        self._proto.write(text.encode(errors="replace"))

    def failed(self, text: str) -> None:
        self._proto.errReceived(text.encode(errors="replace"))

    def ended(self, status: int) -> None:
        _end(self._proto, status)


def _end(proto: SSHSessionProcessProtocol, status: int) -> None:
    channel = proto.session
    channel.conn.sendRequest(channel, b"exit-status", struct.pack(">L", status))
    channel.loseConnection()


class SshConsole(Service):
    """Listens for operators elsewhere. What keeps it from that is logged: control goes on."""

    log = Logger()

    def __init__(self, reactor: Any, settings: Settings, sessions: Sessions) -> None:
        self._reactor = reactor
        self._settings = settings
        self._sessions = sessions
        self._port: Any = None

    def startService(self) -> None:
        super().startService()
        settings, reactor = self._settings, self._reactor
        host, port = parse_address(settings.console.ssh, "console: ssh")
        portal = Portal(Realm(reactor, self._sessions), [KeyFile(settings.console.keys)])
        try:
            key = host_key(settings.manhole_key)
            factory = SshFactory(reactor, key, portal, self._sessions)
            self._port = reactor.listenTCP(port, factory, interface=host)
        except (OSError, ValueError, CannotListenError) as error:
            self.log.error("no manhole over SSH: {error}", error=error)
            return
        bound = self._port.getHost()
        where = (
            f"[{bound.host}]:{bound.port}" if ":" in bound.host else f"{bound.host}:{bound.port}"
        )
        noted = json.dumps([{"protocol": "ssh", "address": where}])
        settings.console_note.write_text(noted)
        self.log.info("the manhole is at {where} over SSH", where=where)

    def stopService(self) -> Any:
        super().stopService()
        self._settings.console_note.unlink(missing_ok=True)
        port, self._port = self._port, None
        return None if port is None else port.stopListening()

"""
What a keeper finds when it starts: an empty place, the family of one that was killed, or all
that was this process's own under older code.

In:  `tap.Options`, before anything runs.
Out: `Inheritance`: the lock that keeps a second keeper out, and either the listeners, newly
     bound, or the relatives that still hold them.
"""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

from attrs import asdict, frozen

from hostedge.errors import ConfigError
from hostedge.net.identity import is_working
from hostedge.net.listener import Listener, bind, bind_both
from hostedge.settings import Settings
from hostedge.supervise.handover import Handover
from hostedge.supervise.notes import replace_file
from hostedge.supervise.roles import make_folders, read_roles
from hostedge.version import VERSION


@frozen
class Relative:
    """One of the node's own processes, by what identifies it since boot."""

    role: str
    index: int
    pid: int
    started: int
    # its place is another's
    leaving: bool = False
    # the pid of the template that has forked it; 0: not known, or it is no edge
    template: int = 0
    # of the code that it runs; empty before it has linked
    version: str = ""

    def lives(self) -> bool:
        return is_working(self.pid, self.started)

    def is_same(self, other: Relative) -> bool:
        """Is this the same process, whatever else is known of it?"""
        return (self.pid, self.started, self.role) == (other.pid, other.started, other.role)


@frozen
class Inheritance:
    """
    Of `listeners` and `relatives` one is filled (a node may have no listeners at all); both when
    it comes from the code that was this process before: then `link` is the keeper's socket, too.
    """

    lock: int
    listeners: tuple[Listener, ...]
    relatives: tuple[Relative, ...]
    link: int = -1
    # descriptors of the daemons' listeners
    held: tuple[int, ...] = ()


def take_over(settings: Settings, handover: Handover | None = None) -> Inheritance:
    """
    Make the state folder, keep other keepers out, and bind what nobody holds.

    Raises:
        ConfigError: a keeper runs here already, or a folder or address cannot be had.
    """
    make_folders(settings, read_roles(settings))
    lock = _lock(settings) if handover is None else handover.lock
    _sign(lock)
    relatives = tuple(r for r in read_family(settings) if r.lives())
    if handover is not None:
        return Inheritance(lock, handover.open_listeners(), relatives, handover.link, handover.held)
    if relatives:
        return Inheritance(lock, (), relatives)
    return Inheritance(lock, bind_all(settings), ())


def bind_all(settings: Settings) -> tuple[Listener, ...]:
    """
    Raises:
        ConfigError: an address cannot be listened on; none stays bound then.
    """
    bound: list[Listener] = []
    listen = settings.listen
    try:
        for protocol, asked in listen.streams:
            key = protocol.replace("-", "_")
            bound.append(bind(protocol, asked, f"{settings.file}: listen: {key}"))
        for asked in listen.dns:
            bound.extend(bind_both(asked, f"{settings.file}: listen: dns"))
    except ConfigError:
        for listener in bound:
            listener.socket.close()
        raise
    return tuple(bound)


def _lock(settings: Settings) -> int:
    path = settings.run / "keeper.lock"
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise ConfigError(
            f"{settings.file}: state", f"{path} cannot be written: {error.strerror}"
        ) from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.pread(lock, 20, 0).decode("ascii", "replace").partition("\n")[0] or "unknown"
        os.close(lock)
        raise ConfigError(
            f"{settings.file}: state", f"a keeper runs in {settings.state} already, pid {pid}"
        ) from None
    return lock


def _sign(lock: int) -> None:
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n{VERSION}\n".encode(), 0)


def _family_file(settings: Settings) -> Path:
    return settings.run / "family.json"


def read_family(settings: Settings) -> list[Relative]:
    """The processes noted last, dead or alive; none if the note cannot be read."""
    try:
        noted = json.loads(_family_file(settings).read_text())
        return [Relative(**each) for each in noted]
    except (OSError, ValueError, TypeError):
        return []


def note_family(settings: Settings, relatives: list[Relative]) -> None:
    """Replace the note whole, so that a keeper that starts next knows whom to expect."""
    replace_file(_family_file(settings), json.dumps([asdict(each) for each in relatives]))

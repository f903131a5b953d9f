"""
The listeners of daemons: UNIX sockets that the keeper holds, and free ports.

In:  `supervise.running`, for each generation.
Out: `Held`; requests that connect to it wait in its backlog until the daemon accepts them, also
     when that is the next one.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import socket
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2s
from pathlib import Path
from random import randrange

BACKLOG = 1024
MAX_PATH = 107  # sockaddr_un, with the closing zero
SYS_PIDFD_GETFD = 438


class Held:
    """A listening UNIX socket and its name in the file system."""

    def __init__(self, listener: socket.socket, path: Path) -> None:
        self._listener = listener
        self.path = path
        self.inode = os.fstat(listener.fileno()).st_ino

    def fileno(self) -> int:
        return self._listener.fileno()

    def has_waiting(self) -> bool:
        """Has a connection come that nobody accepted?"""
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        """Who waits is sent away; whoever inherited the socket still has it."""
        self._listener.close()
        remove_name(self.path)


def remove_name(path: Path) -> None:
    """Nobody listens there any more. A name that stays refuses who connects, as if it were gone."""
    with suppress(OSError):
        path.unlink()


class Handed:
    """Listeners that the code before has handed over, until they are asked for or let go."""

    def __init__(self, descriptors: Iterable[int]) -> None:
        self._descriptors = {os.fstat(each).st_ino: each for each in descriptors}

    def take(self, inode: int, path: Path) -> Held | None:
        """The one with this inode, whose name in the file system is known; None: it is not here."""
        descriptor = self._descriptors.pop(inode, None)
        return None if descriptor is None else Held(socket.socket(fileno=descriptor), path)

    def close(self) -> None:
        """Nobody wants the others."""
        while self._descriptors:
            os.close(self._descriptors.popitem()[1])


def socket_path(folder: Path, account: str, app: str, generation: int) -> Path:
    """A name that says whose it is, or a short one where that would be too long to bind."""
    path = folder / f"{account}.{app}.{generation}.sock"
    if len(os.fsencode(path)) <= MAX_PATH:
        return path
    short = blake2s(f"{account}/{app}".encode(), digest_size=6).hexdigest()
    return folder / f"{short}.{generation}.sock"


def hold(path: Path) -> Held:
    """
    Bind and listen. Who may connect is decided by the folder.

    Raises:
        OSError: the path is too long, taken, or cannot be written.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(os.fspath(path))
        path.chmod(0o666)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return Held(listener, path)


def take_back(pid: int, inode: int, path: Path) -> Held | None:
    """The listener with this inode out of another process; None where the kernel forbids it."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return None
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            if os.readlink(f"/proc/{pid}/fd/{name}") == f"socket:[{inode}]":
                taken = ctypes.CDLL(None).syscall(SYS_PIDFD_GETFD, pidfd, int(name), 0)
                if taken >= 0 and os.fstat(taken).st_ino == inode:
                    os.set_inheritable(taken, False)
                    return Held(socket.socket(fileno=taken), path)
                if taken >= 0:
                    # whose process it is has put something else there meanwhile
                    os.close(taken)
    except OSError:
        return None
    finally:
        os.close(pidfd)
    return None


def free_port(host: str, ports: range | None = None) -> int:
    """
    A port that nobody listens on now: any, or one of these, beginning anywhere among them.

    Raises:
        OSError: none of them is free.
    """
    if ports is None:
        return _bound(host, 0)
    begin = randrange(len(ports))  # noqa: S311
    for place in range(len(ports)):
        port = ports[(begin + place) % len(ports)]
        try:
            return _bound(host, port)
        except OSError:
            continue
    raise OSError(errno.EADDRINUSE, f"no port from {ports[0]} to {ports[-1]} is free")


def _bound(host: str, port: int) -> int:
    with socket.socket() as probe:
        probe.bind((host, port))
        bound: int = probe.getsockname()[1]
        return bound

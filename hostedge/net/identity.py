"""
Who a process is, by the kernel's word.

In:  the links, the API and the manhole for whoever calls; `supervise.*` for what it has launched
     or taken over.
Out: pid, uid and start time; a pid alone is nobody's for long.
Spec: unix(7) for SO_PEERCRED, proc(5) for the start time.
"""

from __future__ import annotations

import os
import pwd
import signal
import socket
import struct

_UCRED = struct.Struct("3i")


def peer_credentials(peer: socket.socket) -> tuple[int, int]:
    """The pid and uid at the other end of a UNIX socket, as of its connect."""
    told = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
    pid, uid, _ = _UCRED.unpack(told)
    return pid, uid


def name_of_user(uid: int) -> str:
    """The user's name, or `uid 1234` for one without."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def process_started(pid: int) -> int:
    """
    When a process began, in clock ticks after boot: with the pid, its identity.

    Raises:
        ProcessLookupError: there is no such process.
    """
    return int(_stat(pid)[19])


def _stat(pid: int) -> list[bytes]:
    """The fields after the name, the state first."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(pid) from None


def is_running(pid: int, started: int) -> bool:
    """Is this pid still the process that began then?"""
    try:
        return pid > 0 and process_started(pid) == started
    except ProcessLookupError:
        return False


def is_working(pid: int, started: int) -> bool:
    """The same, and it has not ended: who only waits for burial holds no descriptor any more."""
    try:
        return is_running(pid, started) and _stat(pid)[0] not in (b"Z", b"X")
    except ProcessLookupError:
        return False


def kill(pid: int, started: int) -> None:
    """End the process that began then; nobody, if it has ended and its pid is another's."""
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        # asked after the pidfd was opened: from here on the pid cannot change its meaning
        if is_running(pid, started):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(pidfd)

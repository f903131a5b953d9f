"""
Who has an address that one cannot be given.

In:  `cli.node_checks`, for an address that is in use.
Out: name and pid, as far as /proc tells this user.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_LISTENS = "0A"  # of TCP; a socket of UDP is there or not


def holder(kind: socket.SocketKind, host: str, port: int, proc: Path = Path("/proc")) -> str:
    """Say who has a socket bound to this numeric address, or to all; empty if nobody can tell."""
    inodes = set(_bound(kind, host, port, proc))
    for entry in proc.iterdir() if inodes else ():
        # a process may end meanwhile, or be another user's
        with suppress(OSError):
            if entry.name.isdigit() and inodes & set(_sockets(entry)):
                name = (entry / "comm").read_text().strip()
                return f"{name}, pid {entry.name}"
    return ""


def _bound(kind: socket.SocketKind, host: str, port: int, proc: Path) -> Iterator[str]:
    """The inodes of the sockets that are bound to it."""
    is_tcp = kind == socket.SOCK_STREAM
    for family, version in ((socket.AF_INET, ""), (socket.AF_INET6, "6")):
        any_host = "::" if version else "0.0.0.0"  # noqa: S104 - read, not bound
        try:
            table = (proc / "net" / f"{'tcp' if is_tcp else 'udp'}{version}").read_text()
        except OSError:
            continue
        for line in table.splitlines()[1:]:
            words = line.split()
            address, _, number = words[1].partition(":")
            if int(number, 16) != port or (is_tcp and words[3] != _LISTENS):
                continue
            if socket.inet_ntop(family, _packed(address)) in (host, any_host):
                yield words[9]


def _packed(address: str) -> bytes:
    """The kernel writes an address as numbers of its own, of four bytes each."""
    numbers = (int(address[at : at + 8], 16) for at in range(0, len(address), 8))
    return b"".join(number.to_bytes(4, sys.byteorder) for number in numbers)


def _sockets(process: Path) -> Iterator[str]:
    for each in (process / "fd").iterdir():
        with suppress(OSError):
            target = os.readlink(each)
            if target.startswith("socket:["):
                yield target[8:-1]

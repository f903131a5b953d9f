"""
Which process has the other end of a connection: how one asks a certain edge.

In:  `scale`, with the pids of the edges.
Out: one kept-alive connection to each edge.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path

from benchmarks.probe import OneName
from benchmarks.stage import NotMeasured

SOCKET = re.compile(r"socket:\[(\d+)\]")


def hex_address(address: tuple[str, int]) -> str:
    """Write an IPv4 address and port as /proc/net/tcp does."""
    return f"{socket.inet_aton(address[0])[::-1].hex().upper()}:{address[1]:04X}"


def find_inode(table: str, local: tuple[str, int], remote: tuple[str, int]) -> int | None:
    """Find the inode of the socket with these ends in a table like /proc/net/tcp."""
    ends = [hex_address(local), hex_address(remote)]
    for line in table.splitlines()[1:]:
        columns = line.split()
        if columns[1:3] == ends:
            return int(columns[9])
    return None


def inodes_of(pid: int) -> set[int]:
    """Give the inodes of the sockets that a process has open."""
    folder = Path(f"/proc/{pid}/fd")
    found = set()
    for name in os.listdir(folder):
        try:
            match = SOCKET.fullmatch(os.readlink(folder / name))
        except OSError:
            continue
        if match:
            found.add(int(match[1]))
    return found


def owner(connected: socket.socket, pids: Sequence[int]) -> int | None:
    """Say which of these processes accepted our connection."""
    table = Path("/proc/net/tcp").read_text()
    inode = find_inode(table, connected.getpeername(), connected.getsockname())
    return next((pid for pid in pids if inode in inodes_of(pid)), None)


def connect_each(port: int, name: str, pids: Sequence[int]) -> dict[int, OneName]:
    """
    Open connections until each of these processes has one, and give one for each.

    Raises:
        NotMeasured: if one of them accepts none of 200.
    """
    found: dict[int, OneName] = {}
    spare: list[OneName] = []
    for _ in range(200):
        connection = OneName(port, name, tls=False)
        connection.get()
        pid = owner(connection.sock, pids)
        if pid is None or pid in found:
            # kept open for now: an edge with more connections leaves the next to the other
            spare.append(connection)
        else:
            found[pid] = connection
        if len(found) == len(pids):
            break
    for connection in spare:
        connection.close()
    if len(found) < len(pids):
        raise NotMeasured(f"of {len(pids)} edges only {len(found)} accept connections")
    return found

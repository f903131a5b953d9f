"""
Where a daemon's processes listen: asked once, when one has not answered in time.

In:  `supervise.supervised` with the pid that was launched, before it is ended.
Out: addresses as the daemon would write them, `127.0.0.1:8000`, `[::]:80`.
Spec: proc(5): /proc/PID/fd, /proc/PID/net/tcp and tcp6.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from hostedge.supervise.gauge import descendants

# what is looked at of one daemon: processes, and what they have open; its owner decides how many
# there are, and the keeper waits meanwhile
MOST = 100
MOST_OPEN = 20_000

_LISTEN = "0A"
_PROC = Path("/proc")


def listens(pid: int) -> list[str] | None:
    """
    Where this process or one that it has started listens over TCP; None: that cannot be seen.
    """
    try:
        opened = (link for each in list(descendants(pid))[:MOST] for link in _open(each))
        links = list(islice(opened, MOST_OPEN + 1))
        tables = [(_PROC / f"{pid}/net/{name}").read_text() for name in ("tcp", "tcp6")]
    except OSError:
        return None
    if len(links) > MOST_OPEN:
        return None
    inodes = set(map(_inode, links))
    found = {where for table in tables for where, inode in _listening(table) if inode in inodes}
    return sorted(found)


def _open(pid: int) -> Iterator[str]:
    """
    What it has open.

    Raises:
        OSError: it is gone, or another user's.
    """
    folder = f"/proc/{pid}/fd"
    for name in os.listdir(folder):
        try:
            yield os.readlink(f"{folder}/{name}")
        except OSError:
            continue


def _inode(link: str) -> str:
    """Of a socket; empty for everything else."""
    return link[len("socket:[") : -1] if link.startswith("socket:[") else ""


def _listening(table: str) -> Iterator[tuple[str, str]]:
    """Address and inode of each socket that listens."""
    for line in table.splitlines()[1:]:
        columns = line.split()
        if len(columns) > 9 and columns[3] == _LISTEN:
            yield address_of(columns[1]), columns[9]


def address_of(column: str) -> str:
    """`0100007F:1F90` is 127.0.0.1:8080: words of four bytes in the order of the machine."""
    words, _, port = column.partition(":")
    packed = b"".join(
        int(words[place : place + 8], 16).to_bytes(4, sys.byteorder)
        for place in range(0, len(words), 8)
    )
    if len(packed) == 4:
        return f"{socket.inet_ntop(socket.AF_INET, packed)}:{int(port, 16)}"
    return f"[{socket.inet_ntop(socket.AF_INET6, packed)}]:{int(port, 16)}"

"""
What a peer has to be: one server, configured to do the same work as every other.

In:  `peers.known` lists them; `__main__` starts each on its stage.
Out: `Running`, with a door for each protocol that the peer serves.

A relay's work: relay to the origin over kept-alive connections as far as the peer can, set
X-Forwarded-For and X-Forwarded-Proto and a request id, and append a line of JSON for each
request to an access log: time, client, host, method, path, status, bytes, duration, upstream,
id. It tunnels WebSockets under `ECHO` to the echo server: there one line a connection is what
all of them write. The large file, and what goes to `UPLOAD`, it passes on while it comes. A DNS
server serves the zone, and logs no question. What a peer cannot write, or cannot leave out, its
module's docstring says.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Protocol

from attrs import frozen

from benchmarks.stage import Stage

# where WebSockets are, and where uploads go
ECHO = "/echo"
UPLOAD = "/upload"
# connections that a peer has room for
ROOM = 8192


@frozen
class Behind:
    """What all peers have to give."""

    # ports of 127.0.0.1: the origin, the echo server, and what takes uploads
    http: int
    websocket: int
    upload: int
    # the zone's file
    zone: Path


@frozen
class Running:
    """A peer that accepts connections."""

    name: str
    version: str
    process: subprocess.Popen[bytes]
    # door (`http`, `https`, `h2`, `large`, `websocket`, `dns`) -> port of 127.0.0.1
    doors: dict[str, int]
    # a DNS server has none
    access_log: Path | None


class Peer(Protocol):
    """One server, by the name it has in the results."""

    @property
    def name(self) -> str: ...

    def start(self, stage: Stage, behind: Behind) -> Running:
        """
        Start it on the proxies' core.

        Raises:
            NotMeasured: if it is not installed or does not come up.
        """


def first_line(command: list[str]) -> str:
    """Give the first line that a program prints about its version."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"

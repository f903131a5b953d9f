"""
What a peer has to be: one proxy, configured to do the same work as every other.

In:  `peers.known` lists them; `__main__` starts each on its stage.
Out: `Running`, with a door for each protocol that the peer serves.

The work: relay to the origin over kept-alive connections as far as the peer can, set
X-Forwarded-For and X-Forwarded-Proto and a request id, and append a line of JSON for each
request to an access log: time, client, host, method, path, status, bytes, duration, upstream,
id. What a peer cannot write, or cannot leave out, its module's docstring says.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Protocol

from attrs import frozen

from benchmarks.stage import Stage


@frozen
class Running:
    """A peer that accepts connections."""

    name: str
    version: str
    process: subprocess.Popen[bytes]
    # protocol of a door (`http`, `https`) -> port of 127.0.0.1
    doors: dict[str, int]
    access_log: Path


class Peer(Protocol):
    """One proxy, by the name it has in the results."""

    @property
    def name(self) -> str: ...

    def start(self, stage: Stage, origin: int) -> Running:
        """
        Start it on the proxies' core, before an origin on this port of 127.0.0.1.

        Raises:
            NotMeasured: if it is not installed or does not come up.
        """


def first_line(command: list[str]) -> str:
    """Give the first line that a program prints about its version."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"

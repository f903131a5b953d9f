"""
Where and with what a run was measured.

In:  `__main__` and `scale`, for the `meta` of their documents.
Out: plain values.
"""

from __future__ import annotations

import os
import platform
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.peers.kind import Running


def processor() -> str:
    """Give the processor's name as the kernel knows it."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def describe(peers: Sequence[Running]) -> dict[str, object]:
    """Give the machine, the moment and the versions."""
    return {
        "when": datetime.now(tz=UTC).isoformat(timespec="seconds"),
        "processor": processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "openssl": ssl.OPENSSL_VERSION,
        "versions": {peer.name: peer.version for peer in peers},
    }

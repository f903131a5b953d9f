"""
Where the output of daemons goes.

In:  `supervise.running` names the file, `supervise.process` opens it for a new process.
Out: descriptors that only append; nothing of the output passes through this process.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

TAIL = 2048  # bytes of a log that are looked through for its last line


def app_log(logs: Path, account: str, app: str) -> Path:
    return logs / "apps" / account / f"{app}.log"


def open_log(path: Path) -> int:
    """
    Open for appending; the folders are made. The caller closes the descriptor.

    Raises:
        OSError: it cannot be opened, or is a link or anything else but a file.
    """
    path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    # a FIFO in its place must neither block this nor be written to
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o640)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is no regular file")
    os.set_blocking(descriptor, True)
    return descriptor


def last_line(path: Path) -> str:
    """What a daemon said last, for the reason of its end; empty if nothing can be read."""
    try:
        with path.open("rb") as log:
            log.seek(-min(TAIL, log.seek(0, os.SEEK_END)), os.SEEK_END)
            lines = log.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")

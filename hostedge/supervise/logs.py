"""
Where the output of daemons goes, and what is told of them.

In:  `supervise.running` names the file, `supervise.process` opens it for a new process.
Out: descriptors that only append; nothing of the output passes through this process.

    log/apps/ACCOUNT/APP.log       what a daemon says; APP.log.1… are made by `supervise.log_bounds`
    log/apps/ACCOUNT/APP.events    what has happened to it: `supervise.event_log`

No link is followed below the logs' folder, neither to a file nor to a folder.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TAIL = 64 * 1024  # bytes of a log that are looked through for what a daemon said last
APPS = "apps"

_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
# a FIFO in its place must neither block this nor be written to
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def app_log(logs: Path, account: str, app: str) -> Path:
    """Where this app's output goes."""
    return logs / APPS / account / f"{app}.log"


def app_events(logs: Path, app: str) -> Path:
    """Where it is written what has happened to `account/name`."""
    account, _, name = app.partition("/")
    return logs / APPS / account / f"{name}.events"


@contextmanager
def folder_of(path: Path, make: bool = False) -> Iterator[int]:
    """
    The descriptor of the folder that a log lies in. The folders of accounts are not followed
    where they are links.

    Raises:
        OSError: there is none, or something else is in its place.
    """
    *_, apps, account, _ = ("", *path.parts)
    if apps != APPS:
        if make:
            path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        place = os.open(path.parent, _FOLDER)
    else:
        if make:
            path.parents[2].mkdir(mode=0o750, parents=True, exist_ok=True)
        place = os.open(path.parents[2], _FOLDER)
        for name in (apps, account):
            outer = place
            try:
                if make:
                    _make_folder(name, outer)
                place = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=outer)
            finally:
                os.close(outer)
    try:
        yield place
    finally:
        os.close(place)


def _make_folder(name: str, outer: int) -> None:
    try:
        os.mkdir(name, 0o750, dir_fd=outer)
    except FileExistsError:
        return


def open_file(folder: int, name: str, flags: int) -> int:
    """
    Open a log in an open folder; the caller closes the descriptor.

    Raises:
        OSError: it cannot be opened, or is a link or anything else but a file.
    """
    descriptor = os.open(name, flags | _FILE, 0o640, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{name} is no regular file")
    os.set_blocking(descriptor, True)
    return descriptor


def open_log(path: Path) -> int:
    """
    Open for appending; the folders are made. The caller closes the descriptor.

    Raises:
        OSError: it cannot be opened, or is a link or anything else but a file.
    """
    with folder_of(path, make=True) as folder:
        return open_file(folder, path.name, os.O_WRONLY | os.O_APPEND | os.O_CREAT)


def size_of(path: Path) -> int:
    """How long a log is; 0 where there is none."""
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def read_tail(path: Path, since: int = 0, most: int = TAIL) -> list[str]:
    """
    The lines of a log from this byte on, as far as they lie in its last `most` bytes; all of
    those if it is shorter by now. None where nothing can be read.
    """
    try:
        with folder_of(path) as folder:
            descriptor = open_file(folder, path.name, os.O_RDONLY)
        with os.fdopen(descriptor, "rb") as log:
            size = log.seek(0, os.SEEK_END)
            begin = max(since if since <= size else 0, size - most)
            log.seek(begin)
            text = log.read(most).decode("utf-8", "replace")
    except OSError:
        return []
    lines = text.split("\n")
    # the first is the rest of one that began before
    return [line.rstrip("\r") for line in (lines[1:] if begin > since else lines)]


def last_line(path: Path) -> str:
    """What a daemon said last, for the reason of its end; empty if nothing can be read."""
    lines = read_tail(path, most=2048)
    return next((line.strip() for line in reversed(lines) if line.strip()), "")

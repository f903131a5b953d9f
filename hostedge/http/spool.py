"""
Bytes that are kept until somebody takes them: first in memory, then in a file without a name.

In:  `http.relay` appends a body.
Out: the same bytes, in order; `rewind` gives them once more.

A client may have a hundred bodies under way on one connection, and an address many connections. So
memory is counted for each connection, and the disk for all of an edge.
"""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path
from typing import IO

from hostedge.http.exchange import Holder
from hostedge.net.descriptors import Files

# of what is free when the edge begins, its spools may take this share
DISK_SHARE = 0.5


class Disk:
    """What all spools of an edge have on disk, and how much that may be."""

    def __init__(self, limit: int, files: Files) -> None:
        self.limit = limit
        self.files = files
        self.size = 0

    def take(self, size: int) -> None:
        """
        So much more is to be written.

        Raises:
            OSError: that is too much.
        """
        if self.size + size > self.limit:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        self.size += size


def disk_for(folder: Path, edges: int) -> int:
    """Bytes that each of so many edges may have on the disk: half of what is free there now."""
    about = os.statvfs(folder)
    return int(about.f_bavail * about.f_frsize * DISK_SHARE / edges)


class Spool:
    """
    A body of at most `limit` bytes.

    What goes into the file does so once the bodies of its holder have `memory` bytes in memory.
    Whoever is done with it closes it; if that was forgotten, it is done with the last reference.
    """

    __slots__ = (
        "size",
        "limit",
        "_memory",
        "_holder",
        "_disk",
        "_kept",
        "_file",
        "_stored",
        "_read",
    )

    def __init__(self, memory: int, limit: int, holder: Holder, disk: Disk) -> None:
        self.size = 0
        self.limit = limit
        self._memory = memory
        self._holder = holder
        self._disk = disk
        self._kept = bytearray()
        self._file: IO[bytes] | None = None
        # bytes of the file that count, also where writing them has failed half-way
        self._stored = 0
        self._read = 0

    @property
    def unread(self) -> int:
        return self.size - self._read

    @property
    def in_memory(self) -> int:
        """Bytes that are in no file."""
        return len(self._kept)

    @property
    def is_full(self) -> bool:
        return self.size >= self.limit

    def append(self, data: bytes) -> None:
        """
        Add to the end. The limit is for whoever fills it: nothing is refused here.

        Raises:
            OSError: the disk takes no more, or no file can be opened.
        """
        if self._file is None:
            room = max(0, self._memory - self._holder.kept)
            if len(data) <= room:
                self._keep(data)
                return
            # before anything is kept of it: there may be no descriptor
            self._file = tempfile.TemporaryFile(buffering=0)
            self._disk.files.count += 1
            if room:
                self._keep(data[:room])
                data = data[room:]
        self._store(self._file, data)

    def _keep(self, data: bytes) -> None:
        self._kept += data
        self._holder.kept += len(data)
        self.size += len(data)

    def _store(self, file: IO[bytes], data: bytes) -> None:
        self._disk.take(len(data))
        self._stored += len(data)
        offset = self.size - len(self._kept)
        view = memoryview(data)
        while view:
            written = os.pwrite(file.fileno(), view, offset)
            offset += written
            view = view[written:]
        self.size += len(data)

    def read(self, size: int) -> bytes:
        """Take the next bytes, at most `size`; empty when all were taken."""
        start = self._read
        kept = len(self._kept)
        if start < kept:
            data = bytes(self._kept[start : start + size])
        elif self._file is not None:
            data = os.pread(self._file.fileno(), size, start - kept)
        else:
            return b""
        self._read += len(data)
        return data

    def rewind(self) -> None:
        """Read from the start again."""
        self._read = 0

    def reset(self) -> None:
        """Forget what is in it; the file, if there is one, is kept for more."""
        self.size = self._read = 0
        self._forget()
        if self._file is not None:
            self._file.truncate(0)

    def close(self) -> None:
        self._forget()
        if self._file is not None:
            self._disk.files.count -= 1
            self._file.close()
            self._file = None

    def _forget(self) -> None:
        self._holder.kept -= len(self._kept)
        self._kept.clear()
        self._disk.size -= self._stored
        self._stored = 0

    def __del__(self) -> None:
        self.close()

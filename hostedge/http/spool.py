"""
Bytes that are kept until somebody takes them: first in memory, then in a file without a name.

In:  `http.relay` appends a body.
Out: the same bytes, in order; `rewind` gives them once more.
"""

from __future__ import annotations

import os
import tempfile
from typing import IO


class Spool:
    """
    A body of at most `limit` bytes.

    The first `memory` bytes stay in memory, what comes after them lies in the file.
    """

    __slots__ = ("size", "limit", "_memory", "_kept", "_file", "_read")

    def __init__(self, memory: int, limit: int) -> None:
        self.size = 0
        self.limit = limit
        self._memory = memory
        self._kept = bytearray()
        self._file: IO[bytes] | None = None
        self._read = 0

    @property
    def unread(self) -> int:
        return self.size - self._read

    @property
    def is_full(self) -> bool:
        return self.size >= self.limit

    def append(self, data: bytes) -> None:
        """
        Add to the end. The limit is for whoever fills it: nothing is refused here.

        Raises:
            OSError: the disk takes no more.
        """
        room = self._memory - len(self._kept)
        if self._file is None and len(data) <= room:
            self._kept += data
        else:
            if self._file is None:
                self._kept += data[:room]
                data = data[room:]
                self.size += room
                self._file = tempfile.TemporaryFile(buffering=0)
            self._store(self._file, data)
        self.size += len(data)

    def _store(self, file: IO[bytes], data: bytes) -> None:
        offset = self.size - len(self._kept)
        view = memoryview(data)
        while view:
            written = os.pwrite(file.fileno(), view, offset)
            offset += written
            view = view[written:]

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
        self._kept.clear()
        if self._file is not None:
            self._file.truncate(0)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

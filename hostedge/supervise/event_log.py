"""
What has happened to an app, in a file beside its log.

In:  `supervise.events` with each line, at most some a minute of each kind and app.
Out: `log/apps/ACCOUNT/APP.events`: one JSON object a line; bounded, one older file is kept.

A disk that is full costs the line, which is counted, and nobody waits for it.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.logger import Logger

from hostedge.supervise.logs import app_events, folder_of, open_file

SIZE = 1024 * 1024  # bytes; some thousand events


class EventLog:
    """Files are open only while a line is written: there may be as many as there are apps."""

    log = Logger()

    def __init__(self, logs: Path) -> None:
        self._logs = logs
        # lines that could not be written
        self.dropped = 0

    def write(self, app: str, line: bytes) -> None:
        """Append a line to what is known of an app."""
        try:
            self._append(app_events(self._logs, app), line)
        except OSError as error:
            if not self.dropped:
                self.log.warn("{app}: an event is not written: {error}", app=app, error=error)
            self.dropped += 1

    def _append(self, path: Path, line: bytes) -> None:
        with folder_of(path, make=True) as folder:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            file = open_file(folder, path.name, flags)
            try:
                size = os.fstat(file).st_size
                if size + len(line) >= SIZE:
                    os.rename(path.name, f"{path.name}.1", src_dir_fd=folder, dst_dir_fd=folder)
                    os.close(file)
                    file, size = -1, 0
                    file = open_file(folder, path.name, flags)
                if os.write(file, line + b"\n") <= len(line):
                    # half a line would spoil the next one
                    os.ftruncate(file, size)
                    raise OSError("the disk is full")
            finally:
                if file >= 0:
                    os.close(file)

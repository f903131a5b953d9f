"""
What keeps the logs of daemons within bounds, while they are being written to.

In:  `supervise.events` says which apps have processes; the reactor's clock, each second.
Out: `APP.log` cut to nothing when it is too long, what was in it in `APP.log.1`, older in `.2`…

A daemon holds its log open and cannot be told to open another. So the log is copied, in a thread
and by the kernel, then cut: it was opened to append, and the daemon goes on at the new end. What
is written between the last look and the cut is lost: microseconds. Neither the daemon nor the
keeper ever waits. Of a flood only the last `SIZE` bytes are copied, and hardly more; and it is
looked at again sooner, so that a disk holds what comes in a fraction of a second, and no more.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from hostedge.supervise.event import BEGINS, ENDS, Event
from hostedge.supervise.logs import app_log, folder_of, open_file, size_of

SIZE = 10 * 1024 * 1024  # bytes of one file
FILES = 5  # the log and older ones
EVERY = 1.0  # seconds between two looks at a log
ROOM = 8  # part of a file's size that an older one may have in addition, so that nothing is lost
LAST_WORDS = 64 * 1024  # bytes at the end of a flood that are kept in any case
SLICES = 10  # parts of a second in which a part of the logs is looked at
AGAIN = 0.1  # seconds until the next look at one that is flooded


# Runs a function in a thread; fires with what it returns.
InThread = Callable[..., Deferred[Any]]


class LogBounds:
    """
    Only logs of apps that have processes are looked at, and one at a time is copied. `counts`
    has how often a log was cut, and the bytes that are in no file any more.
    """

    log = Logger()

    def __init__(
        self, clock: Any, logs: Path, in_thread: InThread, size: int = SIZE, files: int = FILES
    ) -> None:
        self._clock = clock
        self._logs = logs
        self._in_thread = in_thread
        self._size = size
        self._files = files
        self.counts = {"log_cuts": 0, "log_lost_bytes": 0}
        # generations that may write, by app
        self._writers: dict[str, set[int]] = {}
        self._line: deque[str] = deque()
        self._wanted: dict[str, None] = {}
        # the app whose log is being cut
        self._cutting = ""
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock

    def hear(self, happened: Event) -> None:
        """A process has come or gone."""
        app = happened.app
        if happened.event in BEGINS:
            if app not in self._writers:
                self._writers[app] = set()
                self._line.append(app)
            self._writers[app].add(happened.generation)
            if not self._looking.running:
                self._looking.start(EVERY / SLICES, now=False)
        elif happened.event in ENDS and app in self._writers:
            self._writers[app].discard(happened.generation)
            if not self._writers[app]:
                del self._writers[app]
                # its last words may have been many
                self._look_at(app)

    def stop(self) -> None:
        """Look no more."""
        if self._looking.running:
            self._looking.stop()

    def _look(self) -> None:
        for _ in range(-(-len(self._line) // SLICES)):
            app = self._line.popleft()
            if app in self._writers:
                self._line.append(app)
                self._look_at(app)
        if not self._line:
            self._looking.stop()

    def _look_at(self, app: str) -> None:
        if app != self._cutting and size_of(self._path(app)) > self._size:
            self._wanted[app] = None
            self._cut_next()

    def _path(self, app: str) -> Path:
        account, _, name = app.partition("/")
        return app_log(self._logs, account, name)

    def _cut_next(self) -> None:
        if self._cutting or not self._wanted:
            return
        app = self._cutting = next(iter(self._wanted))
        del self._wanted[app]
        cutting = self._in_thread(cut, self._path(app), self._size, self._files)
        cutting.addCallbacks(self._was_cut, self._not_cut, (app,), errbackArgs=(app,))
        cutting.addBoth(self._over)

    def _was_cut(self, result: tuple[int, int], app: str) -> None:
        there, lost = result
        self.counts["log_cuts"] += there > self._size
        self.counts["log_lost_bytes"] += lost
        if there > 2 * self._size:
            self._clock.callLater(AGAIN, self._look_at, app)

    def _not_cut(self, failure: Failure, app: str) -> None:
        # something else is in its place, which no daemon writes to through us
        failure.trap(OSError)
        self.log.warn("{app}: its log stays as it is: {error}", app=app, error=failure.value)

    def _over(self, result: Any) -> Any:
        self._cutting = ""
        self._cut_next()
        return result


def cut(path: Path, size: int, files: int) -> tuple[int, int]:
    """
    Make a log that is longer than `size` empty, and what was in it the first of the older files,
    of which one less than `files` are kept; of one that is much longer, its last `size` bytes.

    Returns how long it was, and how many bytes of it are in no file. A disk that is full costs
    bytes and nothing else: the log is empty in any case.

    Raises:
        OSError: it cannot be opened, or something else is in its place.
    """
    with folder_of(path) as folder:
        log = open_file(folder, path.name, os.O_RDWR)
        try:
            there = os.fstat(log).st_size
            if there <= size:
                return there, 0
            most = size + size // ROOM
            begin = 0 if there <= most else there - size
            try:
                copied = _copy(folder, path.name, log, begin, most, files)
            except OSError:
                copied = 0
            there = os.fstat(log).st_size
            os.ftruncate(log, 0)
            return there, max(0, there - copied)
        finally:
            os.close(log)


def _copy(folder: int, name: str, log: int, begin: int, most: int, files: int) -> int:
    """Copy from there to the end, with what comes meanwhile, but never more than `most`."""
    for older in range(files - 1, 1, -1):
        with suppress(FileNotFoundError):
            os.rename(
                f"{name}.{older - 1}", f"{name}.{older}", src_dir_fd=folder, dst_dir_fd=folder
            )
    with suppress(FileNotFoundError):
        # a link is removed, not followed
        os.unlink(f"{name}.1", dir_fd=folder)
    copy = open_file(folder, f"{name}.1", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        return copy_bytes(log, copy, begin, most)
    finally:
        os.close(copy)


def copy_bytes(source: int, target: int, begin: int, most: int) -> int:
    """
    Copy from there to the end of a file that may grow meanwhile: no more than `most`, and then
    its last words. Returns how many bytes that were; fewer where the disk is full.

    Raises:
        OSError: nothing could be copied.
    """
    done = _copy_from(source, target, begin, most)
    if done == most:
        # more has come than there is room for: what is said last counts more than the rest
        latest = max(begin + done, os.fstat(source).st_size - LAST_WORDS)
        done += _copy_from(source, target, latest, LAST_WORDS)
    return done


def _copy_from(source: int, target: int, begin: int, most: int) -> int:
    done = 0
    os.lseek(source, begin, os.SEEK_SET)
    try:
        while done < most:
            more = _copy_some(source, target, most - done)
            if not more:
                break
            done += more
    except OSError:
        # no room for more of it
        if not done:
            raise
    return done


def _copy_some(source: int, target: int, most: int) -> int:
    try:
        return os.copy_file_range(source, target, most)
    except OSError:
        # not every file system can; what is wrong otherwise is wrong here, too
        return os.sendfile(target, source, None, most)

"""
When a daemon that works is replaced all the same: it takes too much memory, or its owner has
touched a file.

In:  `supervise.supervised` with its app's states, wakes and activity.
Out: the event that says why, when it is time.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hostedge.supervise.alarm import Alarm, Clock

LOOK_EVERY = 10.0  # seconds


class Renewal:
    """
    A generation is replaced for its memory once: when the next one does not come up, the old one
    serves on until something else changes. One that is too large from the beginning is only told
    of: the next one would be no smaller.
    """

    def __init__(self, clock: Clock, memory: Callable[[int], int]) -> None:
        self._clock = clock
        # bytes that a generation takes
        self._memory = memory
        self._most = 0
        self._file: Path | None = None
        self._seen = 0
        self._looked = 0.0
        # the generations that last were within the bounds, and beyond them
        self._fitted = 0
        self._outgrown = 0
        # the one that is looked at, and when next
        self._watched = 0
        self._due = 0.0
        self._alarm = Alarm(clock)

    def configure(self, most: int, file: Path | None) -> None:
        """Bytes, 0: any number; the file, None: there is none."""
        self._most = most
        if file != self._file:
            self._file = file
            self.launched()

    def launched(self) -> None:
        """What starts now knows what its owner has done until now."""
        self._seen = self._touched()

    def _touched(self) -> int:
        if self._file is None:
            return 0
        try:
            return self._file.lstat().st_mtime_ns
        except OSError:
            return 0

    def is_touched(self, now: bool) -> bool:
        """Has the file changed since it was looked at? Looked at every ten seconds, or `now`."""
        if self._file is None:
            return False
        seconds = self._clock.seconds()
        if not now and seconds - self._looked < LOOK_EVERY:
            return False
        self._looked = seconds
        seen, self._seen = self._seen, self._touched()
        return self._seen != seen

    def watch(self, generation: int, outgrown: Callable[[int, bool], None]) -> None:
        """
        From now on look at this one's memory; `outgrown` is called with its size, and whether it
        has grown to it. Pauses count: who never serves for long at a time is looked at as well.
        """

        def look() -> None:
            size = self._memory(generation)
            if size <= self._most:
                self._fitted = generation
                self._due = self._clock.seconds() + LOOK_EVERY
                self._alarm.set(LOOK_EVERY, look)
                return
            self._outgrown = generation
            outgrown(size, self._fitted == generation)

        now = self._clock.seconds()
        if generation != self._watched:
            self._watched, self._due = generation, now + LOOK_EVERY
        if self._most and generation != self._outgrown:
            self._alarm.set(max(self._due - now, 0.0), look)
        else:
            self._alarm.clear()

    def pause(self) -> None:
        """It does not serve now, or is about to be replaced anyway."""
        self._alarm.clear()

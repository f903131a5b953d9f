"""
How long each app takes to start, learnt from its last starts.

In:  `supervise.supervised` with each start that has come to its first answer.
Out: the seconds that half of its last starts took at most.

One line a start in one file, written without waiting for the disk; read when a keeper starts.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from pathlib import Path
from statistics import median

from twisted.logger import Logger

from hostedge.supervise.notes import replace_file

KEPT = 20  # starts of an app
APPS = 10_000  # those that have started last
LINES_MOST = 2 * KEPT * APPS  # in the file; then it is written anew


class StartTimes:
    log = Logger()

    def __init__(self, file: Path) -> None:
        self._file = file
        self._taken: OrderedDict[str, deque[float]] = OrderedDict()
        self._lines = 0
        self._read()

    def _read(self) -> None:
        try:
            text = self._file.read_text()
        except (OSError, UnicodeDecodeError):
            return
        for line in text.splitlines():
            app, _, seconds = line.partition(" ")
            try:
                self._note(app, float(seconds))
            except ValueError:
                # cut short when its keeper was killed
                continue

    def _note(self, app: str, seconds: float) -> None:
        self._lines += 1
        self._taken.setdefault(app, deque(maxlen=KEPT)).append(seconds)
        self._taken.move_to_end(app)
        if len(self._taken) > APPS:
            self._taken.popitem(last=False)

    def note(self, app: str, seconds: float) -> None:
        """A start of this app has taken so long."""
        self._note(app, seconds)
        try:
            if self._lines > LINES_MOST:
                self._write()
            else:
                with self._file.open("a") as file:
                    file.write(f"{app} {seconds:.3f}\n")
        except OSError as error:
            # it is known all the same, until this keeper ends
            self.log.error(
                "{app}: what its start took is not written: {error}", app=app, error=error
            )

    def _write(self) -> None:
        lines = [f"{app} {each:.3f}\n" for app, taken in self._taken.items() for each in taken]
        replace_file(self._file, "".join(lines))
        self._lines = len(lines)

    def expect(self, app: str) -> float:
        """Seconds that a start of this app takes; 0: nobody knows."""
        taken = self._taken.get(app)
        return median(taken) if taken else 0.0

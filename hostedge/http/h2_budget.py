"""
What a client of HTTP/2 may do without being a flood.

In:  `http.h2_engine`, with the moment, for what costs us more than the client.
Out: nothing, or `Flood`: the connection ends with ENHANCE_YOUR_CALM.
Spec: RFC 9113 section 10.5, CVE-2023-44487, CVE-2025-8671, CVE-2019-9511 to 9518.
"""

from __future__ import annotations

from hostedge.errors import BadRequest
from hostedge.wire.h2_frame import DATA, PING, PRIORITY, SETTINGS, WINDOW_UPDATE

_KINDS = {PING: "pings", SETTINGS: "settings"}

# streams that were cancelled before we answered, refused, or reset by us for their faults
RESETS = 200.0
RESETS_PER_SECOND = 20.0
PERIOD = 60.0
# frames in a period; those that nothing is done for share a number, which new streams raise:
# a browser says more than once which of a page's images matters
PER_PERIOD = {PING: 60, SETTINGS: 14}
OTHERS = 120
OTHERS_OF_STREAM = 8
# window updates: a few, and so many for each stream and each ten frames of data sent
FREE_UPDATES = 5
UPDATES = 2
EMPTY_IN_A_ROW = 16
# all that came may be so many times the fields and bodies, once there is enough to judge
OVERHEAD = 8
FREE_BYTES = 1_048_576


class Flood(BadRequest):
    """Too much of something; `kind` is one of `observe.counters.H2_FLOODS`."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__("bad_request", detail)
        self.kind = kind


class Budget:
    """One connection's. Counts of frames start anew in each period."""

    def __init__(self) -> None:
        self._resets = RESETS
        self._resets_at = 0.0
        self._since = 0.0
        self._frames: dict[int, int] = {}
        self._updates = self._empty = 0
        # how many streams there were at the last frame without use, and at that of the last period
        self._streams = self._streams_before = 0

    def spend_reset(self, now: float) -> None:
        """
        A stream has ended before its time.

        Raises:
            Flood: too many of them.
        """
        earned = (now - self._resets_at) * RESETS_PER_SECOND
        self._resets = min(RESETS, self._resets + earned) - 1
        self._resets_at = now
        if self._resets < 0:
            raise Flood("resets", "resets")

    def spend_frame(self, kind: int, now: float) -> None:
        """
        A frame that has to be answered has come.

        Raises:
            Flood: too many of its kind.
        """
        if self._count(kind, now) > PER_PERIOD[kind]:
            raise Flood(_KINDS[kind], f"frames of type {kind}")

    def spend_other(self, now: float, streams: int) -> None:
        """
        A frame that nothing is done for has come; `streams` are all there ever were.

        Raises:
            Flood: too many of them.
        """
        count = self._count(PRIORITY, now)
        if count == 1:
            self._streams_before = self._streams
        self._streams = streams
        if count > OTHERS + OTHERS_OF_STREAM * (streams - self._streams_before):
            raise Flood("useless", "frames without use")

    def _count(self, kind: int, now: float) -> int:
        if now - self._since >= PERIOD:
            self._since = now
            self._frames.clear()
        count = self._frames[kind] = self._frames.get(kind, 0) + 1
        return count

    def spend_update(self, streams: int, data_frames: int) -> None:
        """
        A window has been opened; `streams` and `data_frames` are all there ever were.

        Raises:
            Flood: more often than a client that reads has reason to.
        """
        self._updates += 1
        if self._updates > FREE_UPDATES + UPDATES * (streams + 10 * data_frames):
            raise Flood("updates", f"frames of type {WINDOW_UPDATE}")

    def spend_empty(self) -> None:
        """
        A frame of data without data has come, and is not the last.

        Raises:
            Flood: too many in a row.
        """
        self._empty += 1
        if self._empty > EMPTY_IN_A_ROW:
            raise Flood("empty", f"empty frames of type {DATA}")

    def earn_data(self) -> None:
        """A frame with data has come."""
        self._empty = 0

    def check_overhead(self, received: int, useful: int) -> None:
        """
        Compare all bytes that ever came with the fields and bodies, in them and in the answers.

        Raises:
            Flood: nearly all of it is frames around nothing.
        """
        if received > OVERHEAD * (useful + FREE_BYTES):
            raise Flood("overhead", "frames around nothing")

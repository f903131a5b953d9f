"""
What an HTTP/2 connection has to send, and what of it may go now.

In:  `http.h2_engine`, with frames of its own and pieces of bodies.
Out: bytes for the transport, a batch at a time.
Spec: RFC 9113 sections 5.2 and 6.9.

A body goes out as far as its stream's window, the connection's window and the transport allow.
The rest waits; streams that could go on stand in a ring, and each in turn sends one frame.
Nothing is tried again before one of the three has opened.
"""

from __future__ import annotations

from hostedge.wire.h2_frame import DEFAULT_WINDOW, MAX_FRAME, MAX_WINDOW, data_head

# bytes of bodies put together for one write; the transport can say stop after each
BATCH = 65_536
# bytes that wait on one stream: its producer is stopped, and goes on
HIGH = 65_536
LOW = 32_768
# bytes that wait on all streams: from here on every producer has to stop
CROWDED = 262_144
# bytes that may wait on all streams: beyond, the stream on which most does is reset. Leaves stop
# long before, and bring little to who is crowded; what is left are tunnels, and pages of ours
MOST_WAITING = 2_097_152


class Stream:
    """
    One request and its answer, as far as frames and windows go.

    `unread` is what came of the body and nobody has taken yet, `unclaimed` what was taken and not
    announced to the client. `waiting` holds what may not go yet of the answer's body; `last`:
    nothing follows it.
    """

    __slots__ = (
        *("id", "exchange", "remote_ended", "answering"),
        *("receive_window", "window_size", "unread", "unclaimed"),
        *("send_window", "waiting", "last", "stopped", "sent"),
        # the owner's: how the client takes it, and what bounds that
        *("taking", "limits"),
    )

    def __init__(self, number: int, send_window: int, receive_window: int) -> None:
        self.id = number
        self.exchange: object = None
        self.remote_ended = self.answering = False
        self.receive_window = self.window_size = receive_window
        self.unread = self.unclaimed = 0
        self.send_window = send_window
        self.waiting: bytes | memoryview = b""
        self.last = self.stopped = False
        self.sent = 0
        self.taking: object = None
        self.limits: object = None


class Outflow:
    """`frames` go with the next batch whatever happens; bodies only while `held` is not set."""

    def __init__(self) -> None:
        self.frames: list[bytes | memoryview] = []
        self.window = DEFAULT_WINDOW
        self.held = False
        # bytes that wait, frames and bytes of data sent, streams that were stopped and may go on
        self.waiting = 0
        self.data_frames = self.sent = 0
        self.relieved: list[Stream] = []
        # streams whose last frame has gone
        self.finished: list[Stream] = []
        self._ring: dict[Stream, None] = {}
        # stopped though little of theirs waits, since so much of the others' does
        self._crowd: dict[Stream, None] = {}
        self._batched = 0

    def send(self, stream: Stream, data: bytes, last: bool) -> None:
        """A piece of a body."""
        size = len(data)
        if not stream.waiting and not self._ring and not self.held and self._batched < BATCH:
            if size <= MAX_FRAME and size <= stream.send_window and size <= self.window:
                # nearly always: it fits into one frame
                self._put(stream, data, size, last)
                return
        stream.last = last
        stream.waiting = b"".join((stream.waiting, data)) if stream.waiting else memoryview(data)
        self.waiting += size
        self._line_up(stream)

    def opened(self, stream: Stream) -> None:
        """The stream's window is larger now."""
        self._line_up(stream)

    def forget(self, stream: Stream) -> None:
        """The stream has ended otherwise."""
        self._ring.pop(stream, None)
        self._crowd.pop(stream, None)
        self.waiting -= len(stream.waiting)
        stream.waiting = b""
        stream.last = stream.stopped = False
        if self._crowd and self.waiting < CROWDED:
            self._relieve_crowd()

    def stop(self, stream: Stream) -> bool:
        """Whether the stream's producer has to stop; it then stands in `relieved` some day."""
        if len(stream.waiting) >= HIGH:
            stream.stopped = True
        elif self.waiting >= CROWDED:
            stream.stopped = True
            self._crowd[stream] = None
        return stream.stopped

    def _relieve_crowd(self) -> None:
        for stream in self._crowd:
            # the others go on when enough of theirs has been sent
            if stream.stopped and len(stream.waiting) <= LOW:
                stream.stopped = False
                self.relieved.append(stream)
        self._crowd.clear()

    def fill(self) -> None:
        """Put together what may go now, up to a batch."""
        ring = self._ring
        while ring and not self.held and self._batched < BATCH:
            stream = next(iter(ring))
            del ring[stream]
            if not self._send_frame(stream):
                break

    def take(self) -> bytes:
        """The batch; empty: nothing may go now."""
        self._batched = 0
        if not self.frames:
            return b""
        data = b"".join(self.frames)
        self.frames.clear()
        return data

    def _line_up(self, stream: Stream) -> None:
        if (stream.waiting and stream.send_window > 0) or (stream.last and not stream.waiting):
            self._ring[stream] = None

    def _send_frame(self, stream: Stream) -> bool:
        """One frame; False = the connection's window is shut, the stream keeps its turn."""
        waiting = stream.waiting
        if waiting and stream.send_window <= 0:
            # the client has made its window smaller; an update puts the stream back into the ring
            return True
        size = min(len(waiting), MAX_FRAME, max(stream.send_window, 0))
        if size > self.window:
            size = self.window
            if size <= 0:
                self._ring = {stream: None, **self._ring}
                return False
        last = stream.last and size == len(waiting)
        if waiting:
            stream.waiting = waiting[size:]
            self.waiting -= size
            waiting = waiting[:size]
        self._put(stream, waiting, size, last)
        if not last:
            self._line_up(stream)
        if stream.stopped and len(stream.waiting) <= LOW and stream not in self._crowd:
            stream.stopped = False
            self.relieved.append(stream)
        if self._crowd and self.waiting < CROWDED:
            self._relieve_crowd()
        return True

    def _put(self, stream: Stream, data: bytes | memoryview, size: int, last: bool) -> None:
        self.window -= size
        stream.send_window -= size
        stream.sent += size
        self.sent += size
        self._batched += size
        self.data_frames += 1
        self.frames += (data_head(size, last, stream.id), data)
        if last:
            stream.last = False
            self.finished.append(stream)


def grown(window: int, by: int) -> int | None:
    """A window after an update; None: larger than there can be."""
    window += by
    return window if window <= MAX_WINDOW else None

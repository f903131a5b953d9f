"""
The server's side of one HTTP/2 connection: bytes in, events and bytes out.

In:  `http.h2` feeds what arrives, says what to answer, and takes what is to be sent.
Out: an `Owner` hears of heads, bodies and streams that ended; `broken` ends the connection.
Spec: RFC 9113, RFC 7541.

    feed      ->  owner.head, owner.body, owner.gone
    answer, send, reset, read  <-  owner
    take      ->  bytes for the transport, a batch at a time

Streams, windows, header compression and floods are dealt with here; what a request means, time,
and the transport are the owner's. Nothing here waits, so that another implementation of HTTP/2
could stand behind the same methods.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from attrs import frozen

from hostedge.http.h2_budget import Budget, Flood
from hostedge.http.h2_outflow import Outflow, Stream, grown
from hostedge.wire.h2_frame import (
    ACK,
    COMPRESSION_ERROR,
    CONTINUATION,
    DEFAULT_WINDOW,
    ENABLE_CONNECT_PROTOCOL,
    ENABLE_PUSH,
    END_HEADERS,
    END_STREAM,
    ENHANCE_YOUR_CALM,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    HEAD,
    HEADER_TABLE_SIZE,
    INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME,
    MAX_FRAME_SIZE,
    MAX_HEADER_LIST_SIZE,
    MAX_STREAM,
    MAX_WINDOW,
    NO_ERROR,
    NO_RFC7540_PRIORITIES,
    PADDED,
    PING,
    PREFACE,
    PRIORITISED,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    SETTINGS,
    SETTINGS_ACK,
    STREAM_CLOSED,
    ConnectionFault,
    goaway,
    header_frames,
    ping,
    read_head,
    read_setting,
    rst_stream,
    settings_frame,
    unpadded,
    window_update,
)
from hostedge.wire.header_block import (
    MAX_TABLE,
    NO_TABLE,
    BadBlock,
    BlockReader,
    BlockTooLarge,
    Field,
)

MAX_CONTINUATIONS = 8
MAX_TRAILERS = 16
# with 32 bytes for each
TRAILERS_SIZE = 8192 + 32 * MAX_TRAILERS
# what a stream may send before anybody reads it; and from then on
FIRST_WINDOW = DEFAULT_WINDOW
WINDOW = 262_144
CONNECTION_WINDOW = 1_048_576
# streams that we have reset: what is still on its way for them is dropped
REMEMBERED = 256
# by what a client answers, we know that it has read the first half of a goodbye
GOODBYE = b"hostedge"


class Owner(Protocol):
    """Whoever knows what a request is."""

    def head(self, stream: Stream, fields: list[Field], size: int, last: bool) -> None:
        """A request begins; `size`: of the fields, with 32 for each; `last`: it has no body."""

    def body(self, stream: Stream, data: bytes, last: bool) -> None:
        """A piece of its body. `read` says when it has been dealt with."""

    def trailers(self, stream: Stream, fields: list[Field]) -> bool:
        """Whether these fields may follow its body; nobody else is told of them."""

    def gone(self, stream: Stream) -> None:
        """The stream was reset, by the client or for a fault of its: nobody wants an answer."""

    def refused(self) -> None:
        """A stream was not let in: too many are open."""


@frozen
class Terms:
    """What the connections of a listener have in common."""

    streams: int = 100
    # bytes of a header block, and of the fields in it; one that unfolds to twice as much is a bomb
    header_list: int = 32_768
    # what a stream may send from when somebody reads it on
    window: int = WINDOW


class Engine:
    """
    One connection. `streams` are those that are not over on both sides.

    A stream is over for us when its last frame has been put into a batch. `broken` is set once:
    the goodbye that says why is in the next batch, and nothing is read after it.
    """

    def __init__(self, owner: Owner, terms: Terms) -> None:
        self._owner = owner
        self._terms = terms
        self._out = out = Outflow()
        self._frames = out.frames
        self._reader = BlockReader(2 * terms.header_list)
        self._budget = Budget()
        self.streams: dict[int, Stream] = {}
        self.broken = ""
        self.broken_by: int | None = None
        # what there was too much of, where that is why: of a block unless something else is said
        self.flood = "headers"
        # requests that were let in; whole header blocks that came
        self.opened = 0
        self.blocks = 0
        # the client has said goodbye; we have, for the first time; we have, and named the last
        self.left = self.leaving = self.closed = False
        self._greeted = self._settled = False
        # settings of ours that the client has not confirmed yet
        self._unheard = 1
        self._now = 0.0
        self._rest = b""
        self._last_id = 0
        # the last one that we have said to look at, once we have said it
        self._final_id = MAX_STREAM
        self._reset: dict[int, None] = {}
        # a block that goes on in the next frame: its stream, flags and pieces
        self._block_of = 0
        self._block_flags = 0
        self._block: list[bytes] = []
        self._received = self._useful = 0
        self._window = CONNECTION_WINDOW
        self._unclaimed = 0
        self._send_window = DEFAULT_WINDOW
        self._prefix = b""
        self._frames += (
            settings_frame(
                {
                    MAX_CONCURRENT_STREAMS: terms.streams,
                    MAX_HEADER_LIST_SIZE: terms.header_list,
                    # which names will be asked for is not known yet, and may change; RFC 8441
                    # section 3 asks for no more than that we know the method
                    ENABLE_CONNECT_PROTOCOL: 1,
                    NO_RFC7540_PRIORITIES: 1,
                }
            ),
            window_update(0, CONNECTION_WINDOW - DEFAULT_WINDOW),
        )

    # what arrives

    def feed(self, data: bytes, now: float) -> None:
        """Read on; the owner hears of what is in it before this returns."""
        if self.broken:
            return
        self._now = now
        self._received += len(data)
        if self._rest:
            data = self._rest + data
        try:
            position = 0 if self._greeted else self._greet(data)
            self._rest = data[self._read(data, position) :]
            # who takes a large answer says so in many small frames
            self._budget.check_overhead(self._received, self._useful + self._out.sent)
        except ConnectionFault as fault:
            self._break(fault.code, str(fault))
        except BlockTooLarge as fault:
            self._break(ENHANCE_YOUR_CALM, fault.detail)
        except BadBlock as fault:
            self._break(COMPRESSION_ERROR, fault.detail)
        except Flood as flood:
            self.flood = flood.kind
            self._break(ENHANCE_YOUR_CALM, flood.detail)

    @property
    def unfinished(self) -> bool:
        """Whether something has begun to come that has no limit in time elsewhere."""
        rest = self._rest
        return not self._settled or bool(self._block_of) or (bool(rest) and rest[3:4] != b"\0")

    def _greet(self, data: bytes) -> int:
        if not data.startswith(PREFACE):
            if not PREFACE.startswith(data):
                raise ConnectionFault(PROTOCOL_ERROR, "not HTTP/2")
            return 0
        self._greeted = True
        return len(PREFACE)

    def _read(self, data: bytes, position: int) -> int:
        """Deal with all whole frames; where the rest begins."""
        end = len(data)
        if not self._greeted:
            return 0
        while end - position >= HEAD:
            high, low, kind, flags, number = read_head(data, position)
            size = high << 16 | low
            if size > MAX_FRAME:
                raise ConnectionFault(FRAME_SIZE_ERROR, "a frame is too large")
            stop = position + HEAD + size
            if stop > end:
                break
            payload = data[position + HEAD : stop]
            position = stop
            if self._block_of and kind != CONTINUATION:
                raise ConnectionFault(PROTOCOL_ERROR, "a header block is not continued")
            if not self._settled and (kind != SETTINGS or flags & ACK):
                raise ConnectionFault(PROTOCOL_ERROR, "no settings at the beginning")
            if kind < len(_HANDLERS):
                _HANDLERS[kind](self, number & MAX_STREAM, flags, payload)
            else:
                self._budget.spend_other(self._now, self.opened)
        return position

    def _headers(self, number: int, flags: int, payload: bytes) -> None:
        if not number & 1:
            raise ConnectionFault(PROTOCOL_ERROR, "a request on such a stream")
        if flags & (PADDED | PRIORITISED):
            payload = unpadded(payload, flags, 5 if flags & PRIORITISED else 0)
        if flags & END_HEADERS:
            self._whole_block(number, flags, payload)
        else:
            self._block_of, self._block_flags, self._block = number, flags, [payload]

    def _continuation(self, number: int, flags: int, payload: bytes) -> None:
        block = self._block
        if number != self._block_of or not number:
            raise ConnectionFault(PROTOCOL_ERROR, "nothing is to be continued here")
        block.append(payload)
        if len(block) > MAX_CONTINUATIONS + 1 or sum(map(len, block)) > self._terms.header_list:
            raise ConnectionFault(ENHANCE_YOUR_CALM, "an endless header block")
        if flags & END_HEADERS:
            self._block_of, self._block = 0, []
            self._whole_block(number, self._block_flags, b"".join(block))

    def _whole_block(self, number: int, flags: int, block: bytes) -> None:
        self.blocks += 1
        self._useful += len(block)
        # also of what is refused: the tables must stay the same on both sides
        fields = self._reader.read(block)
        last = flags & END_STREAM != 0
        stream = self.streams.get(number)
        if stream is not None:
            self._trailers(stream, fields, last)
        elif number > self._last_id:
            self._last_id = number
            self._open(number, fields, last)
        elif number not in self._reset:
            raise ConnectionFault(STREAM_CLOSED, "a request on a stream that is over")

    def _open(self, number: int, fields: list[Field], last: bool) -> None:
        if self.closed:
            # the goodbye says that it was not looked at
            self._remember(number)
            return
        if len(self.streams) >= self._terms.streams:
            self._owner.refused()
            self._budget.spend_reset(self._now)
            self._remember(number)
            self._frames.append(rst_stream(number, REFUSED_STREAM))
            return
        stream = self.streams[number] = Stream(number, self._send_window, FIRST_WINDOW)
        stream.remote_ended = last
        self.opened += 1
        self._owner.head(stream, fields, self._reader.unfolded, last)

    def _trailers(self, stream: Stream, fields: list[Field], last: bool) -> None:
        if stream.remote_ended:
            self.fault(stream, STREAM_CLOSED)
        elif (
            not last
            or len(fields) > MAX_TRAILERS
            or self._reader.unfolded > TRAILERS_SIZE
            or not self._owner.trailers(stream, fields)
        ):
            self.fault(stream, PROTOCOL_ERROR)
        else:
            # nobody asked for them, and merged into the fields they would lie
            self._ended(stream, b"")

    def _data(self, number: int, flags: int, payload: bytes) -> None:
        size = len(payload)
        self._window -= size
        if self._window < 0:
            raise ConnectionFault(FLOW_CONTROL_ERROR, "more data than there was room for")
        stream = self.streams.get(number)
        if stream is None:
            if not number or number > self._last_id or not number & 1:
                raise ConnectionFault(PROTOCOL_ERROR, "data on such a stream")
            if number not in self._reset:
                raise ConnectionFault(STREAM_CLOSED, "data on a stream that is over")
            self._claim(size)
            return
        if stream.remote_ended:
            self._claim(size)
            self.fault(stream, STREAM_CLOSED)
            return
        stream.receive_window -= size
        stream.unread += size
        if stream.receive_window < 0:
            self.fault(stream, FLOW_CONTROL_ERROR)
            return
        data = unpadded(payload, flags, 0) if flags & PADDED else payload
        self._useful += len(data)
        if len(data) < size:
            self.read(stream, size - len(data))
        if data:
            self._budget.earn_data()
        if flags & END_STREAM:
            self._ended(stream, data)
        elif data:
            self._owner.body(stream, data, False)
        else:
            self._budget.spend_empty()

    def _ended(self, stream: Stream, data: bytes) -> None:
        stream.remote_ended = True
        self._owner.body(stream, data, True)

    def _rst_stream(self, number: int, flags: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(FRAME_SIZE_ERROR, "not a reset")
        stream = self.streams.get(number)
        if stream is None:
            if not number or number > self._last_id:
                raise ConnectionFault(PROTOCOL_ERROR, "a reset of such a stream")
            self._budget.spend_other(self._now, self.opened)
            return
        self._drop(stream)
        self._owner.gone(stream)
        if not stream.answering:
            self._budget.spend_reset(self._now)

    def _settings(self, number: int, flags: int, payload: bytes) -> None:
        if number:
            raise ConnectionFault(PROTOCOL_ERROR, "settings of a stream")
        if len(payload) % 6 or (flags & ACK and payload):
            raise ConnectionFault(FRAME_SIZE_ERROR, "not settings")
        if flags & ACK and self._unheard:
            # we have asked for it
            self._unheard -= 1
            return
        self._budget.spend_frame(SETTINGS, self._now)
        if flags & ACK:
            return
        self._settled = True
        for setting, value in read_setting(payload):
            if setting == INITIAL_WINDOW_SIZE:
                self._resize_windows(value)
            elif setting == HEADER_TABLE_SIZE:
                if value < MAX_TABLE:
                    # a decoder may want to hear that we have seen it
                    self._prefix = NO_TABLE
            elif setting == MAX_FRAME_SIZE:
                if not MAX_FRAME <= value < 1 << 24:
                    raise ConnectionFault(PROTOCOL_ERROR, "not a size of frames")
            elif setting in (ENABLE_PUSH, NO_RFC7540_PRIORITIES) and value > 1:
                raise ConnectionFault(PROTOCOL_ERROR, "not a yes or no")
        self._frames.append(SETTINGS_ACK)

    def _resize_windows(self, size: int) -> None:
        if size > MAX_WINDOW:
            raise ConnectionFault(FLOW_CONTROL_ERROR, "not a window")
        change = size - self._send_window
        self._send_window = size
        for stream in self.streams.values():
            window = grown(stream.send_window, change)
            if window is None:
                raise ConnectionFault(FLOW_CONTROL_ERROR, "a window is too large")
            stream.send_window = window
            self._out.opened(stream)

    def _window_update(self, number: int, flags: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(FRAME_SIZE_ERROR, "not a window update")
        self._budget.spend_update(self.opened, self._out.data_frames)
        size = int.from_bytes(payload, "big") & MAX_WINDOW
        if not number:
            window = grown(self._out.window, size)
            if window is None or not size:
                code = PROTOCOL_ERROR if not size else FLOW_CONTROL_ERROR
                raise ConnectionFault(code, "not an update of the connection's window")
            self._out.window = window
            return
        stream = self.streams.get(number)
        if stream is None:
            if number > self._last_id or not number & 1:
                raise ConnectionFault(PROTOCOL_ERROR, "a window of such a stream")
            return
        window = grown(stream.send_window, size)
        if window is None or not size:
            self.fault(stream, PROTOCOL_ERROR if not size else FLOW_CONTROL_ERROR)
            return
        stream.send_window = window
        self._out.opened(stream)

    def _ping(self, number: int, flags: int, payload: bytes) -> None:
        if number:
            raise ConnectionFault(PROTOCOL_ERROR, "a ping of a stream")
        if len(payload) != 8:
            raise ConnectionFault(FRAME_SIZE_ERROR, "not a ping")
        self._budget.spend_frame(PING, self._now)
        if not flags & ACK:
            self._frames.append(ping(payload, ACK))
        elif payload == GOODBYE and self.leaving:
            self.close()

    def _goaway(self, number: int, flags: int, payload: bytes) -> None:
        if number or len(payload) < 8:
            raise ConnectionFault(PROTOCOL_ERROR, "not a goodbye")
        self._budget.spend_other(self._now, self.opened)
        self.left = True

    def _priority(self, number: int, flags: int, payload: bytes) -> None:
        """Nothing is done for it; RFC 9113 section 5.3.2."""
        if not number or len(payload) != 5:
            raise ConnectionFault(FRAME_SIZE_ERROR if number else PROTOCOL_ERROR, "not a priority")
        self._budget.spend_other(self._now, self.opened)

    def _push_promise(self, number: int, flags: int, payload: bytes) -> None:
        raise ConnectionFault(PROTOCOL_ERROR, "a push from a client")

    # what the owner says

    def answer(self, stream: Stream, block: bytes, last: bool) -> None:
        """A head, of an answer or of a 1xx before it; `last`: no body follows."""
        if self._prefix:
            block, self._prefix = self._prefix + block, b""
        self._frames.append(header_frames(stream.id, block, last))
        if last:
            self._out.finished.append(stream)

    def send(self, stream: Stream, data: bytes, last: bool) -> bool:
        """A piece of the answer's body. True: stop, until the stream stands in `relieved`."""
        self._out.send(stream, data, last)
        return self._out.stop(stream) if stream.waiting else False

    def is_crowded(self, stream: Stream) -> bool:
        """Whether a producer should not even begin; if so, as with `send`."""
        return self._out.stop(stream)

    def read(self, stream: Stream, size: int, wanted: bool = True) -> None:
        """So much of the request's body has been dealt with; if `wanted`, there may be more."""
        if stream.id not in self.streams:
            return
        stream.unread -= size
        self._claim(size)
        if stream.remote_ended or not wanted:
            return
        stream.unclaimed += size
        window = self._terms.window
        # somebody reads it: from now on more of it may be on its way, or less
        more = stream.unclaimed + window - stream.window_size
        if stream.unclaimed >= stream.window_size // 2 and more >= window // 2:
            stream.window_size = window
            stream.receive_window += more
            stream.unclaimed = 0
            self._frames.append(window_update(stream.id, more))

    def reset(self, stream: Stream, code: int) -> None:
        """End a stream before its time; the owner knows."""
        if stream.id in self.streams:
            self._drop(stream)
            self._remember(stream.id)
            self._frames.append(rst_stream(stream.id, code))

    def fault(self, stream: Stream, code: int) -> None:
        """
        The client has done something on this stream that ends it; the owner is told.

        Raises:
            Flood: for `feed`, within which this is called.
        """
        self.reset(stream, code)
        self._owner.gone(stream)
        self._budget.spend_reset(self._now)

    def agree(self, terms: Terms) -> None:
        """
        From now on other terms. Streams that were let in stay, and so do their windows until what
        was promised has come; a client that has not heard it yet may try once more.
        """
        if terms.streams != self._terms.streams and not self.broken:
            self._unheard += 1
            self._frames.append(settings_frame({MAX_CONCURRENT_STREAMS: terms.streams}))
        self._terms = terms

    def leave(self) -> None:
        """Say goodbye, and still take what is on its way; `close` follows when it was heard."""
        if not self.leaving and not self.broken:
            self.leaving = True
            self._frames += (goaway(MAX_STREAM, NO_ERROR), ping(GOODBYE))

    def close(self, code: int = NO_ERROR) -> None:
        """Say which stream was the last one; what comes on others is dropped."""
        if not self.closed and not self.broken:
            self.leaving = self.closed = True
            self._final_id = self._last_id
            self._frames.append(goaway(self._last_id, code))

    # what goes out

    @property
    def relieved(self) -> list[Stream]:
        """Streams that were stopped and may go on; the owner takes them out."""
        return self._out.relieved

    @property
    def waiting(self) -> int:
        """Bytes of all answers that the client does not take."""
        return self._out.waiting

    def hold(self, held: bool) -> None:
        """Whether the transport takes no bodies for now."""
        self._out.held = held

    def take(self) -> bytes:
        """The next batch; empty: nothing may go before something happens."""
        out = self._out
        out.fill()
        if out.finished:
            for stream in out.finished:
                if stream.id not in self.streams:
                    continue
                if stream.remote_ended:
                    self._drop(stream)
                else:
                    # RFC 9113 section 8.1: the answer is whole, the rest is not wanted
                    self.reset(stream, NO_ERROR)
            out.finished.clear()
        return out.take()

    def _drop(self, stream: Stream) -> None:
        del self.streams[stream.id]
        self._out.forget(stream)
        if stream.unread:
            self._claim(stream.unread)
            stream.unread = 0

    def _claim(self, size: int) -> None:
        self._unclaimed += size
        if self._unclaimed >= CONNECTION_WINDOW // 2:
            self._frames.append(window_update(0, self._unclaimed))
            self._window += self._unclaimed
            self._unclaimed = 0

    def _remember(self, number: int) -> None:
        reset = self._reset
        reset[number] = None
        if len(reset) > REMEMBERED:
            del reset[next(iter(reset))]

    def _break(self, code: int, detail: str) -> None:
        self.broken, self.broken_by = detail, code
        self._rest = b""
        # it must not be higher than it was: RFC 9113 section 6.8
        self._frames.append(goaway(min(self._last_id, self._final_id), code))


# by the type of a frame
_HANDLERS: tuple[Callable[[Engine, int, int, bytes], None], ...] = (
    *(Engine._data, Engine._headers, Engine._priority, Engine._rst_stream, Engine._settings),
    *(Engine._push_promise, Engine._ping, Engine._goaway, Engine._window_update),
    Engine._continuation,
)

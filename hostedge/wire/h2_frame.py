"""
The frames of HTTP/2: numbers, and the bytes of those that we send.

In:  `http.h2_engine` and `http.h2_sending`.
Out: bytes.
Spec: RFC 9113 sections 4, 6 and 7.
"""

from __future__ import annotations

from struct import Struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD = 9  # bytes before a frame's payload
MAX_FRAME = 16_384  # the least that everybody has to take; we allow and send no larger ones
MAX_WINDOW = 2**31 - 1
MAX_STREAM = 2**31 - 1
DEFAULT_WINDOW = 65_535

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY = range(8)
WINDOW_UPDATE, CONTINUATION = 8, 9

# flags
ACK = END_STREAM = 0x1
END_HEADERS = 0x4
PADDED = 0x8
PRIORITISED = 0x20

# settings
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS = 1, 2, 3
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE = 4, 5, 6
ENABLE_CONNECT_PROTOCOL = 8  # RFC 8441 section 3
NO_RFC7540_PRIORITIES = 9  # RFC 9218 section 2.1

# errors
NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR = range(4)
STREAM_CLOSED, FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR = range(5, 10)
ENHANCE_YOUR_CALM = 11

# length (of which the first octet is apart), type, flags, stream
read_head = Struct(">BHBBL").unpack_from
read_setting = Struct(">HL").iter_unpack
_write_head = Struct(">BHBBL").pack
_head_and_number = Struct(">BHBBLL").pack
_goaway = Struct(">BHBBLLL").pack
_setting = Struct(">HL").pack


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Any frame of up to 65,535 bytes."""
    return _write_head(0, len(payload), kind, flags, stream) + payload


def data_head(size: int, last: bool, stream: int) -> bytes:
    """What stands before a piece of a body."""
    return _write_head(0, size, DATA, END_STREAM if last else 0, stream)


def header_frames(stream: int, block: bytes, last: bool) -> bytes:
    """A HEADERS frame, and as many CONTINUATIONs as the block needs."""
    flags = END_STREAM if last else 0
    if len(block) <= MAX_FRAME:
        return _write_head(0, len(block), HEADERS, flags | END_HEADERS, stream) + block
    pieces = [block[start : start + MAX_FRAME] for start in range(0, len(block), MAX_FRAME)]
    frames = [frame(HEADERS, flags, stream, pieces[0])]
    frames += [frame(CONTINUATION, 0, stream, piece) for piece in pieces[1:-1]]
    frames.append(frame(CONTINUATION, END_HEADERS, stream, pieces[-1]))
    return b"".join(frames)


def settings_frame(values: dict[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(_setting(*item) for item in values.items()))


SETTINGS_ACK = frame(SETTINGS, ACK, 0, b"")


def window_update(stream: int, size: int) -> bytes:
    return _head_and_number(0, 4, WINDOW_UPDATE, 0, stream, size)


def rst_stream(stream: int, code: int) -> bytes:
    return _head_and_number(0, 4, RST_STREAM, 0, stream, code)


def ping(payload: bytes, flags: int = 0) -> bytes:
    return frame(PING, flags, 0, payload)


def goaway(last_stream: int, code: int) -> bytes:
    return _goaway(0, 8, GOAWAY, 0, 0, last_stream, code)


class ConnectionFault(Exception):
    """Nothing that follows can be trusted; `code` is what RFC 9113 calls the reason."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(detail)
        self.code = code


def unpadded(payload: bytes, flags: int, skipped: int) -> bytes:
    """
    A payload without its padding and the fields before it, which are `skipped` bytes.

    Raises:
        ConnectionFault: there is more padding than payload.
    """
    padding = start = 0
    if flags & PADDED:
        padding, start = payload[0] if payload else 0, 1
    start += skipped
    end = len(payload) - padding
    if end < start:
        raise ConnectionFault(PROTOCOL_ERROR, "more padding than there is")
    return payload[start:end]

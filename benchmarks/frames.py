"""
WebSocket frames as bytes: only what an echo of whole messages needs.

In:  `echo`, `websocket_generator` and `probe`.
Out: frames to send, and the messages in what was received; `ValueError` for anything else.
Spec: RFC 6455 sections 1.3 and 5.2.
"""

from __future__ import annotations

import base64
import hashlib

from attrs import frozen

CONTINUATION, TEXT, BINARY, CLOSE = 0, 1, 2, 8
FIN = 0x80
MASKED = 0x80

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def accept(key: bytes) -> bytes:
    """Give the Sec-WebSocket-Accept for a Sec-WebSocket-Key."""
    return base64.b64encode(hashlib.sha1(key + GUID).digest())


def masked(payload: bytes, mask: bytes) -> bytes:
    """Mask or unmask: all of it as one large number, which no loop over bytes comes near."""
    size = len(payload)
    keys = (mask * (size // 4 + 1))[:size]
    number = int.from_bytes(payload, "little") ^ int.from_bytes(keys, "little")
    return number.to_bytes(size, "little")


def frame(opcode: int, payload: bytes, mask: bytes = b"") -> bytes:
    """Give a frame that is a whole message; a client's has a mask."""
    size, flag = len(payload), MASKED if mask else 0
    if size < 126:
        length = bytes([flag | size])
    elif size < 1 << 16:
        length = bytes([flag | 126]) + size.to_bytes(2, "big")
    else:
        length = bytes([flag | 127]) + size.to_bytes(8, "big")
    return bytes([FIN | opcode]) + length + mask + (masked(payload, mask) if mask else payload)


@frozen
class Message:
    """A message and the number of bytes that its frames have."""

    opcode: int
    payload: bytes
    size: int


def read_message(data: bytes) -> Message | None:
    """
    Take the message that these bytes begin with; None while it is not whole.

    A proxy may cut a message into frames as it likes.

    Raises:
        ValueError: if these are no frames, or ask for an extension.
    """
    opcode, at, payload = -1, 0, b""
    while len(data) >= at + 2:
        first, length = data[at], data[at + 1]
        if first & 0x70:
            raise ValueError("a frame has bits that belong to an extension")
        kind, flag, length = first & 0x0F, length & MASKED, length & 0x7F
        if (kind == CONTINUATION) != (opcode >= 0):
            raise ValueError(f"a frame of opcode {kind} in a wrong place")
        opcode = kind if opcode < 0 else opcode
        start = at + 2
        if length > 125:
            start += 2 if length == 126 else 8
            length = int.from_bytes(data[at + 2 : start], "big")
        mask = data[start : start + 4] if flag else b""
        start += 4 if flag else 0
        if len(data) < start + length:
            return None
        piece = data[start : start + length]
        payload += masked(piece, mask) if mask else piece
        at = start + length
        if first & FIN:
            return Message(opcode, payload, at)
    return None

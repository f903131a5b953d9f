"""
WebSocket frames that need no more than a look: each one a whole message, not compressed.

In:  `ws.ends` with what has come from a peer, between two messages.
Out: how much of it is such frames, and whether the rest may become one.
Spec: RFC 6455 sections 5.2, 5.3 and 8.1.

Such a frame may pass as it came. Everything else (fragments, control frames, compression,
anything that breaks a rule) is Autobahn's.
"""

from __future__ import annotations

from collections.abc import Callable

# the first byte of a final frame of text, and of bytes
_TEXT, _BINARY = 0x81, 0x82
_KINDS = (b"\x81", b"\x82")
# bytes up to which one big number is the cheaper way to unmask than a call into C
SMALL = 2048


def plain_frames(
    data: bytes, masked: bool, most: int, unmask: Callable[[bytes, bytes], bytes]
) -> int:
    """
    Give the length of the run of plain frames that `data` begins with.

    A frame of more than `most` bytes, or of a length that is not written in its shortest form,
    or of text that is not UTF-8, ends the run. `unmask` takes key and payload.
    """
    start, end = 0, len(data)
    mask = 0x80 if masked else 0
    while end - start >= 2:
        kind, length = data[start], data[start + 1] ^ mask
        at = start + 2
        if length > 125:
            # with the wrong mask bit it is 128 or more
            if length == 126:
                at += 2
                length = int.from_bytes(data[start + 2 : at])
                shortest = length > 125
            elif length == 127:
                at += 8
                length = int.from_bytes(data[start + 2 : at])
                shortest = length > 0xFFFF
            else:
                break
            if not shortest:
                break
        key = at
        if masked:
            at += 4
        stop = at + length
        if stop > end or length > most:
            break
        if kind == _TEXT:
            payload = data[at:stop]
            if masked and payload:
                payload = unmask(data[key:at], payload)
            try:
                payload.decode()
            except UnicodeDecodeError:
                break
        elif kind != _BINARY:
            break
        start = stop
    return start


def begins_plain(data: bytes, masked: bool) -> bool:
    """Whether this may be the beginning, not the whole, of a plain frame of less than 64 KiB."""
    if data[:1] not in _KINDS:
        return False
    if len(data) == 1:
        return True
    length = data[1] ^ (0x80 if masked else 0)
    at = 6 if masked else 2
    if length == 126:
        at += 2
        if len(data) < 4:
            return True
        length = int.from_bytes(data[2:4])
    elif length > 126:
        # more than 64 KiB, or the wrong mask bit
        return False
    return len(data) < at + length


def mask_small(key: bytes, payload: bytes) -> bytes:
    """Mask or unmask, by way of one number of all bytes."""
    size = len(payload)
    stream = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload) ^ int.from_bytes(stream)).to_bytes(size)

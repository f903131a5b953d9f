"""
Which parts of a file a client wants.

In:  `mappings.static` with the value of `Range` and the file's size.
Out: the parts in the order asked for, or that the field does not count.
Spec: RFC 9110 sections 14.1.2, 14.2 and 14.6; CVE-2011-3192 and CVE-2017-7529 are why it counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

# bytes of the field for each part that may be asked for; one of more is not worth reading
PART_SIZE = 64

_UNIT = re.compile(rb"bytes=(.*)", re.IGNORECASE)
# 18 digits hold any file's size, and int() of them is cheap
_PART = re.compile(rb"(\d{0,18})-(\d{0,18})")


@frozen
class Span:
    """Bytes `start` to `end`, the latter not included."""

    start: int
    end: int

    def content_range(self, size: int) -> bytes:
        """Give the value of `Content-Range`."""
        return b"bytes %d-%d/%d" % (self.start, self.end - 1, size)


def parse_range(values: Sequence[bytes], size: int, most: int) -> tuple[Span, ...] | None:
    """
    Read the wanted parts; None: the field does not count, send all; (): answer 416.

    Parts that overlap or touch are made one; more than `most` left, or any written wrong, and
    the field does not count. A browser asks for one or two.
    """
    if len(values) != 1 or len(values[0]) > PART_SIZE * most:
        return None
    unit = _UNIT.fullmatch(values[0])
    if unit is None:
        return None
    spans: list[Span] = []
    for piece in unit[1].split(b","):
        part = _PART.fullmatch(piece.strip(b" \t"))
        if part is None or part[0] == b"-":
            return None
        if part[1] and part[2] and int(part[1]) > int(part[2]):
            return None
        span = _span(part[1], part[2], size)
        if span is not None:
            spans.append(span)
    if len(spans) > 1:
        spans = _coalesced(spans)
    return tuple(spans) if len(spans) <= most else None


def _span(first: bytes, last: bytes, size: int) -> Span | None:
    if not first:
        length = min(int(last), size)
        return Span(size - length, size) if length else None
    start = int(first)
    if start >= size:
        return None
    return Span(start, min(int(last) + 1, size) if last else size)


def _coalesced(spans: list[Span]) -> list[Span]:
    """Make one of those that touch; in the order of the file."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda span: span.start):
        if merged and span.start <= merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def part_heads(
    spans: Sequence[Span], size: int, content_type: bytes, boundary: bytes
) -> tuple[list[bytes], bytes]:
    """Give what stands before each part of a multipart/byteranges body, and what ends it."""
    heads = [
        b"\r\n--%s\r\nContent-Type: %s\r\nContent-Range: %s\r\n\r\n"
        % (boundary, content_type, span.content_range(size))
        for span in spans
    ]
    return heads, b"\r\n--%s--\r\n" % boundary

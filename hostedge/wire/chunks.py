"""
The lines between the chunks of a body, which the parser counts but does not show.

In:  `http.h1_reader`, with the bytes of a body in chunks before the parser sees them.
Out: how many of them are this body's, and whether a line in them is one that we do not take.
Spec: RFC 9112 sections 7.1 and 7.1.2.

What a line may say is the parser's to know. Here stands what it does not bound: digits, the
length of a line, the fields after the last chunk.
"""

from __future__ import annotations

import re

MAX_LINE = 256  # bytes of a chunk's size and extensions
# fields after the last chunk, and their bytes
MAX_FIELDS = 16
MAX_TRAILER = 8192

_size_of = re.compile(rb"([0-9A-Fa-f]{1,16})(?:;.*)?", re.DOTALL).fullmatch
# what is not zero
_plain_size = re.compile(rb"([1-9A-Fa-f][0-9A-Fa-f]{0,15})\r\n").match
_END = b"\r\n"


class Chunks:
    """
    One body, from its first size to the empty line after its last chunk.

    `line` is what has come of a line that is not whole, or is the one that broke the rules.
    """

    __slots__ = ("ended", "broken", "line", "_left", "_fields", "_trailer")

    def __init__(self) -> None:
        self.ended = self.broken = False
        self.line = b""
        # bytes of the chunk that is coming, the end of its line with them
        self._left = 0
        # of the trailer; None: the last chunk has not come
        self._fields: int | None = None
        self._trailer = 0

    def follow(self, data: bytes) -> int:
        """
        Give how many of these bytes belong to the body and may be read.

        Fewer than all: it has ended there, or what follows is `broken`.
        """
        at, size = self._left, len(data)
        self._left = 0
        while at < size:
            begin = at
            plain = None if self.line or self._fields is not None else _plain_size(data, at)
            if plain is not None:
                # nearly always: a whole line, and nothing in it but a size
                at = plain.end() + int(plain[1], 16) + len(_END)
                continue
            at = self._take_line(data, at)
            if self.broken:
                return begin
            if self.ended:
                return at
            at += self._left
            self._left = 0
        self._left = at - size
        return size

    def _take_line(self, data: bytes, at: int) -> int:
        """Read to the end of a line, or of what has come of it."""
        most = (MAX_LINE if self._fields is None else MAX_TRAILER - self._trailer) + len(_END)
        kept = self.line
        piece = data[at : at + most - len(kept)]
        line = kept + piece
        end = line.find(_END)
        if end < 0:
            self.line = line
            self.broken = len(line) >= most
            return at + len(piece)
        if self._fields is None:
            self._take_size(line[:end])
        else:
            self._take_field(end)
        self.line = line[: end + len(_END)] if self.broken else b""
        return at + end + len(_END) - len(kept)

    def _take_size(self, line: bytes) -> None:
        match = _size_of(line)
        if match is None:
            self.broken = True
            return
        size = int(match[1], 16)
        if size:
            self._left = size + len(_END)
        else:
            self._fields = 0

    def _take_field(self, size: int) -> None:
        assert self._fields is not None  # noqa: S101
        if not size:
            self.ended = True
            return
        self._fields += 1
        self._trailer += size + len(_END)
        self.broken = self._fields > MAX_FIELDS or self._trailer > MAX_TRAILER

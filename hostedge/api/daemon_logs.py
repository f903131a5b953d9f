"""
What daemons have said, read while they go on saying it.

In:  `api.daemons`, in a thread that may block.
Out: lines, and a mark with which the next ones are asked for.

A mark is the file's inode and how far it was read. The log may be cut at any time; what is then
missing cannot be told, but that something is.
"""

from __future__ import annotations

import os
from pathlib import Path

from attrs import frozen

from hostedge.supervise.logs import folder_of, open_file

PIECE = 256 * 1024  # bytes of one answer; the longest line, too
BLOCK = 64 * 1024
BACK = 4 * 1024 * 1024  # bytes that are looked through for the last lines
OLDER = 9  # older files, at most


@frozen
class Said:
    """Lines without their ends; `cut`: some may be missing before them."""

    lines: list[str]
    mark: str
    cut: bool = False


def last_lines(path: Path, count: int, whole: bool = False) -> Said:
    """
    The last lines of a log, from older files as well if they are needed; one that has not ended
    unless only `whole` ones are wanted.

    Raises:
        OSError: there is none, or something else is in its place.
    """
    with folder_of(path) as folder:
        descriptor = open_file(folder, path.name, os.O_RDONLY)
        with os.fdopen(descriptor, "rb") as log:
            told = os.fstat(log.fileno())
            text = _end_of(log.fileno(), told.st_size, count, BACK)
        end = text.rfind(b"\n") + 1
        mark = _mark(told.st_ino, told.st_size - (len(text) - end))
        if whole:
            text = text[:end]
        for older in range(1, OLDER):
            missing = count - text.count(b"\n")
            if missing <= 0 or len(text) >= BACK:
                break
            before = _older(folder, f"{path.name}.{older}", missing, BACK - len(text))
            if before is None:
                break
            text = before + text
    return Said(_lines(text)[-count:] if count else [], mark)


def _older(folder: int, name: str, count: int, most: int) -> bytes | None:
    try:
        descriptor = open_file(folder, name, os.O_RDONLY)
    except OSError:
        return None
    try:
        return _end_of(descriptor, os.fstat(descriptor).st_size, count, most)
    finally:
        os.close(descriptor)


def _end_of(descriptor: int, size: int, count: int, most: int) -> bytes:
    """As much of the end as has so many lines in it."""
    text = b""
    place = size
    while place > 0 and text.count(b"\n") <= count and len(text) < most:
        step = min(BLOCK, place)
        place -= step
        text = os.pread(descriptor, step, place) + text
    return text


def next_lines(path: Path, mark: str) -> Said | None:
    """
    What came after a mark, as far as lines are whole; None: nothing has.

    Raises:
        OSError: there is no log, or something else is in its place.
        ValueError: it is no mark.
    """
    inode, offset = _read_mark(mark)
    with folder_of(path) as folder:
        descriptor = open_file(folder, path.name, os.O_RDONLY)
    try:
        told = os.fstat(descriptor)
        cut = told.st_ino != inode or told.st_size < offset
        offset = 0 if cut else offset
        text = os.pread(descriptor, PIECE, offset)
    finally:
        os.close(descriptor)
    end = text.rfind(b"\n") + 1
    if not end and len(text) == PIECE:
        end = PIECE
    if not end and not cut:
        return None
    return Said(_lines(text[:end]), _mark(told.st_ino, offset + end), cut)


def has_more(path: Path, mark: str) -> bool:
    """
    Whether there may be something after a mark; cheap.

    Raises:
        ValueError: it is no mark.
    """
    inode, offset = _read_mark(mark)
    try:
        told = os.lstat(path)
    except OSError:
        return False
    return told.st_ino != inode or told.st_size != offset


def _lines(text: bytes) -> list[str]:
    lines = text.decode("utf-8", "replace").split("\n")
    if not lines[-1]:
        del lines[-1]
    return [line.rstrip("\r") for line in lines]


def _mark(inode: int, offset: int) -> str:
    return f"{inode}.{offset}"


def _read_mark(mark: str) -> tuple[int, int]:
    inode, dot, offset = mark.partition(".")
    if not dot or not (inode + offset).isdecimal() or len(mark) > 40:
        raise ValueError(f"want what `next` was, not {mark!r}")
    return int(inode), int(offset)

"""
Opening a file below a folder, whatever links somebody has put there.

In:  `mappings.static` with the descriptor of a folder and a path that a client has chosen.
Out: a descriptor, close-on-exec; OSError when there is no such file or the way to it leaves.
Spec: openat2(2); Python 3.11 has no wrapper for it.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Callable
from functools import cache
from typing import Any

_AT_FDCWD = -100
_OPENAT2 = 437  # the same on every architecture that has it
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_BENEATH = 0x08
# somebody renames on the way: the kernel asks to be called again
_TRIES = 8

Opener = Callable[[int, bytes, int], int]


class _OpenHow(ctypes.Structure):
    _fields_ = [
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    ]


_SYSCALL = ctypes.CDLL(None, use_errno=True).syscall
_SYSCALL.restype = ctypes.c_long
_SYSCALL.argtypes = (
    ctypes.c_long,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.POINTER(_OpenHow),
    ctypes.c_size_t,
)


def open_beneath(folder: int, path: bytes, flags: int) -> int:
    """
    Open for reading what lies at `path`, relative to an open folder and never outside of it.

    Links are followed while they stay below the folder (where the kernel is older than 5.6,
    none is followed). A FIFO does not block.

    Raises:
        OSError: errno EXDEV or ELOOP when the way leaves the folder.
    """
    if not flags & os.O_PATH:
        # openat2 takes no other flags beside O_PATH
        flags |= os.O_NONBLOCK | os.O_NOCTTY
    return _opener()(folder, path, flags | os.O_CLOEXEC)


def by_openat2(folder: int, path: bytes, flags: int) -> int:
    """Open with one call of the kernel's own check."""
    how = _how(flags)
    code = 0
    for _ in range(_TRIES):
        done: int = _SYSCALL(_OPENAT2, folder, path, how, ctypes.sizeof(_OpenHow))
        if done >= 0:
            return done
        code = ctypes.get_errno()
        if code not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(code, os.strerror(code), path)


@cache
def _how(flags: int) -> Any:
    # the kernel only reads it, so one for each combination of flags will do
    return ctypes.pointer(_OpenHow(flags, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS))


def by_components(folder: int, path: bytes, flags: int) -> int:
    """Open one component after the other and follow no link at all."""
    if path.startswith(b"/"):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    *folders, last = [part for part in path.split(b"/") if part not in (b"", b".")] or [b"."]
    if b".." in (*folders, last):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
    if path.endswith(b"/"):
        flags |= os.O_DIRECTORY
    here = folder
    try:
        for part in folders:
            inner = os.open(
                part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here
            )
            if here != folder:
                os.close(here)
            here = inner
        return os.open(last, flags | os.O_NOFOLLOW, dir_fd=here)
    finally:
        if here != folder:
            os.close(here)


@cache
def _opener() -> Opener:
    try:
        os.close(by_openat2(_AT_FDCWD, b".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError as error:
        # older containers answer EPERM for system calls they do not know
        if error.errno not in (errno.ENOSYS, errno.EPERM):
            raise
        return by_components
    return by_openat2

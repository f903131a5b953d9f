"""
Groups that say themselves when they are empty, frozen, or out of memory.

In:  the keeper, for each leaf that it makes or takes over.
Out: `Events` of a group, each time that they are others than before.
Spec: inotify(7); the kernel's Documentation/admin-guide/cgroup-v2.rst for which files tell.

One descriptor for all groups. Twisted's own watcher closes itself when one watched file is
deleted, and groups are deleted all the time; it also does not say that the kernel has lost count.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Callable, Iterator
from typing import Any

from attrs import define
from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from hostedge.supervise.cgroup import Events, Group

FILES = ("cgroup.events", "memory.events")
AT_ONCE = 65_536  # bytes; some thousand changes

_HEAD = struct.Struct("iIII")
_IN_MODIFY = 0x2
_IN_Q_OVERFLOW = 0x4000
_IN_IGNORED = 0x8000

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


@define(eq=False)
class _Watched:
    group: Group
    told: Callable[[Events], None]
    last: Events
    numbers: list[int]


@implementer(IReadDescriptor)
class GroupWatch:
    """
    All watched groups. Nothing is told in the turn in which a group is added or forgotten.
    """

    log = Logger()

    def __init__(self, reactor: Any) -> None:
        """
        Raises:
            OSError: the user has too many of these.
        """
        self._reactor = reactor
        self._inotify = _checked(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._by_number: dict[int, _Watched] = {}
        self._by_path: dict[str, _Watched] = {}
        reactor.addReader(self)

    def watch(self, group: Group, told: Callable[[Events], None]) -> Events:
        """
        Tell of this group from now on; how it is now is the answer.

        Raises:
            OSError: it is gone, or more cannot be watched.
        """
        path = str(group.path)
        numbers: list[int] = []
        watched = _Watched(group, told, Events(False, False), numbers)
        try:
            for file in FILES:
                name = os.path.join(path, file)
                if file == FILES[0] or os.path.exists(name):
                    number = _checked(
                        _libc.inotify_add_watch(self._inotify, os.fsencode(name), _IN_MODIFY)
                    )
                    numbers.append(number)
                    self._by_number[number] = watched
        except OSError:
            self._drop(watched)
            raise
        # looked at after the watch began: what happens in between is told twice, not never
        watched.last = group.events()
        self._by_path[path] = watched
        return watched.last

    def forget(self, group: Group) -> None:
        """Nothing is told of it any more; it may be gone already."""
        watched = self._by_path.pop(str(group.path), None)
        if watched is not None:
            self._drop(watched)

    def _drop(self, watched: _Watched) -> None:
        for number in watched.numbers:
            if self._by_number.pop(number, None) is not None:
                _libc.inotify_rm_watch(self._inotify, number)
        watched.numbers.clear()

    def close(self) -> None:
        """Nothing is told any more."""
        if self._inotify < 0:
            return
        self._reactor.removeReader(self)
        self._by_number.clear()
        self._by_path.clear()
        os.close(self._inotify)
        self._inotify = -1

    def fileno(self) -> int:
        return self._inotify

    def doRead(self) -> None:
        try:
            said = os.read(self._inotify, AT_ONCE)
        except BlockingIOError:
            return
        # each once, in their order, however often it has changed
        changed: dict[int, _Watched] = {}
        for number, mask in _heads(said):
            if mask & _IN_Q_OVERFLOW:
                # more has happened than the kernel could keep: look at all of them
                changed = {id(each): each for each in self._by_path.values()}
                break
            watched = self._by_number.get(number)
            if mask & _IN_IGNORED:
                # the file is gone, and its number may be another's soon
                self._by_number.pop(number, None)
            if watched is not None:
                changed[id(watched)] = watched
        for watched in changed.values():
            self._look(watched)

    def _look(self, watched: _Watched) -> None:
        if self._by_path.get(str(watched.group.path)) is not watched:
            # forgotten by who was told before it
            return
        try:
            events = watched.group.events()
            if events != watched.last:
                watched.last = events
                watched.told(events)
        except Exception:  # noqa: BLE001
            self.log.failure("{group}: events", group=watched.group.path)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor ends; groups are looked at by the keeper that comes next."""

    def logPrefix(self) -> str:
        return "groups"


def _heads(said: bytes) -> Iterator[tuple[int, int]]:
    """Watch number and mask of each event."""
    place = 0
    while place + _HEAD.size <= len(said):
        number, mask, _, length = _HEAD.unpack_from(said, place)
        yield number, mask
        place += _HEAD.size + length

"""
Datagrams by the batch: many are read, and many answered, with one system call each.

In:  `dns.udp` with a bound socket, when it is readable.
Out: lengths of what has come, bytes of the kernel's and ours; see ADR 0009.
Spec: recvmmsg(2), sendmmsg(2); Python 3.11 wraps neither.
"""

from __future__ import annotations

import ctypes
import socket
from errno import EAGAIN
from typing import Any, Literal, Protocol, cast

PLACES = 64  # a batch is at most so many: some 300 µs of an edge's turn
# a datagram that fills an Ethernet frame; an odd multiple of 64, so that the first bytes of all
# places do not compete for the same lines of the processor's cache
SIZE = 1472


_Chars = ctypes.Array[ctypes.c_char]


class Room(Protocol):
    """Memory that gives bytes: `ctypes` says so only to those who run it."""

    def __getitem__(self, part: slice) -> bytes: ...


class _Piece(ctypes.Structure):
    """`struct iovec`."""

    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _Header(ctypes.Structure):
    """`struct msghdr`."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_uint),
        ("pieces", ctypes.c_void_p),
        ("piece_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Message(ctypes.Structure):
    """`struct mmsghdr`: a header, and how long the datagram was."""

    _fields_ = (("header", _Header), ("length", ctypes.c_uint))


_libc = ctypes.CDLL(None, use_errno=True)
_recvmmsg = _libc.recvmmsg
_sendmmsg = _libc.sendmmsg
_sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
_recvmmsg.argtypes = (*_sendmmsg.argtypes, ctypes.c_void_p)

_RECEIVE = socket.MSG_DONTWAIT | socket.MSG_TRUNC


class Batch:
    """
    Room for `PLACES` datagrams, their senders, and an answer to each.

    `receive` fills places from 0 on. Place `i` has its datagram from `i * SIZE` on in `arrived`,
    its sender's address, packed, from `i * name_size + host_at` on in `names`, and room for its
    answer from `i * SIZE` on in `leaving`; `sizes[i]` is how long that is. Sockets of one family
    may share a batch: nothing of it is kept from one call to the next.
    """

    def __init__(self, family: socket.AddressFamily) -> None:
        is_v6 = family == socket.AF_INET6
        # sockaddr_in6 and sockaddr_in: what the kernel writes is exactly as long
        self.name_size, self.host_at, self.host_size = (28, 8, 16) if is_v6 else (16, 4, 4)
        arriving = (ctypes.c_char * (PLACES * SIZE))()
        names = (ctypes.c_char * (PLACES * self.name_size))()
        departing = (ctypes.c_char * (PLACES * SIZE))()
        self.arrived: Room = cast(Room, arriving)
        self.names: Room = cast(Room, names)
        self.leaving = memoryview(departing).cast("B")
        # the kernel reads and writes through these; they must live as long as the batch
        self._in_pieces, self._arrivals = _headers(arriving, names)
        self._out_pieces, self._departures = _headers(departing, names)
        self._lengths = _column(self._arrivals, _Message.length, "I")
        self.sizes = _column(self._out_pieces, _Piece.size, "L")
        self._first_arrival = ctypes.addressof(self._arrivals)
        self._first_departure = ctypes.addressof(self._departures)

    def receive(self, descriptor: int) -> list[int]:
        """Take what has come, and say how long each was; one longer than `SIZE` is cut."""
        count = _recvmmsg(descriptor, self._first_arrival, PLACES, _RECEIVE, None)
        return self._lengths[:count].tolist() if count > 0 else []

    def send(self, descriptor: int, first: int, end: int) -> int:
        """
        Send the answers of the places from `first` to before `end` to whoever was there.

        Returns how many the kernel did not take; they are lost.
        """
        lost = 0
        while first < end:
            at = self._first_departure + first * ctypes.sizeof(_Message)
            sent = _sendmmsg(descriptor, at, end - first, socket.MSG_DONTWAIT)
            if sent > 0:
                # short of the end: the next call says what is wrong with the one after
                first += sent
            elif ctypes.get_errno() == EAGAIN:
                return lost + end - first
            else:
                lost += 1
                first += 1
        return lost


def _headers(room: _Chars, names: _Chars) -> tuple[Any, Any]:
    """What `recvmmsg` and `sendmmsg` want: a message for each place, of one piece."""
    pieces, messages = (_Piece * PLACES)(), (_Message * PLACES)()
    name_size = ctypes.sizeof(names) // PLACES
    for place, (piece, message) in enumerate(zip(pieces, messages, strict=True)):
        piece.base = ctypes.addressof(room) + place * SIZE
        piece.size = SIZE
        message.header.name = ctypes.addressof(names) + place * name_size
        message.header.name_size = name_size
        message.header.pieces = ctypes.addressof(piece)
        message.header.piece_count = 1
    return pieces, messages


def _column(rows: Any, field: Any, code: Literal["I", "L"]) -> memoryview:
    """One field of every row, as numbers."""
    row = ctypes.sizeof(rows) // PLACES
    numbers = memoryview(rows).cast("B").cast(code)
    return numbers[field.offset // field.size :: row // field.size]

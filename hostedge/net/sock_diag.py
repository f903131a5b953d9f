"""
Whose listener it is that a connection to a port would reach.

In:  the daemon manager, before the first request goes to a port that a daemon was told to use:
     another customer may have been faster.
Out: `Listening` with uid and address; the kernel is asked, not the process.
Spec: sock_diag(7); /proc/net/tcp of proc(5) where that is not to be had.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import frozen

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST, _NLM_F_DUMP = 0x1, 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_TCP_LISTEN = 10
_SKV6ONLY = 11
_ANSWER = 1 << 16  # the kernel's answers come in pieces of at most 32 KiB

_HEAD = struct.Struct("=IHHII")
# family, protocol, extensions, padding, states; ports; both addresses; interface, cookie
_REQUEST = struct.Struct("=BBBxI HH 16s16s III")
# family, state, timer, retransmits; source port; source address; uid, inode
_MESSAGE = struct.Struct("=BBBB 2s2x 16s16x 12x 12x II")
_ATTRIBUTE = struct.Struct("=HH")

_ANY = "0.0.0.0"  # noqa: S104
_MAPPED = "::ffff:"


@frozen
class Listening:
    """One listening TCP socket."""

    address: str
    port: int
    uid: int
    inode: int
    # an IPv6 socket that IPv4 does not reach
    only6: bool = False


def listeners(port: int) -> list[Listening]:
    """All that listen on this port, on whatever address."""
    try:
        return [each for family in (socket.AF_INET, socket.AF_INET6) for each in _ask(family, port)]
    except OSError:
        return from_tables(port)


def listener_at(host: str, port: int) -> Listening | None:
    """Who gets a connection to this address; None: nobody listens."""
    return reached(listeners(port), host)


def reached(found: Iterable[Listening], host: str) -> Listening | None:
    """
    The kernel's choice among listeners of one port: the address itself, then any of IPv4, then
    any of both.
    """
    order = {host: 0, "::": 2}
    if ":" not in host:
        # the same in an IPv6 socket's words, as somebody may have bound it
        order |= {f"{_MAPPED}{host}": 0, _ANY: 1, f"{_MAPPED}{_ANY}": 1}
    fit = [each for each in found if each.address in order and not (each.only6 and ":" not in host)]
    return min(fit, key=lambda each: order[each.address], default=None)


def _ask(family: int, port: int) -> Iterator[Listening]:
    """
    Raises:
        OSError: this kernel does not answer that.
    """
    body = _REQUEST.pack(
        *(family, socket.IPPROTO_TCP, 0, 1 << _TCP_LISTEN),
        *(socket.htons(port), 0, bytes(16), bytes(16), 0, 0xFFFFFFFF, 0xFFFFFFFF),
    )
    flags = _NLM_F_REQUEST | _NLM_F_DUMP
    head = _HEAD.pack(_HEAD.size + len(body), _SOCK_DIAG_BY_FAMILY, flags, 1, 0)
    kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC
    with socket.socket(socket.AF_NETLINK, kind, _NETLINK_SOCK_DIAG) as asking:
        asking.send(head + body)
        while True:
            answer = asking.recv(_ANSWER)
            for kind_of, message in _messages(answer):
                if kind_of == _NLMSG_DONE:
                    return
                if kind_of == _NLMSG_ERROR:
                    number = -int.from_bytes(message[:4], "little", signed=True)
                    raise OSError(number, os.strerror(number))
                listening = read_message(message)
                # kernels before 4.10 or so do not choose by port
                if listening.port == port:
                    yield listening


def _messages(answer: bytes) -> Iterator[tuple[int, bytes]]:
    place = 0
    while place + _HEAD.size <= len(answer):
        length, kind, _, _, _ = _HEAD.unpack_from(answer, place)
        if length < _HEAD.size:
            raise OSError(f"a message of {length} bytes")
        yield kind, answer[place + _HEAD.size : place + length]
        place += (length + 3) & ~3


def read_message(message: bytes) -> Listening:
    """One `inet_diag_msg` with its attributes."""
    family, _, _, _, port, address, uid, inode = _MESSAGE.unpack_from(message)
    if family == socket.AF_INET:
        address = address[:4]
    place, only6 = _MESSAGE.size, False
    while place + _ATTRIBUTE.size < len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, place)
        if kind == _SKV6ONLY:
            only6 = bool(message[place + _ATTRIBUTE.size])
        place += max((length + 3) & ~3, _ATTRIBUTE.size)
    shown = socket.inet_ntop(family, address)
    return Listening(shown, int.from_bytes(port, "big"), uid, inode, only6)


def from_tables(port: int, folder: Path = Path("/proc/net")) -> list[Listening]:
    """The same from the kernel's tables, which are walked in full: slow on a busy machine."""
    found: list[Listening] = []
    for name, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        try:
            lines = (folder / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            address, _, number = fields[1].partition(":")
            if int(fields[3], 16) == _TCP_LISTEN and int(number, 16) == port:
                # words of four bytes, each in the machine's order
                words = struct.pack(
                    f"={len(address) // 8}I",
                    *(int(address[at : at + 8], 16) for at in range(0, len(address), 8)),
                )
                shown = socket.inet_ntop(family, words)
                found.append(Listening(shown, port, int(fields[7]), int(fields[9])))
    return found

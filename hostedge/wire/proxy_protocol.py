"""
Who a proxy before us says the client is: the header of the PROXY protocol, versions 1 and 2.

In:  whoever accepts from such proxies, with what has arrived so far; and whoever connects to a
     server that wants to hear it.
Out: both ends of the client's connection, or how many bytes to wait for; the bytes to send.
Spec: https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from struct import Struct

from attrs import frozen

from hostedge.errors import BadRequest

MAX_LINE = 107  # bytes of a header of version 1, its end included; section 2.1
MAX_EXTRAS = 2048  # bytes of what a header of version 2 has beside the addresses
# bytes within which a header ends, or is refused
MAX_HEADER = 16 + 216 + MAX_EXTRAS

_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_PREFIX = b"PROXY "
_SHORTEST = len(b"PROXY UNKNOWN\r\n")
_LINE = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|TCP([46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+)"
    rb" (0|[1-9][0-9]{0,4}) (0|[1-9][0-9]{0,4}))\r\n"
)
_HEAD = Struct(">12sBBH")
_TCP4 = Struct(">4s4sHH")
_TCP6 = Struct(">16s16sHH")
_EXTRA = Struct(">BH")

# section 2.2: what the bytes after the signature may say
_LOCAL, _PROXY = 0x20, 0x21
_UNSPECIFIED, _OVER_TCP4, _OVER_TCP6, _OVER_UNIX = 0x00, 0x11, 0x21, 0x31
_ADDRESSES = {_UNSPECIFIED: 0, _OVER_TCP4: _TCP4.size, _OVER_TCP6: _TCP6.size, _OVER_UNIX: 216}
_CHECKSUM = 0x03

# an address and a port; no name is ever in here
End = tuple[str, int]


@frozen
class Header:
    """
    What was said, in `size` bytes; what follows them is the connection itself.

    Without ends the proxy speaks for itself, or does not know: the connection's own count.
    """

    size: int
    client: End | None = None
    local: End | None = None


def read_header(data: bytes) -> Header | int:
    """
    Read the header that a connection begins with; what follows it is not looked at.

    An answer of a number means: not before so many bytes are there.

    Raises:
        BadRequest: it begins with none, or with one that breaks the protocol or a limit.
    """
    if _PREFIX.startswith(data[: len(_PREFIX)]):
        return _read_line(data)
    if _SIGNATURE.startswith(data[: len(_SIGNATURE)]):
        return _read_binary(data)
    raise _bad("no PROXY header")


def make_line(client: End | None, local: End | None) -> bytes:
    """Give a header of version 1; without ends it says that nothing is known."""
    if client is None or local is None:
        return b"PROXY UNKNOWN\r\n"
    (its, its_port), (ours, our_port) = client, local
    source, target = _alike(its, ours)
    return b"PROXY TCP%d %b %b %d %d\r\n" % (
        source.version, str(source).encode(), str(target).encode(), its_port, our_port,
    )  # fmt: skip


def make_binary(client: End | None, local: End | None) -> bytes:
    """Give a header of version 2; without ends it says that we speak for ourselves."""
    if client is None or local is None:
        return _HEAD.pack(_SIGNATURE, _LOCAL, _UNSPECIFIED, 0)
    (its, its_port), (ours, our_port) = client, local
    source, target = _alike(its, ours)
    family, form = (_OVER_TCP4, _TCP4) if source.version == 4 else (_OVER_TCP6, _TCP6)
    ends = form.pack(source.packed, target.packed, its_port, our_port)
    return _HEAD.pack(_SIGNATURE, _PROXY, family, len(ends)) + ends


def _read_line(data: bytes) -> Header | int:
    line = data[:MAX_LINE]
    end = line.find(b"\n") + 1
    if not end:
        if len(line) == MAX_LINE:
            raise _bad("a line without an end")
        # at least the end of the line is missing
        return max(_SHORTEST, len(line) + (1 if line.endswith(b"\r") else 2))
    match = _LINE.fullmatch(line, 0, end)
    if match is None:
        raise _bad("no line of version 1")
    version, its, ours, its_port, our_port = match.groups()
    if version is None:
        return Header(end)
    make = IPv4Address if version == b"4" else IPv6Address
    try:
        client, local = _text(make(its.decode())), _text(make(ours.decode()))
    except AddressValueError:
        raise _bad("not an address") from None
    ports = int(its_port), int(our_port)
    if max(ports) > 65535:
        raise _bad("not a port")
    return Header(end, (client, ports[0]), (local, ports[1]))


def _read_binary(data: bytes) -> Header | int:
    if len(data) < _HEAD.size:
        return _HEAD.size
    _, command, family, length = _HEAD.unpack_from(data)
    if command not in (_LOCAL, _PROXY):
        raise _bad("neither LOCAL nor PROXY")
    size: int = _HEAD.size + length
    known = 0
    if command == _PROXY:
        if family not in _ADDRESSES:
            raise _bad("not the addresses of a stream")
        known = _ADDRESSES[family]
    if length < known:
        raise _bad("too short for its addresses")
    if length - known > MAX_EXTRAS:
        raise _bad("too long")
    if len(data) < size:
        return size
    if command == _LOCAL:
        # what it has is to be ignored
        return Header(size)
    _check_extras(data[:size], _HEAD.size + known)
    if family not in (_OVER_TCP4, _OVER_TCP6):
        return Header(size)
    form = _TCP4 if family == _OVER_TCP4 else _TCP6
    its, ours, its_port, our_port = form.unpack_from(data, _HEAD.size)
    client, local = _text(ip_address(its)), _text(ip_address(ours))
    return Header(size, (client, its_port), (local, our_port))


def _text(address: IPv4Address | IPv6Address) -> str:
    """The address in the form in which its network is known, whichever socket it came by."""
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(address)


def _check_extras(header: bytes, at: int) -> None:
    while at < len(header):
        if len(header) - at < _EXTRA.size:
            raise _bad("a value is cut off")
        kind, length = _EXTRA.unpack_from(header, at)
        at += _EXTRA.size
        if length > len(header) - at:
            raise _bad("a value is cut off")
        if kind == _CHECKSUM:
            blank = header[:at] + bytes(length) + header[at + length :]
            if length != 4 or int.from_bytes(header[at : at + 4]) != _crc32c(blank):
                raise _bad("the checksum is wrong")
        at += length


def _alike(
    its: str, ours: str
) -> tuple[IPv4Address, IPv4Address] | tuple[IPv6Address, IPv6Address]:
    """Both addresses in one family: what we were told of a client may be of another than ours."""
    source, target = ip_address(its), ip_address(ours)
    if isinstance(source, IPv4Address) and isinstance(target, IPv4Address):
        return source, target
    return _as_v6(source), _as_v6(target)


def _as_v6(address: IPv4Address | IPv6Address) -> IPv6Address:
    if isinstance(address, IPv6Address):
        return address
    return IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed)


def _crc32c(data: bytes) -> int:
    """RFC 3720 appendix B.4; a header is short, and has it seldom."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def _table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_TABLE = _table()


def _bad(detail: str) -> BadRequest:
    return BadRequest("bad_request", detail)

"""
The header of the PROXY protocol, both versions.

In:  `targets.known`.
Out: `TARGET`.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address

from hostedge.errors import BadRequest
from hostedge.wire.proxy_protocol import (
    MAX_EXTRAS,
    MAX_HEADER,
    MAX_LINE,
    Header,
    make_binary,
    make_line,
    read_header,
)
from tests.fuzz.targets.kind import Target

CLIENT, LOCAL = ("192.0.2.7", 40000), ("198.51.100.1", 443)
CLIENT6, LOCAL6 = ("2001:db8::7", 40000), ("2001:db8::1", 443)
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def read(data: bytes) -> Header | int | str:
    try:
        found = read_header(data)
    except BadRequest as refusal:
        return f"refused: {refusal.cause}"
    if isinstance(found, int):
        assert len(data) < found <= max(MAX_HEADER, MAX_LINE), found
    else:
        assert 0 < found.size <= min(len(data), max(MAX_HEADER, MAX_LINE))
    return found


def check(data: bytes) -> None:
    """A verdict stands whatever follows; what was read can be written, and is read again."""
    final = read(data)
    for size in {0, 1, 5, 12, 16, len(data) // 3, len(data) // 2, len(data) - 1}:
        if 0 <= size < len(data):
            early = read(data[:size])
            assert isinstance(early, int) or early == final, (early, final)
    if not isinstance(final, Header):
        return
    assert read(data[: final.size]) == final == read(data + b"GET / HTTP/1.1\r\n")
    for made in (make_line(final.client, final.local), make_binary(final.client, final.local)):
        again = read(made)
        assert isinstance(again, Header) and again.size == len(made)
        assert (again.client, again.local) == (final.client, final.local)
    for end in (final.client, final.local):
        if end is not None:
            assert str(ip_address(end[0])) == end[0] and 0 <= end[1] <= 65535


def seeds() -> Iterator[bytes]:
    for client, local in ((CLIENT, LOCAL), (CLIENT6, LOCAL6), (None, None)):
        yield make_line(client, local)
        yield make_binary(client, local)
    addresses = bytes((192, 0, 2, 7, 198, 51, 100, 1)) + b"\x9c\x40\x01\xbb"
    extras = b"\x02\x00\x09a.example" + b"\x03\x00\x04abcd" + b"\x20\x00\x05\x01\0\0\0\0"
    yield SIGNATURE + b"\x21\x11\0" + bytes((len(addresses + extras),)) + addresses + extras
    yield SIGNATURE + b"\x21\x31\0\xd8" + bytes(216)
    yield SIGNATURE + b"\x20\x00\0\0"
    yield SIGNATURE + b"\x21\x11" + (12 + MAX_EXTRAS + 1).to_bytes(2) + addresses
    yield b"PROXY UNKNOWN ffff::1 ::2 3 4\r\n"


TARGET = Target(
    name="proxy_protocol",
    check=check,
    modules=("hostedge.wire.proxy_protocol",),
    seeds=seeds,
    words=(
        *(b"PROXY ", b"TCP4 ", b"TCP6 ", b"UNKNOWN", b"\r\n", SIGNATURE, b"\x21\x11\x00\x0c"),
        *(b"\x21\x21\x00\x24", b"\x20\x00\x00\x00", b"::1 ", b"127.0.0.1 ", b"65535"),
    ),
)

"""How `hostedge.wire.proxy_protocol` reads and writes what proxies say about clients."""

from __future__ import annotations

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

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

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
CLIENT, LOCAL = ("192.0.2.7", 40000), ("198.51.100.1", 443)
CLIENT6, LOCAL6 = ("2001:db8::7", 40000), ("2001:db8::1", 443)
V4 = bytes((192, 0, 2, 7, 198, 51, 100, 1)) + (40000).to_bytes(2) + (443).to_bytes(2)

ports = st.integers(0, 65535)
ends = st.one_of(
    st.tuples(
        st.tuples(st.ip_addresses(v=version).map(str), ports),
        st.tuples(st.ip_addresses(v=version).map(str), ports),
    )
    for version in (4, 6)
)


def binary(command: int, family: int, body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return SIGNATURE + bytes((command, family)) + size.to_bytes(2) + body


def unmapped(end: tuple[str, int]) -> tuple[str, int]:
    address = ip_address(end[0])
    mapped = address.ipv4_mapped if address.version == 6 else None
    return str(mapped or address), end[1]


def value(kind: int, content: bytes) -> bytes:
    return bytes((kind,)) + len(content).to_bytes(2) + content


class LineTests(SynchronousTestCase):
    """Version 1."""

    def test_bothFamilies(self) -> None:
        """The ends of a connection are read as they were written."""
        line = b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\n"
        self.assertEqual(read_header(line + b"GET /"), Header(len(line), CLIENT, LOCAL))
        line = b"PROXY TCP6 2001:db8::7 2001:DB8:0::1 40000 443\r\n"
        self.assertEqual(read_header(line), Header(len(line), CLIENT6, LOCAL6))

    def test_unknown(self) -> None:
        """Whoever knows nothing may say anything to the end of the line."""
        for line in (b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff::1 x 3 4\r\n"):
            self.assertEqual(read_header(line + b"rest"), Header(len(line)))

    def test_refused(self) -> None:
        """Every other line is refused, and one that has no end within its limit."""
        for line in (
            b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\n",
            b"PROXY  TCP4 192.0.2.7 198.51.100.1 40000 443\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443 \r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 040000 443\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 70000 443\r\n",
            b"PROXY TCP4 192.0.2.7 198.51.100.1 +1 443\r\n",
            b"PROXY TCP4 192.0.2.07 198.51.100.1 1 443\r\n",
            b"PROXY TCP4 2001:db8::7 2001:db8::1 1 443\r\n",
            b"PROXY TCP6 192.0.2.7 198.51.100.1 1 443\r\n",
            b"PROXY TCP5 192.0.2.7 198.51.100.1 1 443\r\n",
            b"PROXY UDP4 192.0.2.7 198.51.100.1 1 443\r\n",
            b"PROXY UNKNOWNS\r\n",
            b"PROXY \r\n",
            b"proxy TCP4 192.0.2.7 198.51.100.1 1 443\r\n",
            b"PROXY UNKNOWN " + b"x" * (MAX_LINE - 15) + b"\r\n",
            b"PROXY UNKNOWN " + b"x" * MAX_LINE,
            b"GET / HTTP/1.1\r\n",
            b"\x16\x03\x01",
        ):
            with self.assertRaises(BadRequest, msg=repr(line)):
                read_header(line)

    @given(ends)
    def test_roundTrip(self, both: tuple[tuple[str, int], tuple[str, int]]) -> None:
        """What is written is read again, and fits the limit."""
        line = make_line(*both)
        self.assertLessEqual(len(line), MAX_LINE)
        self.assertEqual(read_header(line), Header(len(line), *map(unmapped, both)))


class BinaryTests(SynchronousTestCase):
    """Version 2."""

    def test_stream(self) -> None:
        """Addresses of TCP are read; what follows the header is not looked at."""
        header = binary(0x21, 0x11, V4)
        self.assertEqual(read_header(header + b"\x16"), Header(len(header), CLIENT, LOCAL))

    def test_noEnds(self) -> None:
        """LOCAL, an unspecified family and UNIX sockets name no client."""
        for header in (
            binary(0x20, 0x00, b""),
            binary(0x20, 0x11, V4),
            binary(0x20, 0xFF, b"whatever"),
            binary(0x21, 0x00, b""),
            binary(0x21, 0x31, bytes(216)),
        ):
            self.assertEqual(read_header(header), Header(len(header)))

    def test_extras(self) -> None:
        """Values beside the addresses are passed over, up to their limit."""
        extras = value(0x02, b"example.org") + value(0x04, b"")
        header = binary(0x21, 0x11, V4 + extras)
        self.assertEqual(read_header(header), Header(len(header), CLIENT, LOCAL))
        full = binary(0x21, 0x31, bytes(216) + value(0x04, bytes(MAX_EXTRAS - 3)))
        self.assertEqual(len(full), MAX_HEADER)
        self.assertEqual(read_header(full), Header(len(full)))

    def test_checksum(self) -> None:
        """A checksum counts; the vector is CRC-32C of RFC 3720 over the header itself."""
        header = bytearray(binary(0x21, 0x11, V4 + value(0x03, bytes(4))))
        for given_sum in range(2):
            with self.assertRaises(BadRequest):
                read_header(bytes(header[:-4]) + given_sum.to_bytes(4))
        good = bytes(header[:-4]) + checksum(bytes(header)).to_bytes(4)
        self.assertEqual(read_header(good), Header(len(good), CLIENT, LOCAL))

    def test_refused(self) -> None:
        """Other versions, commands, families and lengths are refused, the long ones at once."""
        for header in (
            binary(0x11, 0x11, V4),
            binary(0x22, 0x11, V4),
            binary(0x21, 0x12, V4),
            binary(0x21, 0x41, V4),
            binary(0x21, 0x11, V4[:-1]),
            binary(0x21, 0x21, V4),
            binary(0x21, 0x11, V4 + b"\x04\0"),
            binary(0x21, 0x11, V4 + b"\x04\0\x02x"),
            binary(0x21, 0x11, V4 + value(0x03, bytes(3))),
            binary(0x21, 0x11, b"", MAX_EXTRAS + 13),
            binary(0x20, 0x11, b"", MAX_EXTRAS + 1),
            SIGNATURE[:-1] + b"x",
        ):
            with self.assertRaises(BadRequest, msg=repr(header)):
                read_header(header)

    @given(ends)
    def test_roundTrip(self, both: tuple[tuple[str, int], tuple[str, int]]) -> None:
        """What is written is read again."""
        header = make_binary(*both)
        self.assertEqual(read_header(header), Header(len(header), *map(unmapped, both)))


class EitherTests(SynchronousTestCase):
    """What both versions have alike."""

    def test_nothingKnown(self) -> None:
        """Without ends both say so."""
        for make in (make_line, make_binary):
            header = make(None, None)
            self.assertEqual(read_header(header), Header(len(header)))

    def test_mixedFamilies(self) -> None:
        """A client of another family than our address is written in the larger one."""
        for make in (make_line, make_binary):
            for client, local in ((CLIENT, LOCAL6), (CLIENT6, LOCAL)):
                header = make(client, local)
                self.assertEqual(read_header(header), Header(len(header), client, local))

    def test_mapped(self) -> None:
        """An IPv4 client of a proxy's IPv6 socket is known by its own address, as in lists."""
        line = b"PROXY TCP6 ::ffff:192.0.2.7 ::FFFF:c633:6401 40000 443\r\n"
        prefix = bytes(10) + b"\xff\xff"
        v6 = prefix + V4[:4] + prefix + V4[4:8] + V4[8:]
        for header in (line, binary(0x21, 0x21, v6)):
            self.assertEqual(read_header(header), Header(len(header), CLIENT, LOCAL))

    def test_pieces(self) -> None:
        """However it is cut, it is complete at its last byte, and never is too much waited for."""
        for whole in (
            make_line(CLIENT, LOCAL),
            make_line(None, None),
            make_binary(CLIENT6, LOCAL6),
            binary(0x21, 0x11, V4 + value(0x02, b"example.org")),
        ):
            for end in range(len(whole)):
                wanted = read_header(whole[:end])
                assert isinstance(wanted, int)
                self.assertTrue(end < wanted <= len(whole), (whole, end, wanted))

    @given(st.one_of(st.binary(max_size=64), st.binary(max_size=64).map(SIGNATURE.__add__)))
    def test_anything(self, data: bytes) -> None:
        """Whatever comes is read, waited for within the limit, or refused."""
        try:
            read = read_header(data)
        except BadRequest:
            return
        if isinstance(read, int):
            self.assertTrue(len(data) < read <= MAX_HEADER)
        else:
            self.assertLessEqual(read.size, len(data))


def checksum(data: bytes) -> int:
    """CRC-32C bit by bit."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 * (crc & 1))
    return crc ^ 0xFFFFFFFF

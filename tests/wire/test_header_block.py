"""Header blocks against the `hpack` library, and what is no block."""

from __future__ import annotations

from time import process_time

from hpack import Decoder, Encoder
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.header_block import (
    MAX_TABLE,
    NO_TABLE,
    BadBlock,
    BlockReader,
    BlockTooLarge,
    make_block,
    unpack_string,
)

NAMES = st.one_of(
    st.sampled_from([b":path", b":method", b"cookie", b"accept", b"x-a"]),
    st.binary(min_size=1, max_size=40),
)
FIELDS = st.lists(st.tuples(NAMES, st.binary(max_size=200)), max_size=20)


class ReaderTests(SynchronousTestCase):
    """Blocks of clients."""

    @given(st.lists(st.tuples(FIELDS, st.booleans(), st.sampled_from([0, 100, 4096])), max_size=8))
    def test_asAnEncoderMeansIt(
        self, blocks: list[tuple[list[tuple[bytes, bytes]], bool, int]]
    ) -> None:
        """Whatever an encoder with a table of any size writes is read as it was."""
        encoder, reader = Encoder(), BlockReader()
        for fields, huffman, size in blocks:
            encoder.header_table_size = size
            self.assertEqual(reader.read(encoder.encode(fields, huffman)), fields)
            counted = sum(len(name) + len(value) + 32 for name, value in fields)
            self.assertEqual(reader.unfolded, counted)

    @given(st.binary(max_size=300))
    def test_anything(self, data: bytes) -> None:
        """Any bytes are a block or are refused, and the library thinks the same."""
        decoder = Decoder()
        decoder.max_allowed_table_size = MAX_TABLE
        try:
            wanted = [(bytes(n), bytes(v)) for n, v in decoder.decode(data, raw=True)]
        except Exception:  # noqa: BLE001 - of whatever kind
            wanted = None
        try:
            got = BlockReader().read(data)
        except BadBlock:
            got = None
        if got is None and wanted is not None:
            # a number of over 28 bits, or a size update within a block
            self.assertTrue(any(octet >= 0x20 for octet in data))
        elif wanted is not None:
            self.assertEqual(got, wanted)

    def test_examplesOfTheStandard(self) -> None:
        """RFC 7541 appendix C.4: three requests on one table."""
        reader = BlockReader()
        first = reader.read(bytes.fromhex("828684418cf1e3c2e5f23a6ba0ab90f4ff"))
        self.assertEqual(first[3], (b":authority", b"www.example.com"))
        second = reader.read(bytes.fromhex("828684be5886a8eb10649cbf"))
        self.assertEqual(second[3:], [first[3], (b"cache-control", b"no-cache")])
        third = reader.read(bytes.fromhex("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf"))
        self.assertEqual(third[4], (b"custom-key", b"custom-value"))

    def test_bomb(self) -> None:
        """A block that unfolds to megabytes is given up early."""
        large = b"\x40\x01a" + b"\x7f\xa1\x1e" + b"a" * 4000
        reader = BlockReader()
        begun = process_time()
        self.assertRaises(BlockTooLarge, reader.read, large + b"\xbe" * 12_000)
        self.assertLess(process_time() - begun, 0.2)

    def test_refused(self) -> None:
        """What is no block."""
        for text in (
            "80",  # index 0
            "be",  # nothing is in the table yet
            "40",  # no name
            "4001",  # a name that ends too early
            "ff8080808001",  # a number over 28 bits
            "823f00",  # the size of the table after a field
            "3fe21f",  # a table of 4097 bytes
            "0082ff",  # a string that ends too early
            "0081ff00",  # a code for the end
            "00811800",  # padding of zeros
            "0082ffff00",  # padding of a whole octet
        ):
            self.assertRaises(BadBlock, BlockReader().read, bytes.fromhex(text))

    def test_smallTable(self) -> None:
        """What does not fit into the table is read, and empties it."""
        reader = BlockReader()
        reader.read(bytes.fromhex("40016101613f19"[:10]))
        self.assertEqual(reader.read(b"\x3f\x09\x40\x01b" + b"\x10" + b"c" * 16)[0][0], b"b")
        self.assertRaises(BadBlock, reader.read, b"\xbe")

    def test_longStrings(self) -> None:
        """A string too long to be remembered is unpacked as well."""
        text = bytes(range(32, 127)) * 8
        packed = Encoder().encode([(b"x", text)], huffman=True)
        self.assertEqual(BlockReader().read(packed), [(b"x", text)])
        self.assertEqual(unpack_string(b""), b"")


class MakerTests(SynchronousTestCase):
    """Our blocks."""

    @given(st.integers(200, 599), st.lists(st.tuples(NAMES, st.binary(max_size=500)), max_size=9))
    def test_asADecoderReadsIt(self, status: int, fields: list[tuple[bytes, bytes]]) -> None:
        """A decoder without a table reads what was meant; names are in lower case."""
        decoder = Decoder()
        decoder.max_allowed_table_size = 0
        got = decoder.decode(NO_TABLE + make_block(status, fields), raw=True)
        wanted = [(b":status", b"%d" % status)]
        wanted += [(name.lower(), value) for name, value in fields]
        self.assertEqual([(bytes(n), bytes(v)) for n, v in got], wanted)

    def test_small(self) -> None:
        """What the static table knows costs an octet or two."""
        self.assertEqual(make_block(200, [(b"Content-Length", b"5")]), b"\x88\x0f\x0d\x015")

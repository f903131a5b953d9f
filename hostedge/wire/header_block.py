"""
Header blocks of HTTP/2: fields out of a client's blocks, and blocks for our answers.

In:  `http.h2_engine`, with whole blocks in the order in which they came.
Out: fields as pairs of bytes, and bytes.
Spec: RFC 7541; the tables of its appendices come from the `hpack` library.

A client's dynamic table is kept, as it must be. Ours stays empty: an answer's block is then a
plain function of its fields, and needs neither a state nor an order.
"""

from __future__ import annotations

from collections import deque

from hpack.huffman_table import HUFFMAN_COMPLETE, HUFFMAN_EMIT_SYMBOL, HUFFMAN_FAIL, HUFFMAN_TABLE
from hpack.table import HeaderTable

from hostedge.errors import BadRequest
from hostedge.memo import Memo

Field = tuple[bytes, bytes]

MAX_TABLE = 4096  # RFC 9113 section 6.5.2: what a client may assume before it knows our settings
# a longer string is hardly the same one as before
_MEMORABLE = 256
_OVERHEAD = 32  # RFC 7541 section 4.1

_STATIC: list[Field] = [(b"", b""), *HeaderTable.STATIC_TABLE]
_FIRST_DYNAMIC = len(_STATIC)
_NEARLY_DYNAMIC = 0x80 | _FIRST_DYNAMIC

# what an encoder says that will never use the dynamic table
NO_TABLE = b"\x20"


class BadBlock(BadRequest):
    """Both sides' tables differ from here on: no later block can be read either."""

    def __init__(self, detail: str) -> None:
        super().__init__("bad_request", detail)


class BlockTooLarge(BadBlock):
    """A few bytes that stand for very many."""


class BlockReader:
    """
    The client's dynamic table, and what it stands for.

    `most`: names and values, and 32 bytes a field; a block that unfolds to more is a bomb.
    """

    def __init__(self, most: int = 65_536) -> None:
        self._most = most
        # the newest first
        self._table: deque[Field] = deque()
        self._size = 0
        self._limit = MAX_TABLE
        # of the fields of the last block, as RFC 9113 section 6.5.2 counts
        self.unfolded = 0

    def read(self, block: bytes) -> list[Field]:
        """
        Give the fields of the next block.

        Raises:
            BadBlock: it is not valid.
            BlockTooLarge: the fields are more than `most` bytes.
        """
        fields: list[Field] = []
        position = size = 0
        end, most = len(block), self._most
        try:
            while position < end:
                first = block[position]
                if 0x80 < first < _NEARLY_DYNAMIC:
                    field = _STATIC[first & 0x7F]
                    position += 1
                elif first >= 0x80:
                    index, position = _integer(block, position, 0x7F)
                    field = self._at(index)
                elif first >= 0x40:
                    field, position = self._literal(block, position, 0x3F)
                    self._add(field)
                elif first < 0x20:
                    field, position = self._literal(block, position, 0x0F)
                else:
                    if fields:
                        raise BadBlock("a table's size after a field")
                    limit, position = _integer(block, position, 0x1F)
                    if limit > MAX_TABLE:
                        raise BadBlock("a larger table than was allowed")
                    self._limit = limit
                    self._shrink()
                    continue
                size += len(field[0]) + len(field[1]) + _OVERHEAD
                if size > most:
                    raise BlockTooLarge("a block unfolds to too much")
                fields.append(field)
        except IndexError:
            raise BadBlock("it ends too early") from None
        self.unfolded = size
        return fields

    def _at(self, index: int) -> Field:
        if index < _FIRST_DYNAMIC:
            if not index:
                raise BadBlock("index 0")
            return _STATIC[index]
        if index - _FIRST_DYNAMIC >= len(self._table):
            raise BadBlock("an index beyond the table")
        return self._table[index - _FIRST_DYNAMIC]

    def _literal(self, block: bytes, position: int, mask: int) -> tuple[Field, int]:
        index, position = _integer(block, position, mask)
        if index:
            name = self._at(index)[0]
        else:
            name, position = _string(block, position)
        value, position = _string(block, position)
        return (name, value), position

    def _add(self, field: Field) -> None:
        self._size += len(field[0]) + len(field[1]) + _OVERHEAD
        self._table.appendleft(field)
        if self._size > self._limit:
            self._shrink()

    def _shrink(self) -> None:
        table = self._table
        while self._size > self._limit:
            name, value = table.pop()
            self._size -= len(name) + len(value) + _OVERHEAD


def _integer(block: bytes, position: int, mask: int) -> tuple[int, int]:
    """RFC 7541 section 5.1; numbers of more than 28 bits have no use here."""
    number = block[position] & mask
    position += 1
    if number < mask:
        return number, position
    for shift in (0, 7, 14, 21):
        octet = block[position]
        position += 1
        number += (octet & 0x7F) << shift
        if octet < 0x80:
            return number, position
    raise BadBlock("a number is too large")


def _string(block: bytes, position: int) -> tuple[bytes, int]:
    packed = block[position] >= 0x80
    size, position = _integer(block, position, 0x7F)
    end = position + size
    if end > len(block):
        raise BadBlock("a string ends too early")
    text = block[position:end]
    if packed:
        text = _unpacked[text] if size <= _MEMORABLE else unpack_string(text)
    return text, end


def unpack_string(packed: bytes) -> bytes:
    """
    Undo the Huffman code.

    Raises:
        BadBlock: a code for the end, or wrong padding.
    """
    pieces = []
    state = 0
    flags = HUFFMAN_COMPLETE
    for octet in packed:
        state, flags, piece = _steps[state << 8 | octet]
        if piece:
            pieces.append(piece)
    if not flags & HUFFMAN_COMPLETE:
        raise BadBlock("a string with wrong padding")
    return b"".join(pieces)


def _step(key: int) -> tuple[int, int, bytes]:
    """Two steps of the library's table, which goes by half an octet."""
    state, octet = key >> 8, key & 0xFF
    piece = b""
    flags = 0
    for half in (octet >> 4, octet & 0x0F):
        state, flags, symbol = HUFFMAN_TABLE[state * 16 + half]
        if flags & HUFFMAN_FAIL:
            raise BadBlock("a string that is no code")
        if flags & HUFFMAN_EMIT_SYMBOL:
            piece += bytes((symbol,))
    return state, flags, piece


_steps: Memo[int, tuple[int, int, bytes]] = Memo(_step, 16_384)
_unpacked: Memo[bytes, bytes] = Memo(unpack_string)


# for our answers


def _number(number: int, mask: int, pattern: int) -> bytes:
    if number < mask:
        return bytes((pattern | number,))
    octets = [pattern | mask]
    number -= mask
    while number >= 0x80:
        octets.append(0x80 | number & 0x7F)
        number >>= 7
    octets.append(number)
    return bytes(octets)


_indexes: dict[bytes, int] = {}
for _index in range(len(_STATIC) - 1, 0, -1):
    _indexes[_STATIC[_index][0]] = _index


def _name_octets(name: bytes) -> bytes:
    """Literal, never to be put into the client's table; the name by its number if it has one."""
    name = name.lower()
    index = _indexes.get(name)
    if index is not None:
        return _number(index, 0x0F, 0)
    return b"\x00" + _number(len(name), 0x7F, 0) + name


def _status_octets(status: int) -> bytes:
    field = (b":status", b"%d" % status)
    if field in _STATIC:
        return _number(_STATIC.index(field), 0x7F, 0x80)
    return _name_octets(field[0]) + b"\x03" + field[1]


_names: Memo[bytes, bytes] = Memo(_name_octets)
_sizes: Memo[int, bytes] = Memo(lambda size: _number(size, 0x7F, 0))
_statuses: Memo[int, bytes] = Memo(_status_octets)


def make_block(status: int, fields: list[Field]) -> bytes:
    """Write the block of an answer; names come out in lower case."""
    parts = [_statuses[status]]
    for name, value in fields:
        parts += (_names[name], _sizes[len(value)], value)
    return b"".join(parts)

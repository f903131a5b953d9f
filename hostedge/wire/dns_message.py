"""
DNS messages: a query out of bytes, and the parts that answers are put together of.

In:  `dns.responder` with each packet that its cache does not know.
Out: `Query`, with the code of a refusal when that is all the answer there will be; heads, OPT and
     TSIG records of answers.
Spec: RFC 1035 section 4.1, RFC 4035 section 3.1.6, RFC 6891 section 6, RFC 7873 section 5.2,
      RFC 8945 section 5.2.1, RFC 9619.
"""

from __future__ import annotations

from struct import Struct, error

from hostedge.memo import Memo
from hostedge.wire.dns_cookie import CLIENT, LONGEST, SERVER
from hostedge.wire.dns_name import MAX_LABEL, MAX_NAME, Name

HEADER = 12
MIN_SIZE = 512  # what every client takes over UDP
MAX_SIZE = 1232  # what passes every network whole: IPv6's minimum of 1280 less its headers
MAX_STREAM = 65_535

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
NOTAUTH = 9
BADVERS = 16
BADCOOKIE = 23

A, NS, CNAME, SOA, MX, AAAA, SRV, OPT, DS = 1, 2, 5, 6, 15, 28, 33, 41, 43
TSIG, IXFR, ANY = 250, 251, 255
IN = 1
# types of questions that no record has, except for ANY: OPT, then TKEY, TSIG, IXFR, AXFR,
# MAILB and MAILA
META = frozenset((OPT, 249, TSIG, IXFR, 252, 253, 254))

# the two bytes of flags
_RESPONSE = 0x8000
_OPERATION = 0x7800
AUTHORITATIVE = 0x0400
TRUNCATED = 0x0200
_RECURSION_DESIRED = 0x0100
_AUTHENTIC = 0x0020
_CHECKING_DISABLED = 0x0010
_DNSSEC_OK = 0x8000

_COOKIE = 10  # of the options
_BADKEY = 17
_ANY_CLASS = 255
# OPT and TSIG; nothing else is of use in a query, and each one more costs time
_MAX_ADDITIONAL = 2

_POINTER = 0xC0  # a length from here on is one

_COUNTS = Struct(">HHHHH").unpack_from
_PAIR = Struct(">HH").unpack_from
_SIZE = Struct(">H").unpack_from
_RECORD = Struct(">HHIH").unpack_from
_HEAD = Struct(">HHHHH").pack
_WRITE_OPT = Struct(">BHHIH").pack
_WRITE_RECORD = Struct(">HHIH").pack


class Malformed(Exception):
    """Not a message: FORMERR."""


class Edns:
    """What a client says in its OPT record."""

    __slots__ = ("limit", "version", "flags", "client_cookie", "server_cookie")

    def __init__(self, size: int, version: int, flags: int) -> None:
        # how long an answer over UDP may be
        self.limit = min(max(size, MIN_SIZE), MAX_SIZE)
        self.version = version
        # RFC 3225 section 3: DO comes back as it was; the others are nobody's yet
        self.flags = flags & _DNSSEC_OK
        self.client_cookie = b""
        self.server_cookie = b""

    def opt(self, rcode: int, server_cookie: bytes) -> bytes:
        """The OPT record of an answer; without a client's cookie there is none of ours."""
        extended = (rcode >> 4) << 24 | self.flags
        if not self.client_cookie:
            return _WRITE_OPT(0, OPT, MAX_SIZE, extended, 0)
        size = CLIENT + SERVER
        return (
            _WRITE_OPT(0, OPT, MAX_SIZE, extended, 4 + size)
            + _COOKIE.to_bytes(2)
            + size.to_bytes(2)
            + self.client_cookie
            + server_cookie
        )


class Query:
    """
    What a packet asks. `rcode` is NOERROR for a question that wants its answer looked up, or
    for none at all beside a cookie; anything else is the answer.
    """

    rcode = NOERROR
    # the client's own bytes: whoever mixes upper and lower case wants them back
    question = b""
    name: Name | None = None
    kind = 0
    edns: Edns | None = None
    # the record that tells the client that its key is not known
    tsig = b""

    def __init__(self, slot: int) -> None:
        self.slot = slot


# Which of the four heads of an answer is wanted. AD and CD are between resolvers, and never come
# back from an authority: RFC 4035 section 3.1.6.
_RD, WITH_EDNS = 1, 2


def _slots() -> dict[bytes, int]:
    found = {}
    for slot in range(4):
        for ignored in (0, _CHECKING_DISABLED, _AUTHENTIC, _CHECKING_DISABLED | _AUTHENTIC):
            flags = (slot & _RD) << 8 | ignored
            found[_HEAD(flags, 1, 0, 0, 1 if slot & WITH_EDNS else 0)] = slot
    return found


# Bytes 2 to 12 of queries that hold one question and nothing unusual.
SLOTS = _slots()


def _make_heads(parts: tuple[int, int, int, int, int]) -> tuple[bytes, ...]:
    flags, questions, answers, authorities, additional = parts
    heads = []
    for slot in range(4):
        own = flags | _RESPONSE
        own |= _RECURSION_DESIRED if slot & _RD else 0
        more = additional + (1 if slot & WITH_EDNS else 0)
        heads.append(_HEAD(own, questions, answers, authorities, more))
    return tuple(heads)


# Bytes 2 to 12 of an answer, for each slot, by flags with rcode and the counts without OPT. There
# are few different ones.
HEADS: Memo[tuple[int, int, int, int, int], tuple[bytes, ...]] = Memo(_make_heads)


def read_query(packet: bytes) -> Query | None:
    """Read one packet; None: it wants no answer, whatever is in it."""
    slot = SLOTS.get(packet[2:HEADER])
    if slot is None:
        return _read_unusual(packet)
    query = Query(slot)
    try:
        at = _read_question(query, packet)
        if slot & WITH_EDNS:
            rest = packet[at:]
            shape = SHAPES[rest[:SHAPE]]
            if shape.length == len(rest):
                query.edns = shape.edns if not shape.cookie else shape.with_cookie(rest)
            elif _read_additional(query, packet, at, True) != len(packet):
                raise Malformed
        elif at != len(packet):
            raise Malformed
        query.rcode = _verdict(query)
    except (Malformed, IndexError, error):
        query.rcode = FORMERR
        query.tsig = b""
    if query.edns is None:
        # the additional record was another one
        query.slot &= ~WITH_EDNS
    return query


def _read_unusual(packet: bytes) -> Query | None:
    if len(packet) < HEADER or packet[2] & 0x80:
        return None
    flags, questions, answers, authorities, additional = _COUNTS(packet, 2)
    query = Query((flags >> 8) & _RD)
    if flags & _OPERATION:
        # what the sections are then is not ours to know
        query.rcode = NOTIMP
        return query
    try:
        at = _read_question(query, packet) if questions == 1 else HEADER
        if query.kind == IXFR and not answers:
            # with the serial that the client has, in the authority section
            query.rcode = REFUSED
            return query
        if questions > 1 or answers or authorities or additional > _MAX_ADDITIONAL:
            raise Malformed
        for left in range(additional, 0, -1):
            at = _read_additional(query, packet, at, left == 1)
        if at != len(packet):
            raise Malformed
        query.rcode = _verdict(query)
    except (Malformed, IndexError, error):
        query.rcode = FORMERR
        query.tsig = b""
    return query


def _verdict(query: Query) -> int:
    edns = query.edns
    if edns is not None and edns.version:
        return BADVERS
    if query.tsig:
        return NOTAUTH
    if query.name is None:
        # RFC 7873 section 5.4: a question may be missing where a cookie is wanted
        return NOERROR if edns is not None and edns.client_cookie else FORMERR
    if query.question[-2:] != b"\0\1" or query.kind in META:
        return REFUSED
    return NOERROR


def _read_question(query: Query, packet: bytes) -> int:
    offsets = []
    at = HEADER
    while size := packet[at]:
        if size > MAX_LABEL:
            raise Malformed
        offsets.append(at - HEADER)
        at += size + 1
    at += 1
    if at - HEADER > MAX_NAME:
        raise Malformed
    query.kind = _SIZE(packet, at)[0]
    question = packet[HEADER : at + 4]
    if len(question) != at + 4 - HEADER:
        raise Malformed
    query.name = Name(packet[HEADER:at].lower(), offsets)
    query.question = question
    return at + 4


def _read_additional(query: Query, packet: bytes, at: int, last: bool) -> int:
    start = at
    at = _skip_name(packet, at)
    at += 2 if packet[at] else 1
    kind, size, ttl, length = _RECORD(packet, at)
    at += 10
    end: int = at + length
    if end > len(packet):
        raise Malformed
    if kind == OPT:
        if query.edns is not None or packet[start]:
            raise Malformed
        query.edns = edns = Edns(size, ttl >> 16 & 0xFF, ttl)
        query.slot |= WITH_EDNS
        _read_options(edns, packet, at, end)
    elif kind == TSIG:
        if not last:
            raise Malformed
        query.tsig = _unknown_key(query, packet, start, at, end)
    return end


def _skip_name(packet: bytes, at: int) -> int:
    """Go to the end of a name, or to the pointer in it."""
    while 0 < (size := packet[at]) < _POINTER:
        if size > MAX_LABEL:
            raise Malformed
        at += size + 1
    return at


def _read_options(edns: Edns, packet: bytes, at: int, end: int) -> None:
    while at < end:
        code, size = _PAIR(packet, at)
        at += 4 + size
        if at > end:
            raise Malformed
        # the first cookie counts; RFC 7873 section 5.2
        if code == _COOKIE and not edns.client_cookie:
            if size != CLIENT and not CLIENT + 8 <= size <= LONGEST:
                raise Malformed
            edns.client_cookie = packet[at - size : at - size + CLIENT]
            edns.server_cookie = packet[at - size + CLIENT : at]


def _unknown_key(query: Query, packet: bytes, start: int, at: int, end: int) -> bytes:
    """The TSIG record that says so: name, algorithm, time and fudge as they came, no MAC."""
    pointer = _skip_name(packet, start)
    if packet[pointer]:
        # into the question, which is where it was in our answer, too
        target = (_SIZE(packet, pointer)[0] & 0x3FFF) - HEADER
        if query.name is None or target not in query.name.offsets:
            raise Malformed
    root = _skip_name(packet, at)
    mac: int = _SIZE(packet, root + 9)[0]
    if packet[root] or root + 11 + mac + 6 > end:
        raise Malformed
    data = packet[at : root + 9] + b"\0\0" + packet[:2] + _BADKEY.to_bytes(2) + b"\0\0"
    return packet[start : at - 10] + _WRITE_RECORD(TSIG, _ANY_CLASS, 0, len(data)) + data


class Shape:
    """
    What the answers to all queries with one beginning of an OPT record have in common.

    The record ends after `length` bytes; it has a client's cookie from byte 15 to 23 if `cookie`
    says so. `opt` is ours, as far as the server's cookie.
    """

    __slots__ = ("length", "edns", "limit", "cookie", "opt")

    def __init__(self, length: int, edns: Edns, cookie: bool, opt: bytes) -> None:
        self.length = length
        self.edns = edns
        self.limit = edns.limit
        self.cookie = cookie
        self.opt = opt

    def with_cookie(self, record: bytes) -> Edns:
        """What this very client says."""
        edns = Edns(self.limit, 0, self.edns.flags)
        edns.client_cookie = record[SHAPE : SHAPE + CLIENT]
        edns.server_cookie = record[SHAPE + CLIENT :]
        return edns


SHAPE = 15  # bytes: OPT without data, and the head of its first option
_OTHER = Shape(-1, Edns(0, 0, 0), False, b"")


def _read_shape(start: bytes) -> Shape:
    """
    Look at the first `SHAPE` bytes behind a question: one OPT record of version 0 with nothing or
    a cookie in it. Everything else is `read_query`'s; its shape has no possible length.
    """
    if len(start) < 11 or start[:3] != b"\0\0\x29" or start[6]:
        return _OTHER
    _, size, ttl, length = _RECORD(start, 1)
    edns = Edns(size, 0, ttl)
    if length == 0 and len(start) == 11:
        return Shape(11, edns, False, edns.opt(NOERROR, b""))
    if len(start) == SHAPE and length > 4:
        code, option = _PAIR(start, 11)
        whole = option == CLIENT or CLIENT + 8 <= option <= LONGEST
        if code == _COOKIE and length == option + 4 and whole:
            edns.client_cookie = bytes(CLIENT)
            opt = edns.opt(NOERROR, bytes(SERVER))[: -CLIENT - SERVER]
            return Shape(11 + length, edns, True, opt)
    return _OTHER


# Clients use few different ones.
SHAPES: Memo[bytes, Shape] = Memo(_read_shape)

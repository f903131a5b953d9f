"""
Tests for `hostedge.wire.dns_message`.

What is not valid is told by the packets in `tests/cases/dns`.
"""

from __future__ import annotations

import dns.message
import dns.tsig
from dns.edns import Option
from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.dns_message import (
    BADVERS,
    FORMERR,
    HEADS,
    NOERROR,
    NOTAUTH,
    NOTIMP,
    OPT,
    REFUSED,
    SHAPE,
    SHAPES,
    SLOTS,
    WITH_EDNS,
    Query,
    read_query,
)
from tests.dns.authority import option


def read(packet: bytes) -> Query:
    query = read_query(packet)
    assert query is not None
    return query


class QueryTests(SynchronousTestCase):
    """Queries out of bytes."""

    def test_question(self) -> None:
        """
        The question is kept as it came; the name is compared in lower case.
        """
        wire = dns.message.make_query("wWw.Example.org", "MX").to_wire()
        query = read(wire)
        assert query.name is not None
        self.assertEqual(query.question, wire[12:])
        self.assertEqual(query.name.wire, b"\3www\7example\3org\0")
        self.assertEqual((list(query.name.offsets), query.kind), ([0, 4, 12], 15))
        self.assertEqual((query.rcode, query.edns, query.tsig), (NOERROR, None, b""))

    def test_edns(self) -> None:
        """
        An answer is at most as long as the client says, at least 512 bytes and never over 1232.
        """
        for size, limit in ((0, 512), (512, 512), (700, 700), (1232, 1232), (65535, 1232)):
            for options in (list[Option](), [option(65001, b"")]):
                query = dns.message.make_query("a.test", "A", use_edns=0, options=options)
                query.use_edns(0, 0, size, options=options)
                edns = read(query.to_wire()).edns
                assert edns is not None
                self.assertEqual(edns.limit, limit)

    def test_cookie(self) -> None:
        """
        Both parts of a cookie are read, wherever in the options it stands.
        """
        for before in ([], [option(3, b"x")]):
            options = [*before, option(10, b"clientCCserverSSserver")]
            query = dns.message.make_query("a.test", "A", use_edns=0, options=options)
            edns = read(query.to_wire()).edns
            assert edns is not None
            self.assertEqual(
                (edns.client_cookie, edns.server_cookie), (b"clientCC", b"serverSSserver")
            )

    def test_verdicts(self) -> None:
        """
        What is no question for a zone has its answer at once.
        """
        wanted = {
            ("a.test", "A", "CH"): REFUSED,
            ("a.test", "AXFR", "IN"): REFUSED,
            ("a.test", "IXFR", "IN"): REFUSED,
            ("a.test", "ANY", "IN"): NOERROR,
        }
        for (name, kind, cls), rcode in wanted.items():
            query = dns.message.make_query(name, kind, cls)
            self.assertEqual(read(query.to_wire()).rcode, rcode, (kind, cls))
        wire = dns.message.make_query("a.test", "A").to_wire()
        self.assertEqual(read(wire[:2] + b"\x28" + wire[3:]).rcode, NOTIMP)
        self.assertEqual(read(wire + b"\0").rcode, FORMERR)
        self.assertIsNone(read_query(wire[:2] + b"\x80" + wire[3:]))
        self.assertIsNone(read_query(wire[:11]))
        query = dns.message.make_query("a.test", "A", use_edns=1)
        self.assertEqual(read(query.to_wire()).rcode, BADVERS)

    def test_signed(self) -> None:
        """
        A query signed with a key is not for us; what says so names key and algorithm.
        """
        query = dns.message.make_query("a.test", "A")
        query.use_tsig(dns.tsig.Key("key.test", b"secret" * 6))
        found = read(query.to_wire())
        self.assertEqual(found.rcode, NOTAUTH)
        self.assertTrue(found.tsig.startswith(b"\3key\xc0\x0e\0\xfa\0\xff\0\0\0\0"))


class ShapeTests(SynchronousTestCase):
    """OPT records by their first bytes."""

    def test_sameAsRead(self) -> None:
        """
        A shape that has a length says what reading the record says.
        """
        for size in (0, 512, 1000, 4096):
            for flags in (0, 0x8000, 0xFFFF):
                for cookie in (0, 8, 16, 24, 40):
                    options = [option(10, b"c" * cookie)] if cookie else []
                    query = dns.message.make_query("a.test", "A")
                    query.use_edns(0, flags, size, options=options)
                    wire = query.to_wire()
                    rest = wire[12 + len(b"\1a\4test\0") + 4 :]
                    shape, edns = SHAPES[rest[:SHAPE]], read(wire).edns
                    assert edns is not None
                    self.assertEqual((shape.length, shape.limit), (len(rest), edns.limit))
                    server = b"s" * 16
                    made = shape.opt + (b"c" * 8 + server if shape.cookie else b"")
                    self.assertEqual(made, edns.opt(NOERROR, server))
                    wanted = b"c" * cookie
                    self.assertEqual(edns.client_cookie + edns.server_cookie, wanted)
                    self.assertEqual(edns.flags, flags & 0x8000)

    def test_others(self) -> None:
        """
        Whatever else it is has no length that a record could have.
        """
        opt = b"\0\0\x29\4\xd0\0\0\0\0"
        for rest in (
            b"",
            opt,
            opt + b"\0\1",
            opt + b"\0\4",
            opt + b"\0\4\0\x03\0\0",
            opt + b"\0\x0c\0\x03\0\x08",
            opt + b"\0\x0c\0\x0a\0\x09",
            opt + b"\0\x0d\0\x0a\0\x09",
            b"\1" + opt[1:] + b"\0\0",
            opt[:6] + b"\1\0\0\0\0",
        ):
            self.assertEqual(SHAPES[rest].length, -1, rest)


class HeadTests(SynchronousTestCase):
    """Heads of answers."""

    def test_slots(self) -> None:
        """
        For each usual head of a query there is the head of an answer: what comes back comes
        back, what does not is zero, OPT is counted.
        """
        self.assertEqual(len(SLOTS), 16)
        for head, slot in SLOTS.items():
            flags = int.from_bytes(head[:2])
            answer = HEADS[0x0403, 1, 2, 3, 4][slot]
            self.assertEqual(int.from_bytes(answer[:2]), 0x8403 | flags & 0x0100)
            opt = 1 if slot & WITH_EDNS else 0
            counts = [int.from_bytes(answer[at : at + 2]) for at in (2, 4, 6, 8)]
            self.assertEqual(counts, [1, 2, 3, 4 + opt])
            self.assertEqual(head[8:], bytes((0, opt)))

    def test_extendedCode(self) -> None:
        """
        The upper bits of a code stand in OPT.
        """
        edns = read(dns.message.make_query("a.test", "A", use_edns=0).to_wire()).edns
        assert edns is not None
        record = edns.opt(BADVERS, b"")
        self.assertEqual(record, bytes((0, 0, OPT, 4, 0xD0, 1, 0, 0, 0, 0, 0)))

"""Tests for `hostedge.dns.responder`."""

from __future__ import annotations

from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.tsig
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.dns_answer import MAX_CHAIN
from hostedge.wire.dns_cookie import OLDEST
from tests.dns.authority import CLIENT, Authority, MemoryReader, option, zone_of

CASES = Path(__file__).parent.parent / "cases" / "dns"

ZONE = """
@ A 192.0.2.7
@ MX 10 mail
www A 192.0.2.80
www HTTPS 1 . alpn=h2
mail A 192.0.2.25
alias CNAME www
*.wild A 192.0.2.66
*.wildalias CNAME www
*.loop CNAME x.loop
away CNAME www.other.test.
toNew CNAME new
mxNew MX 10 b.new
cut NS ns1.cut
ns1.cut A 192.0.2.101
"""


# host names that come and go, below example.org; and names whose answers may hang on them
HOSTS = ("", "new.", "b.new.", "www.", "alias.", "*.any.", "x.wild.", "*.wild.", "x.loop.", "cut.")
ASKED = (
    *("example.org", "new.example.org", "b.new.example.org", "c.new.example.org"),
    *("www.example.org", "alias.example.org", "x.any.example.org", "x.wild.example.org"),
    *("y.wild.example.org", "*.any.example.org", "*.wild.example.org", "a.loop.example.org"),
    *("x.loop.example.org", "toNew.example.org", "mxNew.example.org", "x.cut.example.org"),
    *("x.wildalias.example.org", "shop.example.org", "nothing.example.org", "any.example.org"),
)


def example() -> Authority:
    return Authority(
        zone_of("example.org", ZONE),
        zone_of("other.test", "www A 192.0.2.90"),
        hosts=["shop.example.org", "*.any.example.org"],
    )


def read_case(path: Path) -> tuple[str, bytes]:
    """What is wanted, and the packet: hexadecimal below lines of comment."""
    lines = path.read_text().splitlines()
    wanted = next(line for line in lines if line.startswith("# want: ")).removeprefix("# want: ")
    return wanted, bytes.fromhex("".join(each for each in lines if not each.startswith("#")))


def read(reply: bytes) -> dns.message.Message:
    """An answer; a signature in it is not checked."""
    return dns.message.from_wire(reply, keyring=False)


def rcode_of(reply: bytes | None) -> str:
    """The code in an answer, the upper bits of OPT included."""
    return "silence" if reply is None else dns.rcode.to_text(read(reply).rcode())


class CaseTests(SynchronousTestCase):
    """The packets in `tests/cases/dns`."""

    def test_cases(self) -> None:
        """
        Each gets the answer that it says, over UDP and TCP, when it comes first and again, and
        nothing is a failure of ours.
        """
        paths = sorted(CASES.glob("*.case"))
        self.assertGreater(len(paths), 100)
        authority = example()
        for path in paths:
            wanted, packet = read_case(path)
            for _ in range(2):
                for respond in (authority.responder.udp, authority.responder.tcp):
                    reply = respond(packet, CLIENT)
                    self.assertEqual(rcode_of(reply), wanted, path.name)
                    if reply is not None:
                        self.assertEqual(reply[:2], packet[:2], path.name)
                        self.assertEqual(reply[2] & 0xF8, packet[2] & 0x78 | 0x80, path.name)
        self.assertEqual(authority.counters["dns_servfail"], 0)

    def test_piecesOfCases(self) -> None:
        """
        A packet that ends anywhere is answered or not, and every answer is a message.
        """
        responder = example().responder
        for path in sorted(CASES.glob("*.case")):
            _, packet = read_case(path)
            for end in range(0, min(len(packet), 300)):
                reply = responder.udp(packet[:end], CLIENT)
                if reply is not None:
                    read(reply)


class AnyBytesTests(SynchronousTestCase):
    """Whatever comes."""

    @given(st.binary(max_size=600))
    def test_anyBytes(self, packet: bytes) -> None:
        """
        Any bytes are answered by a message, or not at all.
        """
        self.check(packet)

    @given(st.data())
    def test_nearlyQueries(self, data: st.DataObject) -> None:
        """
        So are queries with some bytes changed, added or missing.
        """
        paths = sorted(CASES.glob("*.case"))
        _, packet = read_case(data.draw(st.sampled_from(paths)))
        changed = bytearray(packet[:1500])
        for _ in range(data.draw(st.integers(0, 4))):
            at = data.draw(st.integers(0, len(changed)))
            changed[at : at + data.draw(st.integers(0, 2))] = data.draw(st.binary(max_size=3))
        self.check(bytes(changed))

    @given(st.lists(st.binary(min_size=1, max_size=63), max_size=4), st.integers(0, 65535))
    def test_anyName(self, labels: list[bytes], kind: int) -> None:
        """
        Any name of any type gets an answer to just that question.
        """
        name = dns.name.Name((*labels, b"example", b"org", b""))
        query = dns.message.make_query(name, dns.rdatatype.RdataType.make(kind))
        reply = AUTHORITY.responder.tcp(query.to_wire(), CLIENT)
        assert reply is not None
        self.assertTrue(query.is_response(read(reply)))
        self.assertEqual(reply[12 : 12 + len(query.to_wire()) - 12], query.to_wire()[12:])

    def check(self, packet: bytes) -> None:
        for respond in (AUTHORITY.responder.udp, AUTHORITY.responder.tcp):
            reply = respond(packet, CLIENT)
            if reply is not None:
                answer = read(reply)
                self.assertTrue(answer.flags & dns.flags.QR)
                self.assertLessEqual(len(reply), 1232)
        self.assertEqual(AUTHORITY.counters["dns_servfail"], 0)


AUTHORITY = example()


class ResponderTests(SynchronousTestCase):
    """`Responder`."""

    def ask(self, authority: Authority, query: dns.message.Message) -> dns.message.Message:
        reply = authority.responder.udp(query.to_wire(), CLIENT)
        assert reply is not None
        answer = dns.message.from_wire(reply)
        self.assertTrue(query.is_response(answer))
        return answer

    def test_hitIsTheSame(self) -> None:
        """
        A question that was asked before gets the same bytes, whichever way it is asked.
        """
        cookie = option(10, b"12345678")
        for options in (
            {},
            {"use_edns": 0, "payload": 512},
            {"use_edns": 0, "ednsflags": dns.flags.DO},
            {"use_edns": 0, "options": [cookie]},
            {"use_edns": 0, "options": [option(10, b"12345678" * 3)]},
            {"flags": 0},
            {"flags": dns.flags.CD | dns.flags.AD, "use_edns": 0},
        ):
            authority = example()
            query = dns.message.make_query("wWw.Example.org", "A", **options).to_wire()
            first = authority.responder.udp(query, CLIENT)
            self.assertEqual(authority.counters["dns_misses"], 1)
            self.assertEqual(authority.responder.udp(query, CLIENT), first)
            self.assertEqual(authority.counters["dns_misses"], 1)
            self.assertEqual(authority.counters["dns_noerror"], 2)

    def test_caseOfNumbers(self) -> None:
        """
        The types 65 and 97 differ only in what is upper and lower case of a letter.
        """
        authority = example()
        for _ in range(2):
            self.assertEqual(len(authority.ask("www.example.org", "HTTPS").answer), 1)
            self.assertEqual(authority.ask("www.example.org", "TYPE97").answer, [])

    def test_flags(self) -> None:
        """
        RD comes back, AD, CD and Z do not, RA is never set; DO comes back.
        """
        authority = example()
        for _ in range(2):
            for flags in (0x0170, 0x0130):
                query = dns.message.make_query("www.example.org", "A", use_edns=0)
                query.flags = dns.flags.Flag(flags)
                query.ednsflags = dns.flags.DO
                answer = self.ask(authority, query)
                wanted = dns.flags.QR | dns.flags.AA | dns.flags.RD
                self.assertEqual((answer.flags, answer.ednsflags), (wanted, dns.flags.DO))

    def test_optIsFresh(self) -> None:
        """
        Our OPT says our size and version; options that we do not know do not come back.
        """
        options = [option(3, b""), option(65001, b"x")]
        query = dns.message.make_query("www.example.org", "A", use_edns=0, options=options)
        answer = self.ask(example(), query)
        self.assertEqual((answer.edns, answer.payload, answer.options), (0, 1232, ()))

    def test_cookie(self) -> None:
        """
        A client's cookie comes back with one of ours, which is good when it is shown without a
        question, at the same address and for some time.
        """
        authority = example()
        client = option(10, b"12345678")
        query = dns.message.make_query("www.example.org", "A", use_edns=0, options=[client])
        (answered,) = self.ask(authority, query).options
        cookie = answered.to_wire()
        assert cookie is not None
        self.assertEqual((cookie[:8], len(cookie)), (b"12345678", 24))
        alone = bytes.fromhex("1234 0000 0000 0000 0000 0001 00 0029 04d0 00000000 001c 000a 0018")
        self.assertEqual(rcode_of(authority.responder.udp(alone + cookie, CLIENT)), "NOERROR")
        self.assertEqual(rcode_of(authority.responder.udp(alone + cookie, b"else")), "BADCOOKIE")
        authority.now += OLDEST + 1
        self.assertEqual(rcode_of(authority.responder.udp(alone + cookie, CLIENT)), "BADCOOKIE")

    def test_unknownKey(self) -> None:
        """
        A signed query hears that its key is not known: BADKEY, in a TSIG record without a MAC.
        """
        query = dns.message.make_query("www.example.org", "A", use_edns=0)
        query.use_tsig(dns.tsig.Key("key.test", b"secret" * 6))
        wire = query.to_wire()
        reply = example().responder.udp(wire, CLIENT)
        assert reply is not None
        with self.assertRaises(dns.tsig.PeerBadKey):
            dns.message.from_wire(reply, keyring=query.keyring, request_mac=query.request_mac)

    def test_truncation(self) -> None:
        """
        What does not fit is a question with TC; over TCP it is whole. Additional records of an
        answer are left out silently; those of a referral are not.
        """
        mx = [f"@ MX {number} m{number}" for number in range(20)]
        addresses = [f"m{number} AAAA 2001:db8::{number}" for number in range(20)]
        glue = [f"cut NS ns{n}.cut\nns{n}.cut AAAA 2001:db8::{n}" for n in range(12)]
        texts = [f'text TXT "{number}{"x" * 200}"' for number in range(8)]
        authority = Authority(zone_of("example.org", "\n".join(mx + addresses + glue + texts)))
        sizes = []
        for name, kind in (("", "MX"), ("x.cut.", "A"), ("text.", "TXT")):
            for size in (0, 512, 1232, 4096):
                query = dns.message.make_query(f"{name}example.org", kind)
                query.use_edns(0 if size else False, 0, size)
                for _ in range(2):
                    reply = authority.responder.udp(query.to_wire(), CLIENT)
                    assert reply is not None
                    self.assertLessEqual(len(reply), min(max(size, 512), 1232))
                    answer = dns.message.from_wire(reply)
                    counts = [len(list(section)) for section in answer.sections[1:]]
                    sizes.append((kind, size, bool(answer.flags & dns.flags.TC), counts))
                whole = authority.ask(f"{name}example.org", kind)
                self.assertFalse(whole.flags & dns.flags.TC)
        self.assertEqual(
            sizes[::2],
            [
                ("MX", 0, False, [1, 0, 0]),
                ("MX", 512, False, [1, 0, 0]),
                ("MX", 1232, False, [1, 0, 20]),
                ("MX", 4096, False, [1, 0, 20]),
                ("A", 0, True, [0, 0, 0]),
                ("A", 512, True, [0, 0, 0]),
                ("A", 1232, False, [0, 1, 12]),
                ("A", 4096, False, [0, 1, 12]),
                *(("TXT", size, True, [0, 0, 0]) for size in (0, 512, 1232, 4096)),
            ],
        )
        self.assertEqual(sizes[::2], sizes[1::2])
        self.assertEqual(authority.counters["dns_truncated"], 12)

    def test_randomNamesTakeNoRoom(self) -> None:
        """
        Names that are made up are answered from what is kept for all of them, and the store is
        not asked again.
        """
        authority = example()
        packets = authority.responder._packets
        for below in ("", "wild.", "wildalias.", "any.", "cut.", "www.", "shop."):
            authority.ask(f"x.{below}example.org", "A")
            authority.ask(f"zz.{below}example.org", "A")
        kept, asked = len(packets), dict(authority.reader.asked)
        for number in range(300):
            for below in ("", "wild.", "wildalias.", "any.", "cut.", "www.", "shop."):
                authority.ask(f"n{number}.{below}example.org", "A")
                authority.ask(f"n{number}.{below}example.org", f"TYPE{1000 + number}")
            authority.ask("www.example.org", f"TYPE{1000 + number}")
        self.assertEqual(len(packets), kept + 1)
        self.assertLess(sum(authority.reader.asked.values()), sum(asked.values()) + 5)

    def test_wildcardInItself(self) -> None:
        """
        A wildcard that is an alias of a name below itself is not kept for that name.
        """
        authority = example()
        first = authority.ask("b.loop.example.org", "A").answer
        self.assertEqual(len(first), 2)
        self.assertEqual(len(authority.ask("x.loop.example.org", "A").answer), 1)
        self.assertEqual(authority.ask("b.loop.example.org", "A").answer, first)

    def test_changes(self) -> None:
        """
        What was made of a zone is not an answer any more when the zone has changed, in whichever
        other zone the question began.
        """
        authority = example()

        def addresses(name: str) -> set[str]:
            return {str(each) for each in authority.ask(name, "A").answer[-1]}

        self.assertEqual(addresses("away.example.org"), {"192.0.2.90"})
        self.assertEqual(addresses("www.example.org"), {"192.0.2.80"})
        self.assertEqual(authority.ask("new.example.org", "A").rcode(), dns.rcode.NXDOMAIN)
        authority.reader.add(zone_of("other.test", "www A 192.0.2.91"))
        authority.zones.changed(["zone/other.test"])
        self.assertEqual(addresses("away.example.org"), {"192.0.2.91"})
        authority.reader.hosts["new.example.org"] = "demo"
        authority.zones.changed(["domain/new.example.org", "name/new.example.org"])
        self.assertEqual(addresses("new.example.org"), {"192.0.2.1", "192.0.2.2"})
        authority.reader.add(zone_of("new.example.org", "@ A 192.0.2.99"))
        authority.zones.changed(["zone/new.example.org"])
        self.assertEqual(addresses("new.example.org"), {"192.0.2.99"})
        authority.reader.zones.clear()
        authority.zones.changed(None)
        self.assertEqual(authority.ask("www.example.org", "A").rcode(), dns.rcode.REFUSED)

    # an example asks some hundred questions
    @settings(deadline=None)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([f"{each}example.org" for each in HOSTS]),
                st.lists(st.sampled_from(ASKED), unique=True, max_size=6),
            ),
            max_size=6,
        )
    )
    def test_sameAsFresh(self, steps: list[tuple[str, list[str]]]) -> None:
        """
        Whichever host names came and went, and whatever was asked before: each answer is the one
        of a node that knows nothing yet.
        """
        authority = example()
        for host, names in steps:
            kinds = ("A", "AAAA", "TXT", "ANY", "MX", "SOA")
            asked = [dns.message.make_query(n, kind).to_wire() for n in names for kind in kinds]
            for query in asked:
                authority.responder.tcp(query, CLIENT)
            authority.reader.move_host(host, None if host in authority.reader.hosts else "demo")
            authority.zones.changed([f"domain/{host}", f"name/{host}"])
            fresh = Authority(reader=authority.reader)
            for query in asked:
                here, there = (each.responder.tcp(query, CLIENT) for each in (authority, fresh))
                self.assertEqual(here, there, (host, query))

    def test_changedHostLeavesOthers(self) -> None:
        """
        A host name that comes costs the answers at other host names nothing.
        """
        authority = example()
        authority.ask("shop.example.org", "A")
        authority.ask("www.example.org", "A")
        authority.reader.move_host("new.example.org", "demo")
        authority.zones.changed(["domain/new.example.org", "name/new.example.org"])
        misses = authority.counters["dns_misses"]
        authority.ask("shop.example.org", "A")
        authority.ask("www.example.org", "A")
        self.assertEqual(authority.counters["dns_misses"], misses)

    def test_failureOfOurs(self) -> None:
        """
        A store that cannot be read is a SERVFAIL for each question, and one line in the log.
        """

        class Broken(MemoryReader):
            def zone_gap(self, name: str) -> tuple[str, str]:
                raise OSError("the disk is gone")

        authority = Authority(reader=Broken())
        for _ in range(5):
            answer = authority.ask("www.example.org", "A", use_edns=0)
            self.assertEqual(answer.rcode(), dns.rcode.SERVFAIL)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        authority.now += 60
        authority.ask("www.example.org", "A")
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertEqual(authority.counters["dns_servfail"], 6)

    def test_tooLongAtAlias(self) -> None:
        """
        What would not fit into a message below an alias is left to be asked for by its own name,
        which need not be written in each record.
        """
        many = [f"{'a' * 60}.target A 192.0.{n // 256}.{n % 256}" for n in range(3000)]
        zone = zone_of("example.org", "\n".join([f"alias CNAME {'a' * 60}.target", *many]))
        authority = Authority(zone)
        answer = authority.ask(f"{'a' * 60}.target.example.org", "A")
        self.assertEqual(len(answer.answer[0]), 3000)
        alias = authority.ask("alias.example.org", "A")
        self.assertEqual((alias.rcode(), len(alias.answer)), (dns.rcode.NOERROR, 1))

    def test_longest(self) -> None:
        """
        The longest that a zone may have fits, behind as many aliases as are followed, with names
        as long as they can be; so does the longest referral.
        """
        label = "x" * 60

        def alias(number: int) -> str:
            return f"a{number:02}.{label}.{label}.{label}.{label[:40]}"

        apex = "example.org"
        lines = [f"{alias(n)} CNAME {alias(n + 1)}.{apex}." for n in range(MAX_CHAIN - 1)]
        text = " ".join([f'"{label * 4}"'] * 243)
        zones = [zone_of(apex, "\n".join([*lines, f"{alias(MAX_CHAIN - 1)} TXT {text}"]))]
        zones.append(zone_of("other.test", f"www CNAME {alias(0)}.{apex}."))
        cuts = "\n".join(f"{label} NS n{number}.{'y' * 60}." for number in range(398))
        zones.append(zone_of("cut.test", f"{cuts}\n{alias(0)} CNAME x.{label}"))
        authority = Authority(*zones)
        for name, kind, answers, authorities in (
            (f"{alias(0)}.{apex}", "TXT", MAX_CHAIN, 0),
            ("www.other.test", "TXT", MAX_CHAIN, 0),
            (f"x.{label}.cut.test", "A", 0, 1),
            (f"{alias(0)}.cut.test", "A", 1, 1),
        ):
            answer = authority.ask(name, kind, use_edns=0)
            counts = (len(answer.answer), len(answer.authority))
            self.assertEqual(counts, (answers, authorities), name)

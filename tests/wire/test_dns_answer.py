"""
How `hostedge.wire.dns_answer` answers: a question, and what stands in each section.

`tests/live/test_dns_peers.py` asks the same of a zone in Knot.
"""

from __future__ import annotations

from collections.abc import Sequence

import dns.flags
import dns.rcode
from attrs import frozen
from twisted.trial.unittest import SynchronousTestCase

from tests.dns.authority import Authority, zone_of

ZONE = """
@ SOA ns1 hostmaster 1 7200 900 1209600 300
@ NS ns1
@ MX 10 mail
ns1 A 192.0.2.53
mail A 192.0.2.25
mail AAAA 2001:db8::25
www 60 A 192.0.2.80
alias CNAME www
alias2 CNAME alias
dangling CNAME nothing
away CNAME www.other.test.
outside CNAME www.elsewhere.test.
round CNAME trip.other.test.
loop1 CNAME loop2
loop2 CNAME loop1
tocut CNAME host.cut
deep.down.here A 192.0.2.9
*.wild A 192.0.2.66
exact.wild TXT here
*.made CNAME www
cut NS ns.cut
cut NS ns.elsewhere.test.
cut DS 1 13 2 {hash}
ns.cut A 192.0.2.101
far NS ns.elsewhere.test.
_sip._tcp SRV 0 5 5060 mail
mixed MX 10 mail
shop.own A 192.0.2.77
"""

OTHER = """
@ SOA ns1 hostmaster 1 7200 900 1209600 60
www A 192.0.2.90
trip CNAME www.example.org.
"""

SOA = "example.org. 300 SOA"
WWW = "www.example.org. 60 A 192.0.2.80"
CUT = (
    "cut.example.org. 3600 NS ns.cut.example.org.",
    "cut.example.org. 3600 NS ns.elsewhere.test.",
)
GLUE = ("ns.cut.example.org. 3600 A 192.0.2.101",)
MAIL = ("mail.example.org. 3600 A 192.0.2.25", "mail.example.org. 3600 AAAA 2001:db8::25")
NODE = ("A 192.0.2.1", "A 192.0.2.2")


@frozen
class Case:
    """A question, and its answer; of an SOA only owner and TTL are written."""

    name: str
    kind: str
    answer: Sequence[str] = ()
    authority: Sequence[str] = ()
    additional: Sequence[str] = ()
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR
    authoritative: bool = True


def written(section: Sequence[object]) -> list[str]:
    """The records of a section, in order, without their class."""
    lines = [line.replace(" IN ", " ") for each in section for line in str(each).splitlines()]
    return sorted(line.partition(" SOA")[0] + " SOA" if " SOA" in line else line for line in lines)


class AnswerTests(SynchronousTestCase):
    """What an authority says."""

    def setUp(self) -> None:
        self.authority = Authority(
            zone_of("example.org", ZONE.format(hash="0f" * 32)),
            zone_of("other.test", OTHER),
            hosts=[
                *("shop.example.org", "a.b.hosts.example.org", "*.any.example.org"),
                *("mixed.example.org", "host.cut.example.org", "www.shop.own.example.org"),
                *("shop.own.example.org", "below.www.example.org"),
            ],
        )

    def check(self, *cases: Case) -> None:
        for case in cases:
            # when it comes first, and again
            for _ in range(2):
                answer = self.authority.ask(case.name, case.kind)
                flags = dns.flags.QR | dns.flags.RD
                flags |= dns.flags.AA if case.authoritative else 0
                found = (
                    *(written(section) for section in answer.sections[1:]),
                    *(answer.rcode(), answer.flags & 0xFFF0),
                )
                wanted = (
                    *(sorted(each) for each in (case.answer, case.authority, case.additional)),
                    *(case.rcode, flags),
                )
                self.assertEqual(found, wanted, f"{case.name} {case.kind}")

    def test_data(self) -> None:
        """
        What is there is given, with the addresses of what it leads to.
        """
        self.check(
            Case("www.example.org", "A", [WWW]),
            Case("WWW.example.ORG", "A", [WWW.replace("www.example.org", "WWW.example.ORG")]),
            Case("example.org", "MX", ["example.org. 3600 MX 10 mail.example.org."], (), MAIL),
            Case(
                "_sip._tcp.example.org",
                "SRV",
                ["_sip._tcp.example.org. 3600 SRV 0 5 5060 mail.example.org."],
                (),
                MAIL,
            ),
            Case(
                "example.org",
                "NS",
                ["example.org. 3600 NS ns1.example.org."],
                (),
                ["ns1.example.org. 3600 A 192.0.2.53"],
            ),
            Case("example.org", "SOA", ["example.org. 3600 SOA"]),
        )

    def test_nothing(self) -> None:
        """
        A name that is not there is denied for all types; one that is, or has names below it,
        only for this one. Both say for how long.
        """
        nothing = dns.rcode.NXDOMAIN
        self.check(
            Case("nothing.example.org", "A", (), [SOA], rcode=nothing),
            Case("x.y.z.example.org", "TYPE4711", (), [SOA], rcode=nothing),
            Case("x.www.example.org", "A", (), [SOA], rcode=nothing),
            Case("www.example.org", "AAAA", (), [SOA]),
            Case("www.example.org", "TYPE4711", (), [SOA]),
            Case("down.here.example.org", "A", (), [SOA]),
            Case("here.example.org", "TXT", (), [SOA]),
            Case("wild.example.org", "A", (), [SOA]),
            Case("x.other.test", "A", (), ["other.test. 60 SOA"], rcode=nothing),
        )

    def test_outside(self) -> None:
        """
        Of others' zones nothing is said.
        """
        refused = dns.rcode.REFUSED
        for name in ("www.elsewhere.test", "test", "org", ".", "notexample.org"):
            self.check(Case(name, "A", rcode=refused, authoritative=False))

    def test_aliases(self) -> None:
        """
        An alias is followed in all zones of ours; the code is that of its end, and what it says
        there stays. Out of them the client goes by itself.
        """
        alias = "alias.example.org. 3600 CNAME www.example.org."
        alias2 = "alias2.example.org. 3600 CNAME alias.example.org."
        dangling = "dangling.example.org. 3600 CNAME nothing.example.org."
        away = "away.example.org. 3600 CNAME www.other.test."
        outside = "outside.example.org. 3600 CNAME www.elsewhere.test."
        trip = (
            "round.example.org. 3600 CNAME trip.other.test.",
            "trip.other.test. 3600 CNAME www.example.org.",
        )
        loops = [f"loop{n}.example.org. 3600 CNAME loop{3 - n}.example.org." for n in (1, 2)]
        cut = "tocut.example.org. 3600 CNAME host.cut.example.org."
        self.check(
            Case("alias2.example.org", "A", [alias2, alias, WWW]),
            Case("alias.example.org", "CNAME", [alias]),
            Case("alias.example.org", "ANY", [alias]),
            Case("alias2.example.org", "AAAA", [alias2, alias], [SOA]),
            Case("dangling.example.org", "A", [dangling], [SOA], rcode=dns.rcode.NXDOMAIN),
            Case("away.example.org", "A", [away, "www.other.test. 3600 A 192.0.2.90"]),
            Case("away.example.org", "AAAA", [away], ["other.test. 60 SOA"]),
            Case("outside.example.org", "A", [outside]),
            Case("round.example.org", "A", [*trip, WWW]),
            Case("loop1.example.org", "A", loops),
            Case("tocut.example.org", "A", [cut], CUT, GLUE),
            Case("alias.example.org", "NSEC", (), [SOA]),
        )

    def test_wildcards(self) -> None:
        """
        A wildcard stands for names below it that are not there, of any depth, and not for those
        that are, with or without data.
        """
        made = "3600 A 192.0.2.66"
        alias = "x.made.example.org. 3600 CNAME www.example.org."
        self.check(
            Case("x.wild.example.org", "A", [f"x.wild.example.org. {made}"]),
            Case("x.y.wild.example.org", "A", [f"x.y.wild.example.org. {made}"]),
            Case("*.wild.example.org", "A", [f"*.wild.example.org. {made}"]),
            Case("x.wild.example.org", "TXT", (), [SOA]),
            Case("exact.wild.example.org", "A", (), [SOA]),
            Case("x.exact.wild.example.org", "A", (), [SOA], rcode=dns.rcode.NXDOMAIN),
            Case("x.made.example.org", "A", [alias, WWW]),
            Case(
                "x.made.example.org",
                "TXT",
                [alias],
                [SOA],
            ),
        )

    def test_delegations(self) -> None:
        """
        Names at and below a cut are answered there; the parent itself only says DS.
        """
        ds = f"cut.example.org. 3600 DS 1 13 2 {'0f' * 32}"
        far = ["far.example.org. 3600 NS ns.elsewhere.test."]
        for name in ("cut.example.org", "x.y.cut.example.org", "ns.cut.example.org"):
            for kind in ("A", "NS", "ANY", "TYPE4711"):
                self.check(Case(name, kind, (), CUT, GLUE, authoritative=False))
        self.check(
            Case("far.example.org", "A", (), far, authoritative=False),
            Case("cut.example.org", "DS", [ds]),
            Case("far.example.org", "DS", (), [SOA]),
            Case("x.cut.example.org", "DS", (), CUT, GLUE, authoritative=False),
            Case("example.org", "DS", (), [SOA]),
        )

    def test_any(self) -> None:
        """
        Who wants anything gets the records of one type.
        """
        self.check(
            Case("mail.example.org", "ANY", [MAIL[0]]),
            Case("shop.example.org", "ANY", [f"shop.example.org. 3600 {each}" for each in NODE]),
            Case("here.example.org", "ANY", (), [SOA]),
        )

    def test_hostNames(self) -> None:
        """
        A host name below a zone has the node's addresses and nothing else, unless the zone says
        something of addresses there.
        """

        def at(name: str) -> list[str]:
            return [f"{name}. 3600 {each}" for each in NODE]

        mixed = "mixed.example.org. 3600 MX 10 mail.example.org."
        self.check(
            Case("shop.example.org", "A", at("shop.example.org")),
            Case("shop.example.org", "AAAA", ["shop.example.org. 3600 AAAA 2001:db8::1"]),
            Case("shop.example.org", "MX", (), [SOA]),
            Case("mixed.example.org", "A", at("mixed.example.org")),
            Case("mixed.example.org", "MX", [mixed], (), MAIL),
            Case("shop.own.example.org", "A", ["shop.own.example.org. 3600 A 192.0.2.77"]),
            Case("shop.own.example.org", "AAAA", (), [SOA]),
            Case("www.shop.own.example.org", "A", at("www.shop.own.example.org")),
            Case("below.www.example.org", "A", at("below.www.example.org")),
            Case("x.any.example.org", "A", at("x.any.example.org")),
            Case("x.y.any.example.org", "A", at("x.y.any.example.org")),
            Case("x.any.example.org", "TXT", (), [SOA]),
            Case("any.example.org", "A", (), [SOA]),
            Case("hosts.example.org", "A", (), [SOA]),
            Case("b.hosts.example.org", "A", (), [SOA]),
            Case("x.hosts.example.org", "A", (), [SOA], rcode=dns.rcode.NXDOMAIN),
            Case("x.shop.example.org", "A", (), [SOA], rcode=dns.rcode.NXDOMAIN),
            Case("host.cut.example.org", "A", (), CUT, GLUE, authoritative=False),
        )

    def test_noAddress(self) -> None:
        """
        A node that has no address of a family has host names without one.
        """
        authority = Authority(
            zone_of("example.org", "mail A 192.0.2.25"),
            hosts=["shop.example.org"],
            addresses=["192.0.2.1"],
        )
        self.assertEqual(len(authority.ask("shop.example.org", "A").answer), 1)
        answer = authority.ask("shop.example.org", "AAAA")
        self.assertEqual((answer.rcode(), answer.answer), (dns.rcode.NOERROR, []))
        self.assertEqual(len(answer.authority), 1)

    def test_longChain(self) -> None:
        """
        A chain ends after eleven aliases; the client asks on from there.
        """
        lines = [f"c{number} CNAME c{number + 1}" for number in range(50)]
        answer = Authority(zone_of("example.org", "\n".join(lines))).ask("c0.example.org", "A")
        self.assertEqual((len(answer.answer), answer.authority), (11, []))

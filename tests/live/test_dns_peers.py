"""
The same zone in Debian's Knot and here: thousands of questions, and every answer alike.

Where both may differ is written down in `facts` and `ALLOWED`, each with its reason.
"""

from __future__ import annotations

import random
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.message
import dns.rdatatype
from attrs import evolve
from dns.message import Message
from dns.rcode import Rcode
from dns.rrset import RRset
from twisted.trial.unittest import SkipTest, TestCase

from hostedge.model.site import Record, Zone
from hostedge.model.zone_file import apex_records
from tests.dns.authority import ADDRESSES, CLIENT, NAMESERVERS, Authority, zone_of
from tests.live.node import wait_for

QUESTIONS = 5000
APEX = "peers.example"

TYPES = (
    *("A", "A", "A", "AAAA", "AAAA", "MX", "TXT", "NS", "SOA", "CNAME", "SRV", "CAA", "TLSA"),
    *("HTTPS", "SVCB", "PTR", "DS", "DNSKEY", "ANY", "NSEC", "RRSIG", "TYPE4711", "HINFO"),
)

FIXED = """
@ SOA ns1.peers.example. hostmaster.peers.example. 7 7200 900 1209600 300
@ NS ns1.peers.example.
@ NS ns.elsewhere.test.
@ A 192.0.2.10
@ MX 10 mail.peers.example.
@ MX 20 mx.elsewhere.test.
@ TXT "v=spf1 -all"
@ CAA 0 issue "ca.test"
@ HTTPS 1 . alpn=h2
ns1 A 192.0.2.53
ns1 AAAA 2001:db8::53
mail 600 A 192.0.2.25
mail 600 AAAA 2001:db8::25
www A 192.0.2.80
www A 192.0.2.81
www AAAA 2001:db8::80
a.b.c.d.ent A 192.0.2.1
_443._tcp.www TLSA 3 1 1 {hash}
_sip._tcp SRV 0 5 5060 mail.peers.example.
_sip._tcp SRV 1 5 5060 sip.elsewhere.test.
_sip._udp SRV 0 0 0 .
_dns SVCB 1 www.peers.example. alpn=dot
four.rev PTR www.peers.example.
alias CNAME www.peers.example.
alias2 CNAME alias.peers.example.
alias3 CNAME alias2.peers.example.
out CNAME www.elsewhere.test.
dangling CNAME nothing.peers.example.
dangling2 CNAME dangling.peers.example.
toent CNAME d.ent.peers.example.
towild CNAME made.wild.peers.example.
tocut CNAME host.cut.peers.example.
toapex CNAME peers.example.
loop1 CNAME loop2.peers.example.
loop2 CNAME loop3.peers.example.
loop3 CNAME loop1.peers.example.
self CNAME self.peers.example.
*.wild A 192.0.2.66
*.wild TXT "made"
*.wild MX 5 mail.peers.example.
exact.wild TXT "here"
below.ent.wild A 192.0.2.67
*.sub.wild AAAA 2001:db8::66
*.wc CNAME www.peers.example.
*.wcout CNAME www.elsewhere.test.
*.wcloop CNAME x.wcloop.peers.example.
*.wcwild CNAME y.wild.peers.example.
*.wcnx CNAME nothing.peers.example.
cut NS ns1.cut.peers.example.
cut NS ns2.cut.peers.example.
cut NS ns.elsewhere.test.
cut DS 12345 13 2 {hash}
ns1.cut A 192.0.2.101
ns1.cut AAAA 2001:db8::101
ns2.cut A 192.0.2.102
far NS ns.elsewhere.test.
sibling NS ns1.peers.example.
sibling NS ns2.cut.peers.example.
self-glue NS self-glue.peers.example.
self-glue A 192.0.2.103
deep.below.cut2 NS ns.deep.below.cut2.peers.example.
ns.deep.below.cut2 A 192.0.2.104
mx-to-cut MX 10 ns1.cut.peers.example.
mx-to-wild MX 10 mx.wild.peers.example.
mx-to-alias MX 10 alias.peers.example.
mx-nowhere MX 10 nothing.peers.example.
mx-same MX 10 mx-same.peers.example.
mx-same A 192.0.2.33
big TXT "{long}1"
big TXT "{long}2"
big TXT "{long}3"
big TXT "{long}4"
big TXT "{long}5"
big TXT "{long}6"
long MX 1 {label}.{label}.{label}.peers.example.
{label}.{label}.{label} A 192.0.2.99
"""


# host names of the store: alone, above and below records, wildcards, where the zone says otherwise
HOSTS = (
    *("shop", "a.b.c.hosts", "x.www", "www", "alias", "mx-to-cut", "d.ent", "exact.wild"),
    *("made.wild", "deep.made.too.wild", "*.any", "*.wild", "*.shop", "b.a.crowd", "x.y.crowd"),
    *("h.cut", "far", "x-y", "x.x-y", "x0", "*.ent2.crowd"),
)


def make_zone(random: random.Random) -> Zone:
    """The cases that matter, and a crowd of names around them."""
    lines = FIXED.format(hash="0f" * 32, long="x" * 250, label="l" * 63).strip().splitlines()
    for number in range(20):
        lines.append(f"chain{number} CNAME chain{number + 1}.{APEX}.")
    lines.append("chain20 A 192.0.2.20")
    taken = {line.split()[0] for line in lines} | {"wild", "ent"}
    words = ["a", "b", "c", "d", "ent2", "w2"]
    for number in range(150):
        name = ".".join(random.choices(words, k=random.randint(1, 5))) + ".crowd"
        if random.random() < 0.1:
            name = f"*.{name}"
        if name in taken:
            continue
        taken.add(name)
        kind = random.choice(("A", "AAAA", "TXT", "MX", "CNAME"))
        data = {
            "A": f"192.0.2.{number}",
            "AAAA": f"2001:db8::{number:x}",
            "TXT": f'"number {number}"',
            "MX": f"{number} mail.{APEX}.",
            "CNAME": f"{random.choice(words)}.{random.choice(words)}.crowd.{APEX}.",
        }
        lines.append(f"{name} {kind} {data[kind]}")
    return zone_of(APEX, "\n".join(lines))


def with_hosts(zone: Zone) -> Zone:
    """The same zone with records where the store has host names, as its operator would do it."""
    own: dict[str, set[str]] = {}
    for record in zone.records:
        own.setdefault(record.name, set()).add(record.type)
    records = list(zone.records)
    for host in HOSTS:
        below_cut = host == "far" or host.endswith(".cut")
        if not below_cut and not own.get(host, set()) & {"A", "AAAA", "CNAME"}:
            kinds = [(each, "AAAA" if ":" in each else "A") for each in ADDRESSES]
            records += [Record(host, kind, address) for address, kind in kinds]
    return evolve(zone, records=tuple(records))


def questions(random: random.Random, zone: Zone) -> Iterator[bytes]:
    """Queries for names in, between, below and beside those of the zone."""
    owners = sorted({record.name for record in zone.records})
    for size in (0, 512, 1232, 4096):
        # longer than any datagram of either
        query = dns.message.make_query(f"big.{APEX}", "TXT")
        query.use_edns(0 if size else False, 0, size)
        yield query.to_wire()
    extra = ["x", "zz", "*", "_", "cut", "wild", "www", "a", "*.a", "\\000", "\\.", "UP"]
    for number in range(QUESTIONS):
        owner = random.choice(owners)
        name = APEX if owner == "@" else f"{owner}.{APEX}"
        for _ in range(random.choice((0, 0, 0, 1, 1, 2))):
            name = f"{random.choice(extra)}.{name}"
        for _ in range(random.choice((0, 0, 0, 1, 2))):
            # upwards, as far as out of the zone
            name = name.partition(".")[2] or "test"
        name = name.strip(".") or "."
        if random.random() < 0.3:
            name = "".join(random.choice((c.lower(), c.upper())) for c in name)
        if len(name) > 250 or ".." in name:
            name = APEX
        query = dns.message.make_query(name, random.choice(TYPES))
        query.id = number
        if random.random() < 0.5:
            query.flags = dns.flags.Flag(random.choice((0, dns.flags.CD, dns.flags.RD)))
        if random.random() < 0.6:
            size = random.choice((0, 512, 700, 1232, 4096))
            query.use_edns(0, dns.flags.DO if random.random() < 0.2 else 0, size)
        yield query.to_wire()


def shape(rrsets: list[RRset]) -> set[tuple[str, str, int, str]]:
    """The records of a section, as a set."""
    return {
        (
            rrset.name.to_text().lower(),
            dns.rdatatype.to_text(rrset.rdtype),
            rrset.ttl,
            str(data).lower(),
        )
        for rrset in rrsets
        for data in rrset
    }


class Knot:
    """A `knotd` of its own with one zone, on the loopback."""

    def __init__(self, zone: Zone) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="hostedge-knot-"))
        with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
            datagrams.bind(("127.0.0.1", 0))
            self.address = datagrams.getsockname()
            stream.bind(self.address)
        records = apex_records(zone, NAMESERVERS, 1)
        rest = [each for each in zone.records if (each.name, each.type) not in _SAID]
        (self._folder / "zone").write_text(
            f"$ORIGIN {zone.name}.\n" + "".join(_line(each, zone) for each in (*records, *rest))
        )
        (self._folder / "knot.conf").write_text(
            f"server:\n  rundir: {self._folder}\n"
            f"  listen: 127.0.0.1@{self.address[1]}\n"
            "  udp-workers: 1\n  tcp-workers: 1\n  background-workers: 1\n"
            f"database:\n  storage: {self._folder}\n"
            "log:\n  - target: stderr\n    any: info\n"
            f"zone:\n  - domain: {zone.name}\n    storage: {self._folder}\n    file: zone\n"
            "    zonefile-load: whole\n    semantic-checks: off\n"
        )
        with open(self._folder / "log", "wb") as log:
            self._process = subprocess.Popen(
                ["knotd", "-c", str(self._folder / "knot.conf")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._socket = socket.socket(type=socket.SOCK_DGRAM)
        self._socket.connect(self.address)

    def is_up(self) -> bool:
        """Say whether it answers for the zone."""
        query = dns.message.make_query(APEX, "SOA")
        self._socket.settimeout(0.2)
        try:
            answer = dns.message.from_wire(self.udp(query.to_wire()))
        except OSError:
            return False
        self._socket.settimeout(10)
        return answer.rcode() == Rcode.NOERROR

    def udp(self, query: bytes) -> bytes:
        self._socket.send(query)
        return self._socket.recv(65_535)

    def tcp(self, query: bytes) -> bytes:
        with socket.create_connection(self.address, 10) as stream:
            stream.sendall(len(query).to_bytes(2) + query)
            reply = stream.makefile("rb")
            return reply.read(int.from_bytes(reply.read(2)))

    def stop(self) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait()
        shutil.rmtree(self._folder)


_SAID = (("@", "SOA"), ("@", "NS"))


def _line(record: Record, zone: Zone) -> str:
    ttl = zone.ttl if record.ttl is None else record.ttl
    return f"{record.name} {int(ttl)} IN {record.type} {record.data}\n"


KNOT_CHAIN = 5


def longer_chain(ours: Message, theirs: Message) -> bool:
    """
    Knot follows five aliases and stops; BIND follows eleven, and so do we.
    """
    known = shape(theirs.answer)
    aliases = [each for each in known if each[1] == "CNAME"]
    return (
        len(aliases) == len(known) == KNOT_CHAIN
        and known < shape(ours.answer)
        and not theirs.authority
        and facts(ours)[0] == facts(theirs)[0]
    )


ALLOWED = (longer_chain,)


class PeerTests(TestCase):
    """Our answers beside Knot's."""

    def compare(self, authority: Authority, zone: Zone, seed: int) -> None:
        """Ask both everything that may be asked about this zone."""
        if not shutil.which("knotd"):
            raise SkipTest("knotd is not installed")
        knot = Knot(zone)
        self.addCleanup(knot.stop)
        wait_for("knotd answers", knot.is_up)
        responder = authority.responder
        truncated = 0
        for query in questions(random.Random(seed), zone):
            asked = dns.message.from_wire(query)
            for ask, peer in ((responder.udp, knot.udp), (responder.tcp, knot.tcp)):
                reply = ask(query, CLIENT)
                assert reply is not None
                ours, theirs = dns.message.from_wire(reply), dns.message.from_wire(peer(query))
                self.assertTrue(asked.is_response(ours))
                if facts(ours) != facts(theirs) and not any(each(ours, theirs) for each in ALLOWED):
                    self.fail(f"{ours}\n\nKnot:\n{theirs}")
                if not ours.flags & dns.flags.TC:
                    break
                truncated += 1
        self.assertGreater(truncated, 0)

    def test_sameAnswers(self) -> None:
        """
        Code, flags, answer, authority and additional section of every question are the same.
        """
        zone = make_zone(random.Random(7))
        self.compare(Authority(zone), zone, 11)

    def test_sameAnswersOfHostNames(self) -> None:
        """
        Host names of the store answer as if somebody had written their records into the zone.
        """
        zone = make_zone(random.Random(8))
        hosts = [f"{host}.{APEX}" for host in HOSTS]
        self.compare(Authority(zone, hosts=hosts), with_hosts(zone), 12)


def facts(answer: Message) -> tuple[object, ...]:
    """
    All of an answer that has to be the same.

    What stands in a truncated answer is nothing that a client may use: Knot sends what fits, we
    send nothing.
    """
    truncated = bool(answer.flags & dns.flags.TC)
    sections = () if truncated else map(shape, answer.sections[1:])
    return (answer.flags, answer.rcode(), answer.edns, answer.ednsflags, *sections)

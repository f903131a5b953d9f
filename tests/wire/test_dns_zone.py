"""Tests for `hostedge.wire.dns_zone`."""

from __future__ import annotations

import dns.rdata
from dns.rdataclass import IN
from dns.rdatatype import RdataType
from twisted.trial.unittest import SynchronousTestCase

from hostedge.model.site import Zone
from hostedge.model.zone_file import apex_records
from hostedge.wire.dns_name import wire_name
from hostedge.wire.dns_zone import CompiledZone, end_of_name
from tests.dns.authority import NAMESERVERS, zone_of

A, NS, SOA, MX, TXT, AAAA, SRV = 1, 2, 6, 15, 16, 28, 33


def compiled(text: str, **options: object) -> CompiledZone:
    zone = zone_of("example.org", text, **options)
    return CompiledZone(zone, apex_records(zone, NAMESERVERS, 5), ["192.0.2.1", "::1"], None)


class CompiledZoneTests(SynchronousTestCase):
    """`CompiledZone`."""

    def test_names(self) -> None:
        """
        There is a node for every owner and for every name between it and the apex.
        """
        zone = compiled("a.b.c A 192.0.2.1\nb.c TXT x\n*.w A 192.0.2.2")
        wanted = ("", "c.", "b.c.", "a.b.c.", "w.", "*.w.")
        self.assertEqual({wire_name(f"{each}example.org") for each in wanted}, zone.nodes.keys())
        self.assertEqual(zone.nodes[wire_name("c.example.org")].records, {})

    def test_apex(self) -> None:
        """
        SOA and NS of the apex are what was given for it, once.
        """
        zone = compiled("@ NS ns1\n@ NS ns2\n@ TXT x\nns1 A 192.0.2.1")
        found = {kind: zone.rrset(zone.top, kind) for kind in zone.top.records}
        self.assertEqual({kind: len(each.data) for kind, each in found.items() if each}, COUNTS)

    def test_cutsAndOwn(self) -> None:
        """
        A name server below the apex makes a cut; addresses and aliases are the zone's own word.
        """
        zone = compiled(
            "cut NS ns.cut\nns.cut A 192.0.2.1\nmail MX 1 mail\nalias CNAME mail\nx AAAA ::1"
        )
        nodes = {name: zone.nodes[wire_name(f"{name}.example.org")] for name in NAMES}
        self.assertEqual([name for name in NAMES if nodes[name].cut], ["cut"])
        self.assertEqual([name for name in NAMES if nodes[name].own], ["ns.cut", "alias", "x"])
        self.assertFalse(zone.top.cut)

    def test_data(self) -> None:
        """
        Data is rendered with the zone's name left out where it may be a pointer, and nowhere
        else.
        """
        zone = compiled("@ MX 10 mail\n@ SRV 1 2 3 mail\n@ NS ns\n@ NS ns.else.test.")

        def pieces(kind: int) -> list[tuple[bytes, ...]]:
            rrset = zone.rrset(zone.top, kind)
            assert rrset is not None
            return list(rrset.data)

        self.assertEqual(pieces(MX), [(b"\0\x0a\4mail", b"")])
        self.assertEqual(pieces(NS), [(b"\2ns", b""), (wire_name("ns.else.test"),)])
        self.assertEqual(pieces(SRV), [(b"\0\1\0\2\0\3" + wire_name("mail.example.org"),)])
        (soa,) = pieces(SOA)
        self.assertEqual(soa[:2], (b"\2ns", b"\x0ahostmaster"))

    def test_wholeData(self) -> None:
        """
        With the zone's name put in again it is what dnspython renders.
        """
        lines = {
            "A": "192.0.2.1",
            "AAAA": "2001:db8::1",
            "TXT": '"a b" "c"',
            "MX": "10 mail.example.org.",
            "SRV": "0 5 5060 sip.example.org.",
            "CAA": '0 issue "ca.test"',
            "TLSA": "3 1 1 " + "0f" * 32,
            "SVCB": "1 www.example.org. alpn=h2",
            "HTTPS": "1 . alpn=h2",
            "PTR": "www.example.org.",
        }
        zone = compiled("\n".join(f"x {kind} {data}" for kind, data in lines.items()))
        node = zone.nodes[wire_name("x.example.org")]
        self.assertEqual(len(node.records), len(lines))
        for word, data in lines.items():
            kind = RdataType.make(word)
            rrset = zone.rrset(node, kind)
            assert rrset is not None
            wanted = dns.rdata.from_text(IN, kind, data).to_wire()
            self.assertEqual(zone.apex.join(rrset.data[0]), wanted)
            self.assertIs(zone.rrset(node, kind), rrset)

    def test_times(self) -> None:
        """
        A record without a TTL has the zone's; "there is nothing" is kept as long as the SOA
        says, and no longer than the SOA itself.
        """
        soa = "@ {} SOA ns1 host 1 7200 900 1209600 {}"
        for own, minimum, wanted in ((60, 300, 60), (3600, 300, 300)):
            zone = compiled(soa.format(own, minimum) + "\nx A 192.0.2.1\ny 5 A 192.0.2.1", ttl=77)
            self.assertEqual(int.from_bytes(zone.negative.head[4:]), wanted)
            for name, ttl in (("x", 77), ("y", 5)):
                rrset = zone.rrset(zone.nodes[wire_name(f"{name}.example.org")], A)
                assert rrset is not None
                self.assertEqual(rrset.head, b"\0\1\0\1" + ttl.to_bytes(4))

    def test_renewed(self) -> None:
        """
        The same zone at another serial has the same names and another SOA, also where it stands
        for nothing; the one before stays as it was.
        """
        zone = compiled("@ A 192.0.2.1\nwww A 192.0.2.2")
        before = zone.rrset(zone.top, SOA)
        later = zone.renewed(apex_records(Zone("example.org"), NAMESERVERS, 6), None)
        self.assertIs(zone.rrset(zone.top, SOA), before)
        serials = [
            int.from_bytes(rrset.data[0][-1][:4])
            for each in (zone, later)
            for rrset in (each.negative, each.rrset(each.nodes[each.apex], SOA))
            if rrset is not None
        ]
        self.assertEqual(serials, [5, 5, 6, 6])
        www = wire_name("www.example.org")
        self.assertIs(later.nodes[www], zone.nodes[www])
        for kind in (A, NS):
            assert (one := zone.rrset(zone.top, kind)) and (other := later.rrset(later.top, kind))
            self.assertEqual(one.data, other.data)

    def test_hosted(self) -> None:
        """
        Host names have the node's addresses, by family.
        """
        zone = compiled("", ttl=60)
        self.assertEqual(zone.hosted[A].data, ((b"\xc0\0\2\1",),))
        self.assertEqual(zone.hosted[AAAA].data, ((bytes(15) + b"\1",),))
        self.assertEqual(zone.hosted[A].head, b"\0\1\0\1\0\0\0\x3c")

    def test_endOfName(self) -> None:
        """
        The first of several names ends behind its root.
        """
        self.assertEqual(end_of_name(b"\1a\0\1b\0"), 3)


COUNTS = {SOA: 1, NS: 2, TXT: 1}
NAMES = ("cut", "ns.cut", "mail", "alias", "x")

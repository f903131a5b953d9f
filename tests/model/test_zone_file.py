"""
Tests for `hostedge.model.zone_file`.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.model.site import Record, Zone
from hostedge.model.zone_file import apex_records

SERVERS = ("ns1.node.example", "ns2.node.example")


class ApexTests(SynchronousTestCase):
    """`apex_records`."""

    def test_made(self) -> None:
        """
        A zone that says nothing has an SOA and NS made of the node's nameservers.
        """
        soa, *servers = apex_records(Zone("example.org"), SERVERS, 7)
        fields = "ns1.node.example. hostmaster.example.org. 7 7200 900 1209600 300"
        self.assertEqual(soa, Record("@", "SOA", fields))
        self.assertEqual(
            servers,
            [Record("@", "NS", "ns1.node.example."), Record("@", "NS", "ns2.node.example.")],
        )

    def test_own(self) -> None:
        """
        What a zone says itself stays; the serials are added, round the end of their circle.
        """
        for number, served in ((2026112200, 2026112207), (2**32 - 1, 6)):
            own = (
                Record("@", "NS", "ns.example.net.", 60.0),
                Record("@", "A", "192.0.2.1"),
                Record("@", "SOA", f"a.example. b.example. {number} 1 2 3 4", 30.0),
                Record("sub", "NS", "ns.sub.example.org."),
            )
            soa, *servers = apex_records(Zone("example.org", own), SERVERS, 7)
            self.assertEqual(
                soa, Record("@", "SOA", f"a.example. b.example. {served} 1 2 3 4", 30.0)
            )
            self.assertEqual(servers, [own[0]])

    def test_firstServer(self) -> None:
        """
        An SOA that is made names a server of the zone, not one of the node that is none of them.
        """
        zone = Zone("example.org", (Record("@", "NS", "ns.example.net."),))
        self.assertIn("ns.example.net. hostmaster.", apex_records(zone, SERVERS, 1)[0].data)

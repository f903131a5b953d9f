"""The walk of `hostedge.wire.forwarded`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.forwarded import client_address, parse_networks

TRUSTED = parse_networks(["10.0.0.0/8", "fd00::/8"])


class WalkTests(SynchronousTestCase):
    """From the right, through those who are trusted."""

    def test_walk(self) -> None:
        """
        The first untrusted address from the right is the client; what is left of it is a claim.
        """
        for peer, lines, client in (
            ("192.0.2.1", [b"1.2.3.4"], "192.0.2.1"),
            ("10.0.0.1", [], "10.0.0.1"),
            ("10.0.0.1", [b"1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", [b"6.6.6.6, 1.2.3.4, 10.0.0.2"], "1.2.3.4"),
            ("10.0.0.1", [b"6.6.6.6", b"1.2.3.4", b"10.0.0.2"], "1.2.3.4"),
            ("10.0.0.1", [b"10.0.0.3,10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", [b"1.2.3.4, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", [b"1.2.3.4,,"], "10.0.0.1"),
            ("10.0.0.1", [b"1.2.3.4:567"], "1.2.3.4"),
            ("10.0.0.1", [b'"[2001:DB8::1]:567"'], "2001:db8::1"),
            ("10.0.0.1", [b"::ffff:1.2.3.4"], "1.2.3.4"),
            ("fd00::1", [b"2001:db8::2"], "2001:db8::2"),
            ("/run/x.sock", [b"1.2.3.4"], "/run/x.sock"),
        ):
            self.assertEqual(client_address(peer, lines, TRUSTED), client, lines)

    def test_longChain(self) -> None:
        """
        A chain is followed for 32 hops and no further.
        """
        line = b", ".join([b"1.2.3.4"] + [b"10.0.0.9"] * 40)
        self.assertEqual(client_address("10.0.0.1", [line], TRUSTED), "10.0.0.9")

    @given(st.lists(st.binary(max_size=12), max_size=4))
    def test_nothingIsRaised(self, lines: list[bytes]) -> None:
        """
        Any bytes give an address.
        """
        self.assertTrue(client_address("10.0.0.1", lines, TRUSTED))

    def test_badNetwork(self) -> None:
        """
        An operator's mistake is told.
        """
        self.assertRaises(ValueError, parse_networks, ["10.0.0.0/33"])

"""Which addresses `hostedge.wire.networks` takes for members."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.networks import Networks, parse_networks


class NetworksTests(SynchronousTestCase):
    """Membership."""

    def test_members(self) -> None:
        """Both families, single addresses, and IPv4 as a socket of IPv6 tells it."""
        networks = parse_networks(["10.0.0.0/8", "192.0.2.1", "fd00::/8"])
        for address, inside in (
            ("10.1.2.3", True),
            ("192.0.2.1", True),
            ("::ffff:10.1.2.3", True),
            ("fd00::1", True),
            ("192.0.2.2", False),
            ("2001:db8::1", False),
            ("/run/x.sock", False),
            ("", False),
        ):
            self.assertEqual(address in networks, inside, address)

    def test_none(self) -> None:
        """Without a network nobody is a member."""
        self.assertFalse(Networks())
        self.assertNotIn("10.0.0.1", Networks())

    def test_mistakes(self) -> None:
        """An operator's mistake is told by its text."""
        for text in ("10.0.0.0/33", "10.0.0.1/8", "everybody", ""):
            with self.assertRaisesRegex(ValueError, text):
                parse_networks(["10.0.0.0/8", text])

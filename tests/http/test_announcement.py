"""What `hostedge.http.announcement` says of a client."""

from __future__ import annotations

from attrs import define
from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.announcement import announcing
from hostedge.wire.proxy_protocol import Header, read_header


@define
class Asked:
    """As much of an exchange as is told."""

    client: str = "2001:db8::7"
    client_port: int = 40000
    local_host: str = "2001:db8::1"
    local_port: int = 443


class AnnouncingTests(SynchronousTestCase):
    """One header a connection, read again by our own reader."""

    def read(self, version: str, asked: Asked) -> Header:
        announce = announcing(version)
        assert announce is not None
        found = read_header(announce(asked))  # type: ignore[arg-type]
        assert isinstance(found, Header)
        return found

    def test_clients(self) -> None:
        """Both versions name both ends, of either family."""
        for asked in (Asked(), Asked("192.0.2.7", 1, "198.51.100.1", 80)):
            for version in ("v1", "v2"):
                found = self.read(version, asked)
                self.assertEqual(found.client, (asked.client, asked.client_port))
                self.assertEqual(found.local, (asked.local_host, asked.local_port))

    def test_unknown(self) -> None:
        """Of a client without an address nothing is said."""
        for version in ("v1", "v2"):
            self.assertIsNone(self.read(version, Asked(client="")).client)
            self.assertIsNone(self.read(version, Asked(local_host="")).client)

    def test_off(self) -> None:
        """Usually there is no header."""
        self.assertIsNone(announcing("off"))

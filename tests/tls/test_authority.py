"""Certificates of the local CA, and its files."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography import x509
from cryptography.x509 import verification
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import ConfigError
from hostedge.tls.authority import Authority

NOW = datetime(2026, 11, 22, tzinfo=UTC).timestamp()


class AuthorityTests(SynchronousTestCase):
    """What is signed, and by whom."""

    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.certificate = Path(folder.name, "ca.pem")
        self.key = Path(folder.name, "ca.key")
        self.now = NOW

    def load(self) -> Authority:
        return Authority.load_or_create(self.certificate, self.key, lambda: self.now)

    def verify(self, authority: Authority, chain: str, subject: verification.Subject) -> None:
        root = x509.load_pem_x509_certificate(authority.certificate.encode())
        (
            verification.PolicyBuilder()
            .store(verification.Store([root]))
            .time(datetime.fromtimestamp(self.now, UTC))
            .build_server_verifier(subject)
            .verify(x509.load_pem_x509_certificates(chain.encode())[0], [])
        )

    def test_verifies(self) -> None:
        """
        A strict verifier takes what is signed for a name, a wildcard, a long name, an address.
        """
        authority = self.load()
        long = f"{'a' * 63}.{'b' * 63}.example"
        for name, asked in (
            ("a.example", x509.DNSName("a.example")),
            ("*.b.example", x509.DNSName("x.b.example")),
            (long, x509.DNSName(long)),
            ("xn--mnchen-3ya.example", x509.DNSName("xn--mnchen-3ya.example")),
            ("127.0.0.1", x509.IPAddress(ip_address("127.0.0.1"))),
            ("[::1]", x509.IPAddress(ip_address("::1"))),
        ):
            self.verify(authority, authority.sign(name).chain, asked)
        other = authority.sign("b.example").chain
        self.assertRaises(
            verification.VerificationError,
            self.verify,
            authority,
            other,
            x509.DNSName("a.example"),
        )

    def test_times(self) -> None:
        """
        90 days, from an hour ago, never longer than the authority itself.
        """
        authority = self.load()
        signed = authority.sign("a.example")
        leaf = x509.load_pem_x509_certificate(signed.chain.encode())
        self.assertEqual(leaf.not_valid_after_utc.timestamp(), signed.not_after)
        self.assertEqual(signed.not_after, NOW + timedelta(days=90).total_seconds())
        self.assertEqual(leaf.not_valid_before_utc.timestamp(), NOW - 3600)
        self.now += timedelta(days=3649).total_seconds()
        self.assertEqual(authority.sign("a.example").not_after, self.now + 86_400)

    def test_signsNoAuthority(self) -> None:
        """
        The path ends at the authority; what it signs is for servers and for nothing else.
        """
        authority = self.load()
        root = x509.load_pem_x509_certificate(authority.certificate.encode())
        leaf = x509.load_pem_x509_certificate(authority.sign("a.example").chain.encode())
        for certificate, expected in (
            (root, x509.BasicConstraints(True, 0)),
            (leaf, x509.BasicConstraints(False, None)),
        ):
            found = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
            self.assertEqual((found.value, found.critical), (expected, True))
        self.assertFalse(leaf.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign)

    def test_staysTheSame(self) -> None:
        """
        The files are read again; the key can be read by nobody else.
        """
        first = self.load()
        self.assertEqual(first.certificate, self.certificate.read_text())
        self.assertEqual(stat.S_IMODE(self.key.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(self.certificate.stat().st_mode), 0o644)
        self.assertEqual(
            sorted(each.name for each in self.key.parent.iterdir()), ["ca.key", "ca.pem"]
        )
        second = self.load()
        self.assertEqual(first.certificate, second.certificate)
        self.verify(first, second.sign("a.example").chain, x509.DNSName("a.example"))

    def test_refused(self) -> None:
        """
        Half of an authority, a strange or an expired one is refused, and left as it is.
        """
        self.load()
        certificate, key = self.certificate.read_bytes(), self.key.read_bytes()
        with TemporaryDirectory() as folder:
            Authority.load_or_create(Path(folder, "c"), Path(folder, "k"), lambda: NOW)
            other = Path(folder, "k").read_bytes()
        leaf = self.load().sign("a.example")
        for kept, secret in (
            (None, key),
            (certificate, None),
            (b"nonsense", key),
            (certificate, b"nonsense"),
            (certificate, other),
            (leaf.chain.encode(), leaf.key.encode()),
        ):
            for path, content in ((self.certificate, kept), (self.key, secret)):
                path.unlink(missing_ok=True)
                if content is not None:
                    path.write_bytes(content)
            self.assertRaises(ConfigError, self.load)
            self.assertEqual(self.certificate.exists(), kept is not None)
        self.certificate.write_bytes(certificate)
        self.key.write_bytes(key)
        self.now += timedelta(days=3650).total_seconds()
        error = self.assertRaises(ConfigError, self.load)
        self.assertIn("expired", str(error))

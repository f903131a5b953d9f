"""What the contexts allow."""

from __future__ import annotations

import ssl

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from OpenSSL import SSL
from twisted.trial.unittest import SynchronousTestCase

from hostedge.tls.contexts import DEFAULT, MODERN, make_base_context, make_certificate_context
from tests.tls.certified import client_context, issued
from tests.tls.memory import shake_hands


class PolicyTests(SynchronousTestCase):
    """Versions, suites and options come from the base context."""

    def test_versions(self) -> None:
        """
        The default policy speaks TLS 1.2 and 1.3, the modern one only 1.3.
        """
        for policy, version, fine in (
            (DEFAULT, ssl.TLSVersion.TLSv1_2, True),
            (DEFAULT, ssl.TLSVersion.TLSv1_3, True),
            (MODERN, ssl.TLSVersion.TLSv1_2, False),
            (MODERN, ssl.TLSVersion.TLSv1_3, True),
        ):
            base = make_base_context(policy)
            try:
                shake_hands(base, context=client_context(version=version))
            except (SSL.Error, ssl.SSLError):
                self.assertFalse(fine)
            else:
                self.assertTrue(fine)

    def test_suites(self) -> None:
        """
        TLS 1.2 has the six suites of the profile, in the client's order.
        """
        for suite in DEFAULT.ciphers.decode().split(":"):
            if "RSA" in suite:
                continue
            context = client_context(version=ssl.TLSVersion.TLSv1_2)
            context.set_ciphers(f"{suite}:ECDHE-ECDSA-AES128-GCM-SHA256")
            client, _ = shake_hands(make_base_context(DEFAULT), context=context)
            self.assertEqual(client.cipher()[0], suite)  # type: ignore[index]
        context = client_context(version=ssl.TLSVersion.TLSv1_2)
        context.set_ciphers("ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA:AES128-GCM-SHA256")
        self.assertRaises(SSL.Error, shake_hands, make_base_context(DEFAULT), context=context)

    def test_baseServesNobody(self) -> None:
        """
        Without a certificate context there is no handshake, not one with a wrong certificate.
        """
        self.assertRaises(SSL.Error, shake_hands, make_base_context(DEFAULT), certificate=None)

    def test_switchKeepsTheRest(self) -> None:
        """
        Versions stay those of the base context when the certificate's context allows more.
        """
        both = issued("a.example")
        loose = make_certificate_context(DEFAULT, both.chain, both.key, ())
        self.assertRaises(
            SSL.Error,
            shake_hands,
            make_base_context(MODERN),
            context=client_context(version=ssl.TLSVersion.TLSv1_2),
            certificate=loose,
        )


class CertificateContextTests(SynchronousTestCase):
    """Chain and key."""

    def test_unusable(self) -> None:
        """
        What cannot be read, does not fit or is of a strange kind is refused in one way.
        """
        one, other = issued("a.example"), issued("b.example")
        strange = ed25519.Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        for chain, key in (
            (b"", one.key),
            (b"nonsense", one.key),
            (one.chain, b""),
            (one.chain, b"nonsense"),
            (one.chain, other.key),
            (one.chain, strange),
        ):
            self.assertRaises(ValueError, make_certificate_context, DEFAULT, chain, key, ())

    def test_protocols(self) -> None:
        """
        Of the client's protocols the first of ours is taken; none offered, none taken.
        """
        both = issued("a.example")
        ours = make_certificate_context(DEFAULT, both.chain, both.key, (b"h2", b"http/1.1"))
        base = make_base_context(DEFAULT)
        for offered, taken in (
            (("http/1.1", "h2"), "h2"),
            (("x", "http/1.1"), "http/1.1"),
            ((), None),
        ):
            client, _ = shake_hands(base, context=client_context(offered), certificate=ours)
            self.assertEqual(client.selected_alpn_protocol(), taken)

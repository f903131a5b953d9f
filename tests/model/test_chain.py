"""
Tests for `hostedge.model.chain`.
"""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from twisted.trial.unittest import SynchronousTestCase

from hostedge.model.chain import public_key_of, read_chain
from tests.model.words import pair


class ChainTests(SynchronousTestCase):
    """`read_chain` and `public_key_of`."""

    def test_facts(self) -> None:
        """
        The leaf gives names in normal form, the end and the key that has to fit.
        """
        leaf, key = pair("A.example", "*.b.example", "a.example")
        chain = read_chain(leaf + pair("other.example")[0])
        self.assertEqual(chain.names, ("a.example", "*.b.example"))
        self.assertEqual(chain.not_after, 1893542400.0)
        self.assertEqual(chain.public_key, public_key_of(key))
        self.assertNotEqual(chain.public_key, public_key_of(pair("other.example")[1]))

    def test_covers(self) -> None:
        """
        A wildcard covers one label.
        """
        chain = read_chain(pair("a.example", "*.b.example")[0])
        covered = ("a.example", "x.b.example", "*.b.example")
        self.assertTrue(all(map(chain.covers, covered)))
        self.assertFalse(any(map(chain.covers, ("b.example", "x.y.b.example", "localhost"))))

    def test_refused(self) -> None:
        """
        What is no chain for host names is refused with what is wanted.
        """
        leaf, key = pair("a.example")
        somebody = pair("a@b.example")[0]
        for text in (
            "",
            "x",
            "ä",
            leaf[:200],
            key + leaf,
            pair()[0],
            somebody,
            leaf * 11,
            leaf * 200,
        ):
            error = self.assertRaises(ValueError, read_chain, text)
            self.assertIn("want", str(error))

    def test_rsa(self) -> None:
        """
        RSA keys are read as well.
        """
        key = rsa.generate_private_key(65537, 1024)
        text = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        self.assertEqual(
            public_key_of(text.decode()),
            key.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
        )

    def test_refusedKeys(self) -> None:
        """
        A key that cannot be used without a passphrase, or is none, is refused.
        """
        locked = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"x"),
        )
        for text in ("", "x", "ä", pair("a.example")[0], locked.decode()):
            self.assertRaises(ValueError, public_key_of, text)

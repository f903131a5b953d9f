"""
Tests for `hostedge.control`.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.control import RENEW_BEFORE, Certifier
from hostedge.store.reader import IssuedCertificate


class Desk:
    """A CA and the store behind it, as far as the certifier needs them."""

    def __init__(self) -> None:
        self.kept: dict[str, IssuedCertificate] = {}
        self.signed: list[str] = []
        self.last = 0.0

    def sign(self, name: str) -> tuple[str, str, float]:
        self.signed.append(name)
        return f"chain of {name}", f"key of {name}", self.last

    def put_certificate(self, name: str, chain: str, key: str, not_after: float) -> None:
        self.kept[name] = IssuedCertificate(chain.encode(), key.encode(), not_after)

    def served(self, name: str) -> bool:
        return name.endswith(".example")

    def certificate(self, name: str) -> IssuedCertificate | None:
        return self.kept.get(name)


class CertifierTests(SynchronousTestCase):
    """Who gets a certificate."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.desk = Desk()
        self.desk.last = 90 * 86400.0
        self.certifier = Certifier(
            self.desk, self.desk, self.desk, "node", self.clock.seconds, maybeDeferred
        )

    def answer(self, name: str) -> str:
        asked: Deferred[str] = self.certifier.certify(name)
        return self.successResultOf(asked)

    def test_servedName(self) -> None:
        """
        A name that the store serves is signed once, in normal form.
        """
        self.assertEqual([self.answer("A.example"), self.answer("a.example")], ["", ""])
        self.assertEqual(self.desk.signed, ["a.example"])
        self.assertIn("a.example", self.desk.kept)

    def test_strangers(self) -> None:
        """
        Nothing is signed for a name that is not ours, or is none.
        """
        self.assertEqual(self.answer("a.test"), "the store has no such name")
        self.assertNotEqual(self.answer("a b.example"), "")
        self.assertEqual(self.desk.signed, [])

    def test_ownName(self) -> None:
        """
        The node's own name needs no domain.
        """
        self.assertEqual(self.answer("node"), "")

    def test_renewed(self) -> None:
        """
        A certificate that is about to end is signed again.
        """
        self.answer("a.example")
        self.clock.advance(self.desk.last - RENEW_BEFORE - 1)
        self.answer("a.example")
        self.clock.advance(2)
        self.answer("a.example")
        self.assertEqual(self.desk.signed, ["a.example", "a.example"])

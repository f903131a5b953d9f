"""
Tests for `hostedge.model.keys`.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.model.keys import (
    account_key,
    domain_key,
    keys_named_by,
    name_key,
    named_by,
    names_of,
    owned_key,
    secret_reference,
)
from hostedge.model.site import Domain, Mapping
from tests.model.words import Elsewhere, Files, ToApp, ToPool


class KeysTests(SynchronousTestCase):
    """Keys are what history, API and caches call an object."""

    def test_secretReference(self) -> None:
        """
        The reference of a private key is the hash of its text: `printf a | sha256sum`.
        """
        digest = "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
        self.assertEqual(secret_reference("a"), f"sha256-{digest}")

    def test_forms(self) -> None:
        """
        The kind comes first, then the account where names are an account's own.
        """
        self.assertEqual(account_key("demo"), "account/demo")
        self.assertEqual(domain_key("a.example"), "domain/a.example")
        self.assertEqual(name_key("*.example"), "name/*.example")
        self.assertEqual(owned_key("app", "demo", "web"), "app/demo/web")

    def test_references(self) -> None:
        """
        A mapping names apps and pools by the fields that are called so, when they are set.
        """
        self.assertEqual(list(named_by(ToApp("web"))), [("app", "app", "web")])
        self.assertEqual(list(named_by(Files("x"))), [])
        self.assertEqual(
            list(named_by(Files("x", fallthrough="web"))), [("fallthrough", "app", "web")]
        )

    def test_domain(self) -> None:
        """
        A domain's keys are those of all its mappings, its names are those it answers to.
        """
        domain = Domain(
            "a.example",
            ("b.example",),
            (
                Mapping("/", ToApp("web")),
                Mapping("/a", ToApp("web")),
                Mapping("/b", ToPool("legacy")),
                Mapping("/c", Elsewhere("https://x")),
            ),
        )
        self.assertEqual(keys_named_by(domain, "demo"), {"app/demo/web", "pool/demo/legacy"})
        self.assertEqual(names_of(domain), ("a.example", "b.example"))

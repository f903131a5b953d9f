"""The word `app`."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from hostedge.mappings.app import AppKind, ToApp
from hostedge.model.limits import MappingLimits
from hostedge.model.names import Size
from hostedge.model.site import Account, App, Domain, Found

HELLO = App("hello", "wsgi", None)
FOUND = Found("a.test", Domain("a.test"), Account("demo"), {"hello": HELLO}, {}, 1)


class Recorder:
    """Parts that tell what they were asked for."""

    def relay_to_app(
        self, account: Account, app: App, own: MappingLimits | None, websocket: bool
    ) -> object:
        return account, app, own, websocket


class AppTests(SynchronousTestCase):
    """From the mapping to the leaf."""

    def test_compile(self) -> None:
        """The leaf relays to the account's app; the mapping may want it otherwise."""
        kind = AppKind()
        self.assertEqual((kind.word, kind.value), ("app", ToApp))
        self.assertEqual(
            kind.compile(ToApp("hello"), b"", FOUND, Recorder()),
            (FOUND.account, HELLO, None, False),
        )
        self.assertEqual(
            kind.compile(ToApp("hello", "stream"), b"", FOUND, Recorder()),
            (FOUND.account, evolve(HELLO, buffer="stream"), None, False),
        )
        self.assertEqual(
            kind.compile(ToApp("hello", forwarded=True), b"", FOUND, Recorder()),
            (FOUND.account, evolve(HELLO, forwarded=True), None, False),
        )

    def test_websocket(self) -> None:
        """Upgrades are forwarded where the mapping says so."""
        to = ToApp("hello", websocket=True)
        self.assertEqual(
            AppKind().compile(to, b"", FOUND, Recorder()), (FOUND.account, HELLO, None, True)
        )

    def test_limits(self) -> None:
        """Limits of its own go with it to the leaf."""
        own = MappingLimits(body_size=Size(0), response_timeout=600.0)
        to = ToApp("hello", limits=own)
        self.assertEqual(
            AppKind().compile(to, b"", FOUND, Recorder()), (FOUND.account, HELLO, own, False)
        )

    def test_unknown(self) -> None:
        """An app that the account does not have is a KeyError."""
        self.assertRaises(KeyError, AppKind().compile, ToApp("no"), b"", FOUND, Recorder())

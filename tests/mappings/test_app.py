"""The word `app`."""

from __future__ import annotations

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from hostedge.mappings.app import AppKind, ToApp
from hostedge.model.site import Account, App, Domain, Found

HELLO = App("hello", "wsgi", None)
FOUND = Found("a.test", Domain("a.test"), Account("demo"), {"hello": HELLO}, {}, 1)


class Recorder:
    """Parts that tell what they were asked for."""

    def relay_to_app(self, account: str, app: App) -> object:
        return account, app


class AppTests(SynchronousTestCase):
    """From the mapping to the leaf."""

    def test_compile(self) -> None:
        """The leaf relays to the account's app; the mapping may have another buffer."""
        kind = AppKind()
        self.assertEqual((kind.word, kind.value), ("app", ToApp))
        self.assertEqual(kind.compile(ToApp("hello"), b"", FOUND, Recorder()), ("demo", HELLO))
        self.assertEqual(
            kind.compile(ToApp("hello", "stream"), b"", FOUND, Recorder()),
            ("demo", evolve(HELLO, buffer="stream")),
        )

    def test_unknown(self) -> None:
        """An app that the account does not have is a KeyError."""
        self.assertRaises(KeyError, AppKind().compile, ToApp("no"), b"", FOUND, Recorder())

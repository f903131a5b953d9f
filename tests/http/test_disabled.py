"""Apps that their owner has switched off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from hostedge.edge import EdgeParts
from hostedge.mappings.app import AppKind, ToApp
from hostedge.mappings.static import Static, StaticKind, StaticLeaf
from hostedge.model.site import Account, App, Domain, Found
from hostedge.net.descriptors import Files
from hostedge.settings import Settings
from tests.mappings.exchanges import KeptExchange

OFF = App("hello", "wsgi", None, enabled=False)
FOUND = Found("a.test", Domain("a.test"), Account("demo"), {"hello": OFF}, {}, 1)


class Relays:
    """Makes no leaf for what is switched off."""

    def relay_to_app(self, account: Account, app: App, limits: object) -> str:
        assert app.enabled
        return app.name


class Rates:
    """Nobody is counted."""

    limiter = None


class DisabledTests(SynchronousTestCase):
    def setUp(self) -> None:
        home = Path(self.mktemp())
        (home / "demo" / "files").mkdir(parents=True)
        settings = Settings(home / "node.toml", home, home)
        nobody: Any = None
        relays: Any = Relays()
        rates: Any = Rates()
        self.parts = EdgeParts(nobody, settings, relays, nobody, Files(), rates)

    def test_refused(self) -> None:
        """Nobody is asked: neither the app nor the keeper; also behind files."""
        for leaf in (
            AppKind().compile(ToApp("hello"), b"", FOUND, self.parts),
            AppKind().compile(ToApp("hello", websocket=True), b"", FOUND, self.parts),
            StaticKind().compile(Static("files", fallthrough="hello"), b"", FOUND, self.parts),
        ):
            exchange = KeptExchange(target=b"/nothing-here")
            leaf.answer(exchange)  # type: ignore[arg-type]
            self.assertEqual((exchange.status, exchange.cause), (503, "disabled"))
            is_files = isinstance(leaf, StaticLeaf)
            self.assertIs(getattr(leaf, "upgrades", False), not is_files)
            self.assertIn("switched off", " ".join(leaf.explain()))
            self.assertEqual(leaf.app, "demo/hello")  # type: ignore[attr-defined]

    def test_wanted(self) -> None:
        """One that its owner wants again is asked."""
        app = evolve(OFF, enabled=True)
        self.assertEqual(self.parts.relay_to_app(FOUND.account, app, None), "hello")

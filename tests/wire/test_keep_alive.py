"""Who ends an idle connection first."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.keep_alive import idle_life, idle_life_told


class KeepAliveTests(SynchronousTestCase):
    """We do."""

    def test_idleLife(self) -> None:
        """A second before the other side, and never for longer than a minute."""
        for kept, life in ((5.0, 4.0), (75.0, 60.0), (1.0, 0.5), (0.0, 0.5)):
            self.assertEqual(idle_life(kept), life)

    def test_told(self) -> None:
        """What an app says is believed, if it says it."""
        for text, life in (
            (b"timeout=5", 4.0),
            (b"max=100, timeout=20", 19.0),
            (b"timeout=999999", 60.0),
            (b"timeout=0", 0.5),
            (b"timeout=soon", None),
            (b"max=5", None),
            (b"", None),
        ):
            self.assertEqual(idle_life_told(text), life, text)

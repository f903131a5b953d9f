"""Whether a browser wants a page."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.navigation import is_navigation

BROWSERS = b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


class NavigationTests(SynchronousTestCase):
    def test_browsers(self) -> None:
        """A browser says what it is about; else what it would rather have tells."""
        for fields, wanted in (
            ([(b"Accept", BROWSERS), (b"Sec-Fetch-Mode", b"navigate")], True),
            ([(b"sec-fetch-mode", b" Navigate ")], True),
            ([(b"Accept", BROWSERS)], True),
            ([(b"Accept", b"text/html")], True),
            ([(b"Accept", BROWSERS), (b"Sec-Fetch-Mode", b"cors")], False),
            ([(b"Accept", BROWSERS), (b"Sec-Fetch-Mode", b"no-cors")], False),
            ([(b"Accept", b"*/*")], False),
            ([(b"Accept", b"application/json, text/html;q=0.9")], False),
            ([(b"Accept", b"image/avif,image/webp,*/*")], False),
            ([], False),
        ):
            self.assertIs(is_navigation(b"GET", fields), wanted, fields)

    def test_methods(self) -> None:
        """What may not be asked again by itself is none: a page that loads anew would do that."""
        for method in (b"POST", b"HEAD", b"PUT", b"OPTIONS"):
            self.assertFalse(is_navigation(method, [(b"Sec-Fetch-Mode", b"navigate")]))

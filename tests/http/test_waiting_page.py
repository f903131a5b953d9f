"""The page that a browser shows while an app starts."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.refusal import make_refusal
from hostedge.http.waiting_page import REFRESH, waiting_page

HTML = [b"text/html"]


class WaitingPageTests(SynchronousTestCase):
    def test_howLong(self) -> None:
        """It says how long it takes, as far as anybody knows."""
        for left, words in (
            (None, "usually takes a few seconds"),
            (1.0, "any moment"),
            (11.2, "about 12 seconds"),
        ):
            self.assertIn(words, waiting_page("Waking up", "the-id", left))

    def test_nothingElse(self) -> None:
        """It needs nothing that would have to be fetched or allowed: one file, no script."""
        text = waiting_page("Waking up", "the-id", None)
        for word in ("http:", "https:", "//", "src=", "href=", "<script", "url(", "onload"):
            self.assertNotIn(word, text)

    def test_refusal(self) -> None:
        """It comes with a field that has the browser ask again, and so does a site's own page."""
        for page in ("", "<p>{{reason}}"):
            status, fields, body = make_refusal("starting", HTML, "x", None, lambda _, p=page: p)
            said = dict(fields)
            self.assertEqual(status, 503)
            self.assertEqual(said[b"Refresh"], b"%d" % REFRESH)
            self.assertEqual(said[b"Retry-After"], b"5")
            self.assertEqual(said[b"Cache-Control"], b"no-store")
            self.assertIn(b"This site is waking up.", body)
            self.assertEqual(b"opens by itself" in body, not page)
        for cause in ("start_slow", "crash_loop"):
            self.assertNotIn(b"Refresh", dict(make_refusal(cause, HTML, "x")[1]))

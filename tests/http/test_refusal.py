"""Pages of refusal."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import CAUSES
from hostedge.http.refusal import make_refusal, phrase


class RefusalTests(SynchronousTestCase):
    """What a client gets instead of what it wanted."""

    def test_everyCause(self) -> None:
        """Each cause makes an answer that says its status, its reason and the request's id."""
        for cause, wanted in CAUSES.items():
            for accept in (b"", b"text/html", b"application/json"):
                status, fields, body = make_refusal(cause, [accept], "the-id")
                said = dict(fields)
                self.assertEqual(status, wanted.status)
                self.assertEqual(said[b"X-Hostedge-Reason"], cause.encode())
                self.assertEqual(said[b"Cache-Control"], b"no-store")
                self.assertIn(wanted.reason.encode(), body)
                self.assertIn(b"the-id", body)
                self.assertLess(len(body), 2048)

    def test_ownPage(self) -> None:
        """A site's own page is filled in, and is for those who want HTML; the rest stays."""
        own = "<p>{{status}} {{reason}} {{id}} {{other}} {id}"
        status, fields, body = make_refusal(
            "no_server", [b"text/html"], "the-id", None, lambda status: own if status == 503 else ""
        )
        said = dict(fields)
        self.assertEqual((status, said[b"Retry-After"]), (503, b"10"))
        self.assertEqual(said[b"Content-Type"], b"text/html; charset=utf-8")
        reason = CAUSES["no_server"].reason
        self.assertEqual(body.decode(), f"<p>503 {reason} the-id {{{{other}}}} {{id}}")
        for accept, cause in ((b"application/json", "no_server"), (b"text/html", "not_found")):
            text = make_refusal(cause, [accept], "x", None, lambda s: own if s == 503 else "")[2]
            self.assertNotIn(b"{{other}}", text)

    def test_proxyStatus(self) -> None:
        """What is a proxy's error has a `Proxy-Status`, what is not has none."""
        fields = dict(make_refusal("queue_full", [], "")[1])
        self.assertEqual(fields[b"Proxy-Status"], b"hostedge; error=connection_limit_reached")
        self.assertNotIn(b"Proxy-Status", dict(make_refusal("not_found", [], "")[1]))

    def test_retryAfter(self) -> None:
        """`Retry-After` is in whole seconds, never zero."""
        for seconds, wanted in ((0.0, b"1"), (1.2, b"2"), (30.0, b"30")):
            fields = dict(make_refusal("start_slow", [], "", seconds)[1])
            self.assertEqual(fields[b"Retry-After"], wanted)

    def test_retryAfterByItself(self) -> None:
        """What passes by itself says when, whoever knows better is heard, the rest says nothing."""
        for cause, given, wanted in (
            ("queue_full", None, b"5"),
            ("queue_full", 7.0, b"7"),
            ("suspended", None, None),
            ("not_found", None, None),
        ):
            fields = dict(make_refusal(cause, [], "", given)[1])
            self.assertEqual(fields.get(b"Retry-After"), wanted, cause)
            page = make_refusal(cause, [b"text/html"], "", given)[2]
            self.assertEqual(b"Try again in a moment" in page, wanted is not None, cause)

    def test_json(self) -> None:
        """A program gets an object, as RFC 9457 has it, by either name of the type."""
        for accept in (b"application/json", b"application/problem+json"):
            _, fields, body = make_refusal("not_found", [accept], "x")
            self.assertEqual(dict(fields)[b"Content-Type"], b"application/problem+json")
            said = json.loads(body)
            self.assertEqual((said["status"], said["title"]), (404, "Not Found"))
            self.assertEqual((said["cause"], said["id"]), ("not_found", "x"))

    def test_phrase(self) -> None:
        """A status that nobody registered has a phrase as well."""
        self.assertEqual((phrase(404), phrase(299)), ("Not Found", "Unknown"))

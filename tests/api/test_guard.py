"""Tests of `hostedge.api.guard`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from hostedge.api.guard import error_body, media_type, refusal


def refused(method: str = "GET", path: bytes = b"/v1/status", **fields: str | list[str]) -> object:
    """The status and the place that a request is refused with, or None."""
    headers = Headers()
    for name, values in {"host": "localhost", **fields}.items():
        for value in [values] if isinstance(values, str) else values:
            headers.addRawHeader(name.replace("_", "-"), value)
    answer = refusal(method, path, headers)
    return answer and (answer.status, answer.where)


class RefusalTests(SynchronousTestCase):
    """Which requests are let in."""

    def test_ownNames(self) -> None:
        """
        Requests for the names of the API are let in, however they are spelt.
        """
        for host in ("localhost", "hostedge", "LocalHost"):
            self.assertIsNone(refused(host=host))

    def test_reboundName(self) -> None:
        """
        A name that somebody has pointed at this machine is refused, and so are ports, several
        names and none: DNS rebinding does not reach the API.
        """
        for host in ("evil.example", "localhost:8080", "localhost.evil.example", "127.0.0.1", ""):
            self.assertEqual(refused(host=host), (421, "Host"))
        self.assertEqual(refused(host=["localhost", "evil.example"]), (421, "Host"))
        self.assertEqual(refused(host=[]), (421, "Host"))

    def test_otherOrigin(self) -> None:
        """
        A page of another origin is refused, `null` and a second origin included.
        """
        self.assertIsNone(refused(origin="http://localhost"))
        for origin in ("http://evil.example", "null", "https://localhost", "http://hostedge", ""):
            self.assertEqual(refused(origin=origin), (403, "Origin"))
        both = ["http://localhost", "http://evil.example"]
        self.assertEqual(refused(origin=both), (403, "Origin"))

    def test_formOfAPage(self) -> None:
        """
        What a form or a script may send without being asked about is refused, also without
        a body.
        """
        self.assertIsNone(refused("POST", content_type="application/json"))
        self.assertIsNone(refused("PUT", content_type="Application/JSON; charset=utf-8"))
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
            self.assertEqual(refused("POST", content_type=kind), (415, "Content-Type"))
        self.assertEqual(refused("POST"), (415, "Content-Type"))
        both = ["application/json", "text/plain"]
        self.assertEqual(refused("PUT", content_type=both), (415, "Content-Type"))

    def test_otherMethods(self) -> None:
        """
        Methods that no call has are refused before anything else looks at them.
        """
        for method in ("HEAD", "OPTIONS", "TRACE", "DELETE", "get"):
            self.assertEqual(refused(method, content_type="application/json"), (405, "method"))

    def test_pathIsText(self) -> None:
        """
        A path that is not UTF-8 is refused.
        """
        self.assertIsNone(refused(path="/v1/äpps".encode()))
        self.assertEqual(refused(path=b"/v1/%ff"), (400, "path"))
        self.assertEqual(refused(path=b"/v1/\xff"), (400, "path"))


class FormTests(SynchronousTestCase):
    """What errors look like."""

    def test_errorBody(self) -> None:
        """
        An error has two halves, and an id when the log knows more.
        """
        self.assertEqual(error_body("a", "b"), b'{"error": {"where": "a", "problem": "b"}}\n')
        self.assertIn(b'"id": "17"', error_body("a", "b", "17"))

    def test_mediaType(self) -> None:
        """
        Parameters do not count; two types are none.
        """
        self.assertEqual(media_type(Headers({"content-type": ["A/b ; c=d"]})), "a/b")
        self.assertEqual(media_type(Headers({"content-type": ["a/b", "a/b"]})), "")
        self.assertEqual(media_type(Headers()), "")

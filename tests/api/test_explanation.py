"""Tests of `hostedge.api.explanation`, with a real store; the call is in `tests.api.test_app`."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred

from hostedge.api.calls import Refused
from hostedge.api.explanation import explain
from hostedge.errors import ConfigError
from tests.api.node import RecordedNode
from tests.model.words import site
from tests.store.stores import StoreTestCase

URL = "http://a.example/"


class ExplanationTests(StoreTestCase):
    """An account that gets a domain at revision 1, and loses it at revision 2."""

    def setUp(self) -> None:
        super().setUp()
        self.store.apply([site("demo", a_example=())], "ann")
        self.store.apply([site("demo")], "bob")
        self.node = RecordedNode()

    def asked(self, url: str = URL, method: str = "GET", at: str = "") -> Deferred[dict[str, Any]]:
        steps = [{"step": "host", "key": "domain/a.example"}, {"step": "x", "key": ""}]
        self.node.steps = steps
        answer = explain(self.node, self.history, maybeDeferred, url, method, at)
        return Deferred.fromCoroutine(answer)

    def refused(self, **asked: str) -> tuple[int, str]:
        error = self.failureResultOf(self.asked(**asked), Refused).value
        return error.status, error.where

    def test_whoChangedIt(self) -> None:
        """
        A step that an object has decided comes with the object's last change.
        """
        answer = self.successResultOf(self.asked())
        changed = {"key": "domain/a.example", "revision": 2, "time": self.now, "who": "bob"}
        self.assertEqual(answer["steps"], [{"step": "host", "changed": changed}, {"step": "x"}])
        self.assertNotIn("at", answer)

    def test_past(self) -> None:
        """
        A revision, or a time, reaches the edge as a revision; later changes are not told.
        """
        for at, revision in (("1", 1), ("2", 2), ("1970-01-12T13:46:40Z", 2)):
            self.node.asked.clear()
            answer = self.successResultOf(self.asked(method="get", at=at))
            self.assertEqual(self.node.asked, [("explain", URL, "GET", revision)])
            self.assertEqual(answer["at"], revision)
            self.assertEqual(answer["steps"][0]["changed"]["revision"], revision)

    def test_refused(self) -> None:
        """
        What is no URL, no method or no revision is refused before an edge is asked.
        """
        for url in ("", "a.example", "ftp://a.example/", "https:///x", "http://[::1"):
            self.assertEqual(self.refused(url=url), (400, "url"))
        for method in ("", "G T", "GÉT", "X" * 21):
            self.assertEqual(self.refused(method=method), (400, "method"))
        for at, status in (("3", 404), ("0", 404), ("x", 400), ("1970-01-01", 404)):
            self.assertEqual(self.refused(at=at), (status, "at"))
        self.assertEqual(self.node.asked, [])

    def test_noEdge(self) -> None:
        """
        That no edge answers is the node's fault, not the caller's.
        """
        self.node.error = ConfigError("explain", "no edge has answered; try again")
        self.assertEqual(self.refused(), (503, "explain"))

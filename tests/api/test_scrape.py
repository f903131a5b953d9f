"""The page of `hostedge.api.scrape`, without a socket."""

from __future__ import annotations

from typing import Any

from treq.testing import StubTreq
from twisted.trial.unittest import SynchronousTestCase

from hostedge.api.metrics import Scrapes
from hostedge.api.scrape import Metrics
from hostedge.errors import ConfigError
from hostedge.settings import Metrics as Shown
from tests.api.node import RecordedNode


class MetricsTests(SynchronousTestCase):
    """One request each."""

    def ask(self, node: RecordedNode, path: str = "/metrics") -> tuple[int, bytes, Any]:
        treq = StubTreq(Metrics(Scrapes(node, Shown())))
        response = self.successResultOf(treq.get(f"http://localhost{path}"))
        treq.flush()
        body = self.successResultOf(response.content())
        return response.code, body, response.headers.getRawHeaders("content-type")

    def test_answered(self) -> None:
        """What the node says, with its media type."""
        node = RecordedNode(report={"keeper": True, "revision": 3, "edges": []})
        status, body, (media_type,) = self.ask(node)
        self.assertEqual(status, 200)
        self.assertIn(b"\nhostedge_revision 3.0\n", body)
        self.assertTrue(media_type.startswith("text/plain"))

    def test_failed(self) -> None:
        """A node that cannot be asked is 503; why is logged in a line, without a traceback."""
        node = RecordedNode(error=ConfigError("keeper", "does not answer"))
        status, body, _ = self.ask(node)
        self.assertEqual((status, body), (503, b"# the node does not answer\n"))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_elsewhere(self) -> None:
        """There is one page."""
        self.assertEqual(self.ask(RecordedNode(), "/")[0], 404)

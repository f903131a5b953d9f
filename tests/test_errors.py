"""
Tests for `hostedge.errors`.
"""

from __future__ import annotations

import ast
from http import HTTPStatus
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import CAUSES, BadRequest, ConfigError

PACKAGE = Path(__file__).resolve().parent.parent / "hostedge"

# RFC 9209 section 2.3, as far as a reverse proxy uses it
PROXY_ERRORS = {
    "",
    "connection_limit_reached",
    "connection_read_timeout",
    "connection_refused",
    "connection_terminated",
    "connection_timeout",
    "destination_not_found",
    "destination_unavailable",
    "http_protocol_error",
    "http_request_denied",
    "http_request_error",
    "http_response_timeout",
    "http_upgrade_failed",
    "proxy_internal_error",
    "proxy_loop_detected",
}


class CausesTests(SynchronousTestCase):
    """The one table of refusals."""

    def test_valid(self) -> None:
        """
        Every cause has a real status, a sentence, and an error type of the standard.
        """
        for name, cause in CAUSES.items():
            self.assertGreaterEqual(HTTPStatus(cause.status), 400, name)
            self.assertRegex(cause.reason, r"^[A-Z].*\.$", name)
            self.assertIn(cause.proxy_error, PROXY_ERRORS, name)

    def test_everyNamedCauseIsThere(self) -> None:
        """
        Whoever raises or refuses names a cause of the table.
        """
        seen = set()
        for path in PACKAGE.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if not isinstance(node, ast.Call) or not node.args:
                    continue
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                first = node.args[0]
                if name in ("BadRequest", "UpstreamFailed", "refuse") and isinstance(
                    first, ast.Constant
                ):
                    self.assertIn(first.value, CAUSES, path)
                    seen.add(first.value)
        self.assertGreater(len(seen), 5)

    def test_oneLine(self) -> None:
        """
        A mistake of the operator's reads as where and what.
        """
        self.assertEqual(str(ConfigError("a.toml: edges", "want 1")), "a.toml: edges: want 1")
        self.assertEqual(str(BadRequest("bad_host", "two")), "bad_host: two")

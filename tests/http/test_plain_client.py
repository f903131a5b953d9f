"""Plain HTTP on a port of HTTPS: `hostedge.http.plain_client`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.http.plain_client import answer_plain
from tests.http.parts import Scene, split_answers


class PlainTests(SynchronousTestCase):
    """What somebody hears who has forgotten the `s`."""

    def answer(self, scene: Scene, data: bytes) -> bytes:
        return answer_plain(scene.entrance, data, ("192.0.2.1", 4000), 443)

    def test_answer(self) -> None:
        """The answer says what is spoken here; log and refusals have who asked for what."""
        scene = Scene(self.fail)
        request = b"GET /a HTTP/1.1\r\nHost: a.test\r\nAccept: text/html\r\n\r\n"
        ((status, fields, body),) = split_answers(self.answer(scene, request))
        self.assertEqual((status, fields[b"connection"]), (400, b"close"))
        self.assertIn(b"use https://", body)
        (line,) = scene.recorded
        self.assertEqual((line.method, line.target, line.host), (b"GET", b"/a", "a.test"))
        self.assertEqual((line.client, line.cause, line.status), ("192.0.2.1", "tls_plain", 400))
        (kept,) = scene.refusals.newest()
        self.assertEqual((kept.request, kept.verbatim), (request, True))
        self.assertEqual((kept.client_port, kept.port, kept.host), (4000, 443, "a.test"))

    def test_withoutALine(self) -> None:
        """What is no whole line has none in the log; who asks with HEAD gets no body."""
        scene = Scene(self.fail)
        self.assertTrue(self.answer(scene, b"GET /a HT").startswith(b"HTTP/1.1 400 "))
        self.assertEqual(scene.recorded[0].method, b"")
        answer = self.answer(scene, b"HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n")
        self.assertTrue(answer.endswith(b"\r\n\r\n"))

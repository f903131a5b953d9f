"""Tests of `hostedge.cli.refused`; the command against a node is in `tests.live.test_refused`."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.refused import dumped, escaped, in_short, listed, shown

NOW = 1_700_000_100.0
ONE: dict[str, Any] = {
    "number": 3,
    "time": NOW - 61,
    "cause": "bad_request",
    "id": "0198d1f0-1111-7222-8333-444455556666",
    "protocol": "HTTP/1.1",
    "scheme": "https",
    "client": "192.0.2.7",
    "client_port": 4711,
    "port": 443,
    "host": "",
    "detail": "",
    "verbatim": True,
    "request": "GET /a HTTP/1.1\r\nA B: c\r\n",
    "offset": 18,
    "edge": 1,
}


class ListTests(SynchronousTestCase):
    """What was refused, at a glance."""

    def test_lines(self) -> None:
        """The newest first, as the API has it."""
        other = {**ONE, "cause": "unknown_host", "host": "b.test", "time": NOW, "verbatim": False}
        self.assertEqual(
            list(listed([other, ONE], NOW)),
            [
                "  AGO  CAUSE         CLIENT     REQUEST       ID",
                "   0s  unknown_host  192.0.2.7  GET b.test/a  55556666",
                "1m 1s  bad_request   192.0.2.7  GET /a        55556666",
            ],
        )

    def test_wide(self) -> None:
        """Long names do not make the lines longer than a terminal."""
        long = {**ONE, "client": "2001:db8:1234:5678:9abc:def0:1234:5678", "cause": "x" * 30}
        long["request"] = "GET /" + "a" * 2000
        self.assertLessEqual(max(map(len, listed([long], NOW))), 80)

    def test_none(self) -> None:
        """Nothing is said in words."""
        self.assertEqual(list(listed([], NOW)), ["Nothing of this kind was refused."])

    def test_inShort(self) -> None:
        """Whatever is known: of HTTP/2 its pseudo-fields, else the first line, or the reason."""
        fields = ":method: GET\r\n:authority: c.test\r\n:path: /x\r\nte: y\r\n\r\n"
        for request, host, text in (
            (fields, "", "GET c.test/x"),
            (fields, "d.test", "GET d.test/x"),
            ("GET http://a/ HTTP/1.1\r\n", "", "GET http://a/"),
            ("GET /\x1b[2J", "", "GET /\\x1b[2J"),
            ("\x16\x03", "", "\\x16\\x03"),
            ("", "", "why"),
        ):
            each = {**ONE, "request": request, "host": host, "detail": "why"}
            self.assertEqual(in_short(each), text)


class ShownTests(SynchronousTestCase):
    """One of them."""

    def test_lines(self) -> None:
        """All that is known, and the byte at which it breaks."""
        self.assertEqual(
            list(shown(ONE, NOW)),
            [
                "refused   2023-11-14 22:13:59Z, 1m 1s ago, by edge 1",
                "answer    400, bad_request",
                "why       The request is not valid HTTP.",
                "error id  0198d1f0-1111-7222-8333-444455556666",
                "client    192.0.2.7 port 4711",
                "listener  port 443, https, HTTP/1.1",
                "",
                "As it came, its first 25 bytes; secrets are stars:",
                " 0  GET /a HTTP/1.1\\r\\n",
                "17  A B: c\\r\\n",
                "     ^ byte 18",
            ],
        )

    def test_nothingKept(self) -> None:
        """Of a connection of HTTP/2 that was ended there is only the reason."""
        broken = {**ONE, "cause": "h2_broken", "detail": "a ping of a stream", "request": ""}
        lines = list(shown({**broken, "offset": None}, NOW))
        self.assertIn("answer    h2_broken", lines)
        self.assertIn("why       a ping of a stream", lines)
        self.assertEqual(lines[-1], "Nothing of it can be shown.")

    @given(st.binary(max_size=300), st.integers(0, 299))
    def test_anything(self, request: bytes, marked: int) -> None:
        """Every byte is there once, nothing reaches the terminal as it is, and the mark fits."""
        text = request.decode("latin-1")
        lines = list(dumped(text, marked, 40))
        digits = len(str(len(text)))
        marks = [line for line in lines if line.endswith(f"^ byte {marked}") and line[0] == " "]
        told = "".join(line[digits + 2 :] for line in lines if not line[:digits].isspace())
        self.assertEqual(told, escaped(text))
        self.assertTrue(all(line.isascii() and line.isprintable() for line in lines))
        self.assertTrue(all(len(line) <= 40 for line in lines if line not in marks))
        self.assertEqual(len(marks), 1 if marked < len(text) else 0)

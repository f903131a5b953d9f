"""Tests of `hostedge.api.calls`; what each call takes is in `tests.api.test_app`."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from hostedge.api.calls import Refused, json_line, query, read_call

KNOWN: dict[str, type] = {"revision": int, "dry_run": bool, "name": str, "values": list}


class ReadCallTests(SynchronousTestCase):
    """Bodies of calls."""

    def refused(self, body: bytes, required: str = "revision") -> str:
        error = self.assertRaises(Refused, read_call, body, KNOWN, required)
        self.assertEqual(error.status, 400)
        return f"{error.where}: {error.problem}"

    def test_typesAreExact(self) -> None:
        """
        A value is of the type that is wanted, and of no type that only looks like it.
        """
        self.assertEqual(read_call(b'{"revision": 3}', KNOWN, "revision"), {"revision": 3})
        self.assertEqual(self.refused(b'{"revision": true}'), "body: revision: want a number")
        self.assertEqual(self.refused(b'{"dry_run": 1}'), "body: dry_run: want true or false")
        self.assertEqual(self.refused(b'{"name": null}'), "body: name: want a text")
        self.assertEqual(self.refused(b'{"values": {}}'), "body: values: want a list")

    def test_notTheCall(self) -> None:
        """
        What is missing, too much or no JSON is named; depth costs nothing.
        """
        self.assertEqual(self.refused(b"{}"), "body: revision: is missing")
        self.assertEqual(self.refused(b"[]"), "body: want an object")
        self.assertIn("body: x: is not known here; known: revision,", self.refused(b'{"x": 1}'))
        self.assertIn("body: is not JSON", self.refused(b"["))
        self.assertIn("body: is not JSON", self.refused(b"[" * 100_000))


class QueryTests(SynchronousTestCase):
    """Parameters of calls."""

    def request(self, **args: list[bytes]) -> Any:
        made = DummyRequest([b""])
        made.args = {name.encode(): values for name, values in args.items()}
        return made

    def test_once(self) -> None:
        """
        A parameter is there once or not at all, in UTF-8.
        """
        self.assertEqual(query(self.request(key=["ä".encode()]), "key"), "ä")
        self.assertEqual(query(self.request(), "key"), "")
        for wrong in ([b"a", b"b"], [b"\xff"]):
            error = self.assertRaises(Refused, query, self.request(key=wrong), "key")
            self.assertEqual((error.status, error.where), (400, "key"))


class LineTests(SynchronousTestCase):
    """Answers of many lines."""

    def test_oneLineForAValue(self) -> None:
        """
        Whatever a value holds, it is one line.
        """
        self.assertEqual(json_line({"a": "b\nc\u2028ä"}), '{"a":"b\\nc\u2028ä"}\n')

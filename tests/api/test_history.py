"""Tests of `hostedge.api.history`; the calls themselves are in `tests.api.test_app`."""

from __future__ import annotations

import json
from typing import Any

from hostedge.api.calls import Refused
from hostedge.api.history import changes, difference, read_past, read_revision
from tests.model.words import site
from tests.store.stores import StoreTestCase


class HistoryCase(StoreTestCase):
    """Three revisions, at 10:00, 10:01 and 10:02 of 2026-11-22."""

    def setUp(self) -> None:
        super().setUp()
        self.now = 1_795_341_600.0
        for step in ({"a_example": ()}, {"a_example": ("b.example",)}, {}):
            self.store.apply([site("demo", **step)], "root")
            self.now += 60

    def refused(self, call: Any, *given: Any) -> tuple[int, str, str]:
        error = self.assertRaises(Refused, lambda: call(self.history, *given))
        return error.status, error.where, error.problem


class RevisionTests(HistoryCase):
    """What a text says about when."""

    def test_numberOrTime(self) -> None:
        """
        A number is that revision; a time is the newest revision of then, UTC unless it says so.
        """
        for text, revision in (
            ("2", 2),
            ("2026-11-22", 0),
            ("2026-11-22T10:00Z", 1),
            ("2026-11-22T10:01:30", 2),
            ("2026-11-22T11:02+01:00", 3),
            ("9999-12-31", 3),
        ):
            self.assertEqual(read_revision(self.history, "since", text), revision, text)

    def test_neither(self) -> None:
        """
        Everything else is refused, and says how it is written.
        """
        for text in ("-1", "²", "1.5", "yesterday", "9" * 40):
            status, where, problem = self.refused(read_revision, "since", text)
            self.assertEqual((status, where), (400, "since"), text)
            self.assertIn("want a revision's number, or a time like", problem)

    def test_whatWas(self) -> None:
        """
        Who asks for a revision gets one that was there, or hears what there is.
        """
        self.assertEqual(read_past(self.history, "at", "3"), 3)
        newest = "; the newest is 3"
        for text in ("0", "4"):
            wanted = (404, "at", f"there is no revision {text}{newest}")
            self.assertEqual(self.refused(read_past, "at", text), wanted)
        wanted = (404, "at", "nothing was in the store at 2026-11-22")
        self.assertEqual(self.refused(read_past, "at", "2026-11-22"), wanted)


class LinesTests(HistoryCase):
    """What is answered."""

    def test_changes(self) -> None:
        """
        Changes after a revision or a time, of one key.
        """
        for since in ("1", "2026-11-22T10:00:59Z"):
            (second, third) = map(json.loads, changes(self.history, since, "domain/a.example"))
            self.assertEqual((second["revision"], second["what"]), (2, "changed"))
            self.assertEqual((third["what"], third["who"]), ("deleted", "root"))
            self.assertEqual(third["before"]["aliases"], ["b.example"])
        wanted = (400, "key", "apps/x: want one of account, app, ")
        status, where, problem = self.refused(lambda *a: list(changes(*a)), "", "apps/x")
        self.assertEqual((status, where, problem[: len(wanted[2])]), wanted)

    def test_difference(self) -> None:
        """
        One revision, or several; those that do not exist are refused.
        """

        def found(*asked: str) -> list[tuple[str, str]]:
            lines = map(json.loads, difference(self.history, *asked))
            return [(each["key"], each["what"]) for each in lines]

        self.assertEqual(found("", "2", ""), [("domain/a.example", "changed")])
        self.assertEqual(found("", "", ""), [("domain/a.example", "deleted")])
        self.assertEqual(len(found("0", "2", "")), 4)
        self.assertEqual(found("1", "", "app/"), [])
        self.assertEqual(found("2026-11-22T10:01Z", "3", ""), [("domain/a.example", "deleted")])
        for asked, status in (
            (("", "4", ""), 404),
            (("", "0", ""), 404),
            (("3", "3", ""), 400),
            (("9", "3", ""), 400),
            (("", "3", "a b"), 400),
        ):
            self.assertEqual(self.refused(lambda *a: list(difference(*a)), *asked)[0], status)

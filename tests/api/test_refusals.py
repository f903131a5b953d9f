"""Tests of `hostedge.api.refusals`; a node that refuses is in `tests.live.test_refused`."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from hostedge.api.calls import Refused
from hostedge.api.refusals import find, place_of_fault
from hostedge.http.h1_reader import RequestReader
from tests.api.node import RecordedNode


class FindTests(SynchronousTestCase):
    """The call."""

    def setUp(self) -> None:
        self.node = RecordedNode()

    def found(self, cause: str = "", site: str = "", id: str = "") -> list[dict[str, Any]]:
        return self.successResultOf(Deferred.fromCoroutine(find(self.node, cause, site, id)))

    def test_asked(self) -> None:
        """What is wanted is asked of the edges, a host in its normal form."""
        self.found("h2_broken", "A.Example.", "abc")
        self.assertEqual(self.node.asked, [("refused", "h2_broken", "a.example", "abc")])

    def test_unknownCause(self) -> None:
        """A slip is told, and nobody asked."""
        failure = self.failureResultOf(Deferred.fromCoroutine(find(self.node, "no", "", "")))
        self.assertEqual(failure.trap(Refused), Refused)
        self.assertEqual((failure.value.status, failure.value.where), (400, "cause"))
        self.assertEqual(self.node.asked, [])

    def test_offset(self) -> None:
        """Only what is there as it came has a place at which it breaks."""
        bad = "GET / HTTP/1.1\r\nA B: c\r\n"
        self.node.refusals = [
            {"verbatim": True, "request": bad},
            {"verbatim": True, "request": "GET /"},
            {"verbatim": False, "request": bad},
        ]
        self.assertEqual([each["offset"] for each in self.found()], [17, None, None])


class PlaceTests(SynchronousTestCase):
    """Where it breaks."""

    def test_places(self) -> None:
        """It is the byte that no request could have there."""
        for request, place in (
            (b"", None),
            (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", None),
            (b"GET / HTTP/1.1\r\nHost: a\x00b\r\n", 23),
            (b"GET / HTTP/3.7\r\n", 13),
            (b"\x16\x03\x01", 0),
        ):
            self.assertEqual(place_of_fault(request), place, request)

    @given(st.binary(max_size=80))
    def test_anything(self, rest: bytes) -> None:
        """Without that byte it could still have been one."""
        request = b"GET / HTTP/1.1\r\nHost: " + rest
        place = place_of_fault(request)
        if place is not None:
            reader = RequestReader()
            reader.feed(request[:place])
            self.assertFalse([each for each in reader.events if type(each) is str])

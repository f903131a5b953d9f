"""The two letters of `hostedge.observe.ending`."""

from __future__ import annotations

from attrs import define
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import CAUSES
from hostedge.observe.ending import ending


@define
class Ended:
    """An exchange that has ended."""

    status: int = 200
    cause: str = ""
    upstream: str = ""
    first_byte: float = 0.0
    complete: bool = True
    whole: bool = True


class EndingTests(SynchronousTestCase):
    """Who, and where."""

    def test_everyCause(self) -> None:
        """Every refusal has its letters, and a rule's refusal is never the client's own end."""
        for name, cause in CAUSES.items():
            letters = ending(Ended(cause.status, name))
            self.assertRegex(letters, "^[CcSsDPRIK][RQCHDU]$", name)
            self.assertNotEqual(letters[0], "C", name)

    def test_far(self) -> None:
        """How far it had come is read off the request where the cause does not say it."""
        for ended, letters in (
            (Ended(), "--"),
            (Ended(404, "not_found"), "PR"),
            (Ended(408, "body_timeout", complete=False), "cR"),
            (Ended(499, whole=False, complete=False), "CR"),
            (Ended(499, whole=False), "CQ"),
            (Ended(499, whole=False, upstream="a/b#1"), "CH"),
            (Ended(200, whole=False, upstream="a/b#1", first_byte=0.1), "CD"),
            (Ended(200, whole=False), "CD"),
            (Ended(502, "upstream_died", "a/b#1"), "SH"),
            (Ended(200, "upstream_died", "a/b#1", 0.1, whole=False), "SD"),
            (Ended(504, "response_timeout", "a/b#1"), "sH"),
            (Ended(200, "response_timeout", "a/b#1", 0.1, whole=False), "sD"),
            (Ended(502, "bad_response", "a/b#1"), "PH"),
            (Ended(101), "--"),
            (Ended(101, "client_broke", "a/b#1"), "CU"),
            (Ended(101, "upstream_died", "a/b#1"), "SU"),
            (Ended(101, "suspended", "a/b#1", whole=False), "KU"),
            (Ended(503, "suspended"), "KQ"),
            (Ended(101, whole=False), "CU"),
        ):
            self.assertEqual(ending(ended), letters, ended)

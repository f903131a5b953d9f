"""The verdicts of `hostedge.wire.conditional`."""

from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.conditional import (
    Asked,
    Conditions,
    Validators,
    Verdict,
    judge,
    range_applies,
    read_asked,
)
from hostedge.wire.date import format_date

NOW = 784111777
CURRENT = Validators(etag=b'"v2"', modified=NOW - 100)
BEFORE, SAME, AFTER = (format_date(CURRENT.modified + d) for d in (-1, 0, 1))


class JudgeTests(SynchronousTestCase):
    """RFC 9110 section 13.2.2, step by step."""

    def test_table(self) -> None:
        """
        Each field alone, and those that come first when two disagree.
        """
        send, same, failed = Verdict.SEND, Verdict.NOT_MODIFIED, Verdict.FAILED
        for fields, verdict in (
            ({}, send),
            ({"if_none_match": [b'"v2"']}, same),
            ({"if_none_match": [b'W/"v2"']}, same),
            ({"if_none_match": [b'"v1"', b'"v2", "v3"']}, same),
            ({"if_none_match": [b"*"]}, same),
            ({"if_none_match": [b'"v1"']}, send),
            ({"if_none_match": [b"v2"]}, send),
            ({"if_modified_since": [SAME]}, same),
            ({"if_modified_since": [AFTER]}, same),
            ({"if_modified_since": [BEFORE]}, send),
            ({"if_modified_since": [b"x"]}, send),
            ({"if_modified_since": [SAME, SAME]}, send),
            ({"if_none_match": [b'"v1"'], "if_modified_since": [AFTER]}, send),
            ({"if_match": [b'"v2"']}, send),
            ({"if_match": [b"*"]}, send),
            ({"if_match": [b'"v1"']}, failed),
            ({"if_match": [b'W/"v2"']}, failed),
            ({"if_unmodified_since": [SAME]}, send),
            ({"if_unmodified_since": [BEFORE]}, failed),
            ({"if_match": [b'"v2"'], "if_unmodified_since": [BEFORE]}, send),
            ({"if_match": [b'"v1"'], "if_none_match": [b'"v2"']}, failed),
            ({"if_match": [b'"v2"'], "if_none_match": [b'"v2"']}, same),
        ):
            self.assertIs(judge(Conditions(**fields), CURRENT), verdict, fields)

    def test_ifRange(self) -> None:
        """
        A part is answered only to who has the same version, by strong comparison.
        """
        for values, applies in (
            ([], True),
            ([b'"v2"'], True),
            ([b'W/"v2"'], False),
            ([b'"v1"'], False),
            ([SAME], False),
            ([AFTER], False),
            ([BEFORE], False),
            ([b"junk"], False),
            ([b'"v2"', b'"v2"'], False),
        ):
            self.assertEqual(range_applies(values, CURRENT), applies, values)

    def test_readAsked(self) -> None:
        """
        The fields that count are picked out, whatever their spelling, every line of them.
        """
        self.assertEqual(read_asked([(b"Host", b"a"), (b"X-Range", b"b")]), Asked())
        self.assertEqual(
            read_asked(
                [
                    (b"If-None-Match", b'"a"'),
                    (b"range", b"bytes=0-"),
                    (b"IF-NONE-MATCH", b'"b"'),
                    (b"If-Range", b'"c"'),
                    (b"If-Modified-Since", SAME),
                ]
            ),
            Asked(
                Conditions(if_none_match=[b'"a"', b'"b"'], if_modified_since=[SAME]),
                [b"bytes=0-"],
                [b'"c"'],
            ),
        )

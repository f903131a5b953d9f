"""The dates of `hostedge.wire.date`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.date import DateLine, format_date, parse_date


class DateTests(SynchronousTestCase):
    """RFC 9110's own examples, and what is no date."""

    def test_threeForms(self) -> None:
        """
        All three forms are read as the same second; the first is written.
        """
        for text in (
            b"Sun, 06 Nov 1994 08:49:37 GMT",
            b"Sunday, 06-Nov-94 08:49:37 GMT",
            b"Sun Nov  6 08:49:37 1994",
        ):
            self.assertEqual(parse_date(text), 784111777, text)
        self.assertEqual(format_date(784111777), b"Sun, 06 Nov 1994 08:49:37 GMT")

    def test_noDate(self) -> None:
        """
        Anything else is none.
        """
        for text in (
            b"", b"yesterday", b"784111777", b"Sun, 06 Nov 1994 08:49:37", b"\xff",
            b"Sun, 06 Nuv 1994 08:49:37 GMT", b"Sun, 06 Nov 1994 25:49:37 GMT",
            b"Sun, 00 Nov 1994 08:49:37 GMT", b"Sun, 06 Nov 0000 08:49:37 GMT",
        ):  # fmt: skip
            self.assertIsNone(parse_date(text), text)

    @given(st.integers(0, 2**36))
    def test_roundTrip(self, moment: int) -> None:
        """
        What is written is read back.
        """
        self.assertEqual(parse_date(format_date(moment)), moment)

    def test_lineFollowsTheClock(self) -> None:
        """
        The line changes with the second, and only then.
        """
        clock = Clock()
        line = DateLine(clock.seconds)
        first = line.now()
        clock.advance(0.9)
        self.assertIs(line.now(), first)
        clock.advance(0.2)
        self.assertEqual(line.now(), b"Thu, 01 Jan 1970 00:00:01 GMT")

"""Tests for `hostedge.wire.dns_cookie`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.dns_cookie import AHEAD, OLDEST, SERVER, Cookies

CLIENT = b"12345678"
ADDRESS = bytes((192, 0, 2, 1))


class CookieTests(SynchronousTestCase):
    """`Cookies`."""

    def setUp(self) -> None:
        self.now = 1_700_000_000.0
        self.cookies = Cookies(b"secret", lambda: self.now)

    def test_layout(self) -> None:
        """
        Version, three bytes reserved, the time, eight bytes that nobody else can know.
        """
        made = self.cookies.make(CLIENT, ADDRESS)
        self.assertEqual(len(made), SERVER)
        self.assertEqual(made[:8], b"\1\0\0\0" + int(self.now).to_bytes(4))
        self.assertNotEqual(made, Cookies(b"other", lambda: self.now).make(CLIENT, ADDRESS))

    def test_whoseItIs(self) -> None:
        """
        It is good for this client at this address only, on every edge that has the secret.
        """
        made = self.cookies.make(CLIENT, ADDRESS)
        self.assertTrue(Cookies(b"secret", lambda: self.now).check(CLIENT, made, ADDRESS))
        self.assertFalse(self.cookies.check(b"87654321", made, ADDRESS))
        self.assertFalse(self.cookies.check(CLIENT, made, bytes(4)))
        for other in (b"", made[:-1], made + b"x", b"\2" + made[1:], made[:-1] + b"\0"):
            self.assertFalse(self.cookies.check(CLIENT, other, ADDRESS))

    def test_age(self) -> None:
        """
        It is good for an hour, and by a clock that is somewhat behind; also when the seconds
        since 1970 no longer fit.
        """
        for begin in (self.now, 2.0**32 - 100):
            for age, good in ((0, True), (OLDEST, True), (OLDEST + 1, False)):
                self.now = begin
                made = self.cookies.make(CLIENT, ADDRESS)
                self.now = begin + age
                self.assertEqual(self.cookies.check(CLIENT, made, ADDRESS), good)
            for ahead, good in ((AHEAD, True), (AHEAD + 1, False)):
                self.now = begin
                made = self.cookies.make(CLIENT, ADDRESS)
                self.now = begin - ahead
                self.assertEqual(self.cookies.check(CLIENT, made, ADDRESS), good)

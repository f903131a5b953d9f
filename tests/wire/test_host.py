"""How `hostedge.wire.host` reads `Host`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import BadRequest
from hostedge.wire.host import request_host, split_authority
from tests.wire.causes import cause_of


class HostTests(SynchronousTestCase):
    """One host, in normal form."""

    def test_normalForm(self) -> None:
        """
        Case, the trailing dot and the port do not count.
        """
        for value, name in (
            (b"a.example", "a.example"),
            (b"A.Example.", "a.example"),
            (b"a.example:8443", "a.example"),
            (b"a.example:", "a.example"),
            (b"127.0.0.1:80", "127.0.0.1"),
            (b"[::1]:80", "[::1]"),
            (b"[0:0::0:1]", "[::1]"),
            (b"xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ):
            self.assertEqual(request_host([value]), name, value)

    def test_ports(self) -> None:
        """
        The port is there for those who compare.
        """
        self.assertEqual(split_authority(b"a:81"), ("a", 81))
        self.assertEqual(split_authority(b"a:"), ("a", None))
        self.assertEqual(split_authority(b"a"), ("a", None))

    def test_exactlyOne(self) -> None:
        """
        None, an empty one, and two of them are refused (D1).
        """
        for values in ([], [b""], [b"a", b"b"], [b"a", b"a"]):
            self.assertEqual(cause_of(request_host, values), "bad_host", values)

    def test_refused(self) -> None:
        """
        What is no host name is refused (D2).
        """
        for value in (
            b"a/x", b"a@b", b"a, b", b"a b", b"a:80x", b"a:99999", b"a:0", b"[::1", b"[1]",
            b"..", b".a", b"a..b", b"a" * 64, b"a." * 127 + b"aa", b"\xff", b"a\n", b"a:+1",
            b"xn--a",
        ):  # fmt: skip
            self.assertEqual(cause_of(request_host, [value]), "bad_host", value)

    @given(st.binary(max_size=40))
    def test_nothingElseIsRaised(self, value: bytes) -> None:
        """
        Any bytes are a host in normal form or refused.
        """
        try:
            name = request_host([value])
        except BadRequest:
            return
        self.assertEqual(request_host([name.encode("ascii")]), name)

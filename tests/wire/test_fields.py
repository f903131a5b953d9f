"""What `hostedge.wire.fields` drops, keeps and refuses."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.fields import (
    HOP_BY_HOP,
    connection_options,
    is_field_value,
    is_token,
    request_fields,
    response_fields,
    travels_back,
    travels_on,
)
from tests.wire.causes import cause_of


class GrammarTests(SynchronousTestCase):
    """Names and values."""

    def test_tokens(self) -> None:
        """
        A field's name is a token: no blank, no colon, not empty.
        """
        for name in (b"Host", b"x-1", b"!#$%&'*+-.^_`|~"):
            self.assertTrue(is_token(name), name)
        for name in (b"", b"a b", b"a:", b"a\t", b"G(E)T", b"\xe9", b"a\n"):
            self.assertFalse(is_token(name), name)

    def test_values(self) -> None:
        """
        A value has no control character but HTAB, and no blank at its ends.
        """
        for value in (b"", b"a", b"a\tb c", b"caf\xe9", b'"q"'):
            self.assertTrue(is_field_value(value), value)
        for value in (b"a\rb", b"a\n", b"\0", b"a\x01b", b"a\x7fb", b" a", b"a ", b"\t"):
            self.assertFalse(is_field_value(value), value)


class ConnectionTests(SynchronousTestCase):
    """`Connection` in all its lines."""

    def test_everyLineAndComma(self) -> None:
        """
        All lines count, with and without blanks, in any case.
        """
        self.assertEqual(
            connection_options([b"close,X-A", b" x-b ,, keep-alive"]),
            {b"close", b"x-a", b"x-b", b"keep-alive"},
        )

    def test_protectedNamesStay(self) -> None:
        """
        `Connection` cannot make us drop what apps rest on (D8).
        """
        value = b"close, X-Forwarded-For, Authorization, Cookie, Host, X-Real-IP, X-Request-Id"
        self.assertEqual(connection_options([value]), {b"close"})

    def test_notTokens(self) -> None:
        """
        Something else than a list of tokens is refused.
        """
        for value in (b"a b", b"close;x", b'"close"', b"\xff"):
            self.assertEqual(cause_of(connection_options, [value]), "bad_request", value)

    def test_none(self) -> None:
        """
        Without the field there are no options.
        """
        self.assertEqual(connection_options([]), frozenset())


class TravelTests(SynchronousTestCase):
    """What reaches the other side."""

    def test_clientsClaimsAreDropped(self) -> None:
        """
        No name by which a client could pose as a proxy gets through, underscores included (D9).
        """
        claims = b"""
            X-Forwarded-For X-Real-IP Forwarded X-Forwarded-Host X-Forwarded-Proto
            X-Forwarded-Port X-Forwarded-Prefix X-Original-URL X-Rewrite-URL True-Client-IP
            CF-Connecting-IP SSL-Client-Verify X-SSL-Cert X-Accel-Redirect X-Sendfile Proxy
            X_Forwarded_For x_real_ip X-Hostedge-App Surrogate-Capability X.Forwarded.For
            X-Request-ID HTTP2-Settings Upgrade TE Trailer Transfer-Encoding Content-Length
            """.split()
        for name in claims:
            self.assertFalse(travels_on(name), name)

    def test_ordinaryFieldsTravel(self) -> None:
        """
        Everything else does, in order and spelling; the list that came in is not changed.
        """
        fields = [(b"Host", b"a"), (b"Cookie", b"c"), (b"X-Real-Ip", b"1"), (b"aCCept", b"*/*")]
        before = list(fields)
        self.assertEqual(
            request_fields(fields, frozenset()),
            [(b"Host", b"a"), (b"Cookie", b"c"), (b"aCCept", b"*/*")],
        )
        self.assertEqual(fields, before)

    def test_namedByConnection(self) -> None:
        """
        A field named by `Connection` stays on this hop, in both directions.
        """
        options = connection_options([b"close, x-hop"])
        fields = [(b"X-Hop", b"1"), (b"Via", b"1.1 a")]
        self.assertEqual(request_fields(fields, options), [(b"Via", b"1.1 a")])
        self.assertEqual(response_fields(fields, options), [(b"Via", b"1.1 a")])

    def test_answersFields(self) -> None:
        """
        Framing, `Server` and `Alt-Svc` of an answer are ours; cookies travel.
        """
        for name in (b"Server", b"Alt-Svc", b"content-length", b"Transfer-Encoding"):
            self.assertFalse(travels_back(name), name)
        for name in (b"Set-Cookie", b"X_Odd", b"Date"):
            self.assertTrue(travels_back(name), name)

    @given(st.lists(st.tuples(st.sampled_from(sorted(HOP_BY_HOP) + [b"a", b"b"]), st.binary())))
    def test_hopByHopNeverTravels(self, fields: list[tuple[bytes, bytes]]) -> None:
        """
        What leaves holds no hop-by-hop field, and is a part of what came.
        """
        for leave in (request_fields, response_fields):
            left = leave(fields, connection_options([b"a"]))
            self.assertEqual(left, [item for item in fields if item[0] == b"b"])

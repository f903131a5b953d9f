"""What `hostedge.wire.fields` drops, keeps and refuses."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.wire.fields import (
    HOP_BY_HOP,
    connection_options,
    goes_in_circles,
    is_mistakable,
    is_plain,
    is_token,
    travels_back,
    travels_on,
)


class GrammarTests(SynchronousTestCase):
    """Names."""

    def test_tokens(self) -> None:
        """
        A field's name is a token: no blank, no colon, not empty.
        """
        for name in (b"Host", b"x-1", b"!#$%&'*+-.^_`|~"):
            self.assertTrue(is_token(name), name)
        for name in (b"", b"a b", b"a:", b"a\t", b"G(E)T", b"\xe9", b"a\n"):
            self.assertFalse(is_token(name), name)

    def test_mistakable(self) -> None:
        """
        A name that reads like one of ours with `-` for all else could be taken for it.
        """
        for name in (
            *(b"X_Forwarded_For", b"x-real.ip", b"SSL_Client_Verify", b"X_Hostedge_X", b"proxy"),
            *(b"Content_Length", b"transfer_encoding", b"X_HTTP_Method_Override", b"Set_Cookie"),
        ):
            self.assertTrue(is_mistakable(name), name)
        for name in (b"X_Token", b"api.key", b"Host_", b"_", b"X__Forwarded_For", b"hostedge_x"):
            self.assertFalse(is_mistakable(name) or is_plain(name), name)


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

    def test_protectedOfAnswers(self) -> None:
        """
        Nor what a browser's safety rests on, in an answer.
        """
        value = b"close, Set-Cookie, Strict-Transport-Security, Content-Encoding, X-Hop"
        self.assertEqual(connection_options([value]), {b"close", b"x-hop"})

    def test_notTokens(self) -> None:
        """
        What is no token names no field, and harms no other.
        """
        value = b'a b, close;x, "q", \xff, , x-a'
        self.assertEqual(connection_options([value]), {b"x-a"})

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
            X-HTTP-Method X-HTTP-Method-Override X-Method-Override
            X-Request-ID HTTP2-Settings Upgrade TE Trailer Transfer-Encoding Content-Length
            """.split()
        for name in claims:
            self.assertFalse(travels_on(name), name)

    def test_ordinaryFieldsTravel(self) -> None:
        """
        Everything else does, whatever its spelling.
        """
        for name in (b"Host", b"Cookie", b"aCCept", b"AUTHORIZATION", b"x-csrftoken", b"Via"):
            self.assertTrue(travels_on(name), name)

    def test_answersFields(self) -> None:
        """
        Framing, `Server`, `Alt-Svc` and what only we say are ours; cookies travel.
        """
        ours = (b"X-Hostedge-Reason", b"x-hostedge-anything")
        for name in (b"Server", b"Alt-Svc", b"content-length", b"Transfer-Encoding", *ours):
            self.assertFalse(travels_back(name), name)
        for name in (b"Set-Cookie", b"X_Odd", b"Date"):
            self.assertTrue(travels_back(name), name)

    def test_hopByHopTravelsNeitherWay(self) -> None:
        """
        What belongs to one hop stays there, in both directions and any spelling.
        """
        for name in HOP_BY_HOP:
            for spelling in (name, name.upper(), name.title()):
                self.assertFalse(travels_on(spelling), spelling)
                self.assertFalse(travels_back(spelling), spelling)

    @given(st.binary(max_size=20))
    def test_onlyPlainNamesReachApps(self, name: bytes) -> None:
        """
        A name that an app could take for another one does not travel.
        """
        if travels_on(name):
            self.assertTrue(name.replace(b"-", b"a").isalnum() and name.isascii(), name)

    def test_circles(self) -> None:
        """
        Three passes are too many, by either field; comments and others' names count for nothing.
        """
        for values, circles in (
            ([b"1.1 hostedge, 1.1 hostedge"], False),
            ([b"1.1 hostedge, 1.1 hostedge", b"2 hostedge (here)"], True),
            ([b"1.1 hostedge,1.0 hostedge,HTTP/2\thostedge"], True),
            ([b"1.1 nginx (hostedge, hostedge, hostedge)"], False),
            ([b"1.1 hostedge-2, 1.1 hostedge.example, 1.1 myhostedge"], False),
            ([b""], False),
            ([b"hostedge", b"hostedge"], False),
            ([b"hostedge", b"other.example", b"hostedge;a=b, hostedge"], True),
            ([b"hostedge.example, hostedge2, hostedge:80, x;y=hostedge"], False),
            # two passes, told twice
            ([b"1.1 hostedge, 1.1 hostedge", b"hostedge, hostedge"], False),
        ):
            self.assertEqual(goes_in_circles(values), circles, values)

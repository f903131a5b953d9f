"""How `hostedge.wire.target` reads targets."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import BadRequest
from hostedge.wire.target import onward_target, origin_form, split_target
from tests.wire.causes import cause_of

READ = [
    (b"/", b"/", None),
    (b"/?", b"/", b""),
    (b"/a/b?x=1?2", b"/a/b", b"x=1?2"),
    (b"/%61dmin", b"/admin", None),
    (b"/a%2fb", b"/a%2Fb", None),
    (b"/a%2Fb%5c%3b%25", b"/a%2Fb%5C%3B%25", None),
    (b"/a%252e%252e", b"/a%252e%252e", None),
    (b"/a/./b", b"/a/b", None),
    (b"/a/../b", b"/b", None),
    (b"/a/%2e%2E/b", b"/b", None),
    (b"/a/b/.", b"/a/b/", None),
    (b"/a/b/..", b"/a/", None),
    (b"/a/..", b"/", None),
    (b"/.", b"/", None),
    (b"/.well-known/x", b"/.well-known/x", None),
    (b"/...", b"/...", None),
    (b"//etc", b"//etc", None),
    (b"/a//b", b"/a//b", None),
    (b"/a;x=1/b", b"/a;x=1/b", None),
    (b'/"<>^`{|}', b'/"<>^`{|}', None),
    (b"/?a=%zz&b=\\", b"/", b"a=%zz&b=\\"),
    (b"/a?x=/../..", b"/a", b"x=/../.."),
    (b"/%7Ea%C3%a4", b"/~a%C3%A4", None),
]

REFUSED = [
    b"", b"a", b"a:80", b"*", b"http://a/", b"/..", b"/../etc/passwd", b"/a/../../etc/passwd",
    b"/a/%2e%2e/%2e%2e/", b"/a/.%2E/../", b"/%00", b"/a%00b", b"/a\\b", b"/a b", b"/a\tb",
    b"/\x7f", b"/\x00", b"/a\n", b"/#frag", b"/a?b#c", b"/caf\xe9", b"/?\xe9", b"/%", b"/%4",
    b"/%zz", b"/a?b c",
]  # fmt: skip


class SplitTests(SynchronousTestCase):
    """Path and query."""

    def test_read(self) -> None:
        """
        Only unreserved characters are decoded; dot segments go; nothing else changes.
        """
        for target, path, query in READ:
            self.assertEqual(split_target(target), (path, query), target)

    def test_refused(self) -> None:
        """
        What could be read in two ways, or climbs above the root, is refused (D6, C18).
        """
        for target in REFUSED:
            self.assertEqual(cause_of(split_target, target), "bad_path", target)

    def test_longTargetsAreCheap(self) -> None:
        """
        The longest target is judged at once, wherever it is wrong.
        """
        for piece in (b"a", b"/", b"/.", b"%61", b"a%2F", b"/../a/", b"?"):
            long = b"/" + piece * (8000 // len(piece))
            for end in (b"", b"#", b"%", b"?", b"?#", b"/."):
                cause_of(split_target, long + end)

    @given(st.lists(st.sampled_from([b"/", b".", b"%2e", b"a", b"%41", b"%2f", b"~"])))
    def test_matchFormIsFinal(self, pieces: list[bytes]) -> None:
        """
        The match form of a match form is itself, and it has no dot segments.
        """
        try:
            path, query = split_target(b"/" + b"".join(pieces))
        except BadRequest:
            return
        self.assertEqual(split_target(path), (path, None))
        self.assertIsNone(query)
        self.assertFalse({b".", b".."} & set(path.split(b"/")))

    @given(st.binary(max_size=20))
    def test_nothingElseIsRaised(self, tail: bytes) -> None:
        """
        Any bytes either have a match form or are refused.
        """
        try:
            path, _query = split_target(b"/" + tail)
        except BadRequest:
            return
        self.assertTrue(path.startswith(b"/"))
        self.assertTrue(all(32 < byte < 127 for byte in path))


class OnwardTests(SynchronousTestCase):
    """What an upstream gets."""

    def test_untouchedWithoutDotSegments(self) -> None:
        """
        The bytes the client sent go on, escapes and all.
        """
        for target in (b"/a%2fb?x", b"/%61?x=%61", b"/", b"/?", b"/a/b.c?d=/../"):
            self.assertEqual(onward_target(target, *split_target(target)), target)

    def test_dotSegmentsAreResolvedHere(self) -> None:
        """
        A path with dot segments goes on in the form that was judged.
        """
        for target, onward in (
            (b"/a/../b?x", b"/b?x"),
            (b"/a/%2e%2e/%61?", b"/a?"),
            (b"/a/.", b"/a/"),
            (b"/a/%2e?/..", b"/a/?/.."),
        ):
            self.assertEqual(onward_target(target, *split_target(target)), onward)

    @given(st.lists(st.sampled_from([b"/", b".", b"%2E", b"a", b"%61", b"?"])))
    def test_upstreamSeesWhatWasJudged(self, pieces: list[bytes]) -> None:
        """
        Read again, what goes on has the same path and query as what came, and no dot segment.
        """
        target = b"/" + b"".join(pieces)
        try:
            judged = split_target(target)
        except BadRequest:
            return
        onward = onward_target(target, *judged)
        self.assertEqual(split_target(onward), judged)
        segments = onward.split(b"?")[0].replace(b"%2E", b".").split(b"/")
        self.assertFalse({b".", b".."} & set(segments))


class FormTests(SynchronousTestCase):
    """Absolute-form and `*`."""

    def test_accepted(self) -> None:
        """
        A URL that says what the connection and `Host` say is the path in it.
        """
        for method, target, wanted in (
            (b"GET", b"/a?b", b"/a?b"),
            (b"GET", b"http://a.example/x?y", b"/x?y"),
            (b"GET", b"HTTP://A.example:80/x", b"/x"),
            (b"GET", b"http://a.example", b"/"),
            (b"GET", b"http://a.example?q", b"/?q"),
            (b"OPTIONS", b"*", b"*"),
            (b"OPTIONS", b"http://a.example", b"*"),
        ):
            self.assertEqual(origin_form(method, target, b"http", b"a.example"), wanted, target)

    def test_refused(self) -> None:
        """
        Another host or scheme, authority-form, and `*` for GET are refused (D3, D4).
        """
        for target, cause in (
            (b"http://evil.example/", "bad_host"),
            (b"https://a.example/", "bad_host"),
            (b"http://a.example:81/", "bad_host"),
            (b"http://u@a.example/", "bad_host"),
            (b"http:///x", "bad_path"),
            (b"http://a.example#f", "bad_path"),
            (b"ftp://a.example/", "bad_path"),
            (b"a.example:80", "bad_path"),
            (b"*", "bad_path"),
            (b"", "bad_path"),
            (b"x", "bad_path"),
        ):
            found = cause_of(origin_form, b"GET", target, b"http", b"a.example")
            self.assertEqual(found, cause, target)

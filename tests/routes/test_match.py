"""The tree of `hostedge.routes.match`."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.routes.match import Node, is_under, match, plant
from tests.routes.kinds import Saying

SEGMENTS = st.sampled_from([b"", b"a", b"b", b"ab", b"%2F"])
PREFIXES = st.lists(SEGMENTS.filter(bool), max_size=3).map(lambda s: b"".join(b"/" + x for x in s))
PATHS = st.lists(SEGMENTS, min_size=1, max_size=5).map(lambda s: b"".join(b"/" + x for x in s))


def tree(*prefixes: bytes) -> Node:
    root = Node()
    for prefix in prefixes:
        plant(root, prefix, Saying("", prefix))
    return root


def winner(root: Node, path: bytes) -> bytes | None:
    node = match(root, path)
    return None if node is None else node.prefix


class MatchTests(SynchronousTestCase):
    """Longest prefix, on segment borders."""

    def test_table(self) -> None:
        """
        A prefix ends where a segment ends; the longest wins; case counts.
        """
        root = tree(b"", b"/api", b"/api/v1/deep", b"/a")
        for path, prefix in (
            (b"/", b""),
            (b"/apix", b""),
            (b"/api", b"/api"),
            (b"/api/", b"/api"),
            (b"/api/v1", b"/api"),
            (b"/api/v1/deeper", b"/api"),
            (b"/api/v1/deep", b"/api/v1/deep"),
            (b"/api/v1/deep/x/y", b"/api/v1/deep"),
            (b"/API", b""),
            (b"//api", b""),
            (b"/api//v1/deep", b"/api"),
            (b"/api%2Fv1", b""),
        ):
            self.assertEqual(winner(root, path), prefix, path)

    def test_noMapping(self) -> None:
        """
        Without a root mapping there may be none.
        """
        root = tree(b"/a/b")
        self.assertIsNone(match(root, b"/"))
        self.assertIsNone(match(root, b"/a"))
        self.assertIsNone(match(root, b"/a/c"))

    def test_firstOfTwo(self) -> None:
        """
        Of two mappings for one prefix the first stays.
        """
        root = tree(b"/a")
        before = root.children[b"a"].leaf
        plant(root, b"/a", Saying("late", b"/a"))
        self.assertIs(root.children[b"a"].leaf, before)

    @given(st.lists(PREFIXES, max_size=8), PATHS)
    def test_sameAsTryingAll(self, prefixes: list[bytes], path: bytes) -> None:
        """
        The tree finds what trying every prefix would find.
        """
        fitting = [prefix for prefix in prefixes if is_under(path, prefix)]
        wanted = max(fitting, key=len) if fitting else None
        self.assertEqual(winner(tree(*prefixes), path), wanted)

    def test_costOfManyMappings(self) -> None:
        """
        A path is looked at no deeper than the mappings go.
        """
        root = tree(*(b"/m%d" % n for n in range(1000)))
        self.assertEqual(winner(root, b"/m7" + b"/x" * 4000), b"/m7")

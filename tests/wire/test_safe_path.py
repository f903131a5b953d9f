"""Which files `hostedge.wire.safe_path` lets a path mean."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import BadRequest
from hostedge.wire.safe_path import file_name
from hostedge.wire.target import split_target


class FileNameTests(SynchronousTestCase):
    """From the rest of a path to a name."""

    def test_table(self) -> None:
        """
        Escapes are decoded once; dot-files and escaped slashes are no files.
        """
        for rest, name in (
            (b"", b""),
            (b"/", b""),
            (b"/a/b.css", b"a/b.css"),
            (b"/a/", b"a/"),
            (b"//etc/passwd", b"etc/passwd"),
            (b"/a%20b%C3%A4", b"a b\xc3\xa4"),
            (b"/%5C", b"\\"),
            (b"/a%252e%252e", b"a%2e%2e"),
            (b"/..;/x", None),
            (b"/a%2F..%2Fb", None),
            (b"/a%2fb", None),
            (b"/..%5C", None),
            (b"/.git/config", None),
            (b"/a/.env", None),
            (b"/.well-known/acme-challenge/x", b".well-known/acme-challenge/x"),
            (b"/.well-known/.x", None),
            (b"/.well-knownx", None),
            (b"/a.b/c", b"a.b/c"),
            (b"/%00", None),
            (b"/" + b"a" * 4096, None),
        ):
            self.assertEqual(file_name(rest), name, rest)

    @given(st.lists(st.sampled_from([b"/", b".", b"%2e", b"%2F", b"%5c", b"a", b"%00", b"%25"])))
    def test_neverUp(self, pieces: list[bytes]) -> None:
        """
        No target leads to a name that begins with a slash or has `..` in it.
        """
        try:
            path, _query = split_target(b"/" + b"".join(pieces))
        except BadRequest:
            return
        name = file_name(path)
        if name is not None:
            self.assertFalse(name.startswith(b"/"))
            self.assertNotIn(b"..", name.split(b"/"))
            self.assertNotIn(b"\0", name)

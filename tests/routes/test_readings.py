"""What `hostedge.routes.readings` says that a path may be read as."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import BadRequest
from hostedge.routes.readings import has_one_reading, merged, readings
from hostedge.wire.target import split_target

PATHS = st.lists(
    st.sampled_from(
        [b"/", b"//", b"a", b"B", b"..", b";x", b"%2F", b"%5C", b"%252F", b"%2e", b"%C3%A9", b"."]
    ),
    max_size=12,
).map(lambda parts: b"/" + b"".join(parts))


class ReadingsTests(SynchronousTestCase):
    """One path, several servers."""

    def test_readings(self) -> None:
        """Each way of reading is there, and all of them together."""
        for path in (
            *(b"/admin%2Fusers", b"/admin;x/users", b"//admin/users", b"/ADMIN/users"),
            *(b"/x%2F..%2Fadmin/users", b"/..;/admin/users", b"/%252e%252e/admin/users"),
            *(b"/x%5C..%5Cadmin/users", b"/x%252F..%252fadmin/users", b"/a/..;//Admin%2Fusers"),
        ):
            self.assertFalse(has_one_reading(path), path)
            self.assertIn(b"/admin/users", readings(path), path)

    def test_plain(self) -> None:
        """Nearly every path has one reading."""
        for path in (b"/", b"/a/b.c", b"/a-b_c~d/1=2&3,4+5@6:7", b"/a/", b"/.well-known/x"):
            self.assertTrue(has_one_reading(path), path)
            self.assertEqual(readings(path), [path])

    def test_climbing(self) -> None:
        """What would climb above the root ends there."""
        self.assertIn(b"/etc", readings(b"/a%2F..%2F..%2F..%2Fetc"))
        self.assertIn(b"/a/", readings(b"/a/b%2F.."))

    def test_merged(self) -> None:
        """Several slashes are one."""
        self.assertEqual(merged(b"//a///b//"), b"/a/b/")

    @given(PATHS)
    def test_bounded(self, path: bytes) -> None:
        """There are at most twelve, the path is the first, and whoever has one has one."""
        try:
            path, _ = split_target(path)
        except BadRequest:
            return
        found = readings(path)
        self.assertEqual(found[0], path)
        self.assertLessEqual(len(found), 12)
        self.assertEqual(len(found), len({*found}))
        if has_one_reading(path):
            self.assertEqual(found, [path])

"""Tests for `hostedge.wire.dns_name`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.routes.hostname import ordered
from hostedge.wire.dns_name import (
    is_at_or_below,
    labels_in_common,
    name_of,
    offsets_of,
    wire_name,
)

_labels = st.lists(st.from_regex(r"[a-z0-9_-]{1,8}", fullmatch=True), min_size=1, max_size=5)


class NameTests(SynchronousTestCase):
    """Names on the wire."""

    @given(_labels)
    def test_keyIsTheStores(self, labels: list[str]) -> None:
        """
        A name has the key under which the store has it.
        """
        text = ".".join(labels)
        key = name_of(wire_name(text)).key()
        self.assertEqual((key.text, key.whole), (ordered(text), True))
        self.assertEqual(key.labels, labels[::-1])

    def test_labelsThatNoHostHas(self) -> None:
        """
        The key ends above the first label that the store cannot have; nothing stands for it.
        """
        for label in (b"a.b", b"a!b", b"\0", b" ", b"\xff", b"A", b"\x7f"):
            wire = b"\1x" + bytes((len(label),)) + label + b"\7example\3org\0"
            key = name_of(wire).key()
            self.assertEqual((key.text, key.labels, key.whole), ("org!example", KEPT, False))
        self.assertEqual(name_of(b"\1!\0").key().labels, [])

    def test_root(self) -> None:
        """
        The root has no labels.
        """
        self.assertEqual((wire_name("."), offsets_of(b"\0")), (b"\0", []))
        self.assertEqual(name_of(b"\0").key().labels, [])

    def test_wire(self) -> None:
        """
        A final dot makes no difference.
        """
        self.assertEqual(wire_name("www.example.org"), b"\3www\7example\3org\0")
        self.assertEqual(wire_name("www.example.org."), wire_name("www.example.org"))
        self.assertEqual(offsets_of(wire_name("www.example.org")), [0, 4, 12])

    def test_below(self) -> None:
        """
        A name is below another one on the borders of labels only.
        """
        apex = wire_name("org")
        for below in (b"\3org\0", b"\1a\3org\0"):
            self.assertTrue(is_at_or_below(below, apex))
        for other in (b"\0", b"\4xorg\0", b"\5x\3org\0", b"\3net\0"):
            self.assertFalse(is_at_or_below(other, apex), other)

    def test_inCommon(self) -> None:
        """
        Labels are compared whole, from the root.
        """
        labels = ["org", "example", "www"]
        for key, count in (
            ("", 0),
            ("\x7f", 0),
            ("org", 1),
            ("org!examples!www", 1),
            ("org!example!www!a", 3),
            ("org!example!mail", 2),
        ):
            self.assertEqual(labels_in_common(labels, key), count)


KEPT = ["org", "example"]

"""
Tests for `hostedge.model.documents`.
"""

from __future__ import annotations

import io

import yaml
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.errors import ConfigError
from hostedge.model.documents import MAX_DEPTH, read_documents

_scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
_values = st.recursive(
    _scalars, lambda one: st.lists(one) | st.dictionaries(st.text(), one), max_leaves=8
)


class DocumentsTests(SynchronousTestCase):
    """`read_documents`."""

    def read(self, text: str | bytes) -> list[object]:
        return list(read_documents(text, "site.yaml"))

    def refused(self, text: str | bytes) -> str:
        return str(self.assertRaises(ConfigError, self.read, text))

    def test_plainValues(self) -> None:
        """
        Scalars have the types that YAML gives them; a date is the text that was written.
        """
        text = "{a: 1, b: 1.5, c: yes, d: ~, e: '1', f: 2024-01-01, g: [x, {y: z}]}"
        self.assertEqual(
            self.read(text),
            [
                {
                    "a": 1,
                    "b": 1.5,
                    "c": True,
                    "d": None,
                    "e": "1",
                    "f": "2024-01-01",
                    "g": ["x", {"y": "z"}],
                }
            ],
        )

    @given(_values)
    def test_whatYamlWrites(self, value: object) -> None:
        """
        Whatever PyYAML writes is read back.
        """
        text = yaml.safe_dump({"x": value})
        self.assertEqual(self.read(text), [{"x": value}])

    def test_streamed(self) -> None:
        """
        Documents come one by one, before a later one turns out to be wrong.
        """
        documents = read_documents(io.BytesIO(b"a: 1\n---\n---\nb: 2\n--- [\n"), "site.yaml")
        self.assertEqual(next(documents), {"a": 1})
        self.assertEqual(next(documents), {"b": 2})
        self.assertRaises(ConfigError, next, documents)

    def test_errorsNameTheLine(self) -> None:
        """
        What is no YAML, or more than plain values, is refused with its line.
        """
        for text, wanted in (
            ("a: 1\nb: [", "site.yaml:3: is not YAML"),
            ("a: 1\nb: 2\na: 3", "site.yaml:3: a stands here twice"),
            ("a: 1\n1: b", "site.yaml:2: want a text as key: put 1 in quotes"),
            ("a: 1\n? [b]\n: c", "site.yaml:2: want a text as key"),
            ("a:\n  !!python/object:os.system x", "site.yaml:2: want no tags"),
            ("a: !!set {x}", "site.yaml:1: want no tags"),
            ("a: !!omap [x: 1]", "site.yaml:1: want no tags"),
            ("a: !!int x", "site.yaml:1: 'x' does not fit its tag"),
            ("a: &x {b: 1}\nc:\n  <<: *x", "site.yaml:3: want no tags and no merge keys"),
            ("a: *x", "site.yaml:1: want a value marked &x above"),
        ):
            self.assertIn(wanted, self.refused(text))

    def test_notText(self) -> None:
        """
        Bytes that are no UTF-8, and control characters, are refused.
        """
        for data in (b"a: \xff\xfe", b"a: \x00", b"\x80"):
            self.assertIn("is not YAML", self.refused(data))

    def test_aliases(self) -> None:
        """
        An alias stands for its value; aliases of aliases do not grow without end.
        """
        self.assertEqual(self.read("a: &x [1]\nb: *x"), [{"a": [1], "b": [1]}])
        lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
        lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
        self.assertIn("want fewer values", self.refused("\n".join(lines)))
        self.assertIn("site.yaml:1: want a value marked &x above", self.refused("a: &x [*x]"))

    def test_deep(self) -> None:
        """
        Depth is bounded.
        """
        self.assertIn("want fewer", self.refused("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2)))
        self.assertIn("want fewer", self.refused("[" * 100_000))
        self.assertIn("want fewer", self.refused("- " * 100_000))

"""Tests of `hostedge.cli.stored`; the commands as a whole are in `tests.live.test_api`."""

from __future__ import annotations

from io import StringIO
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.stored import write_document
from hostedge.model.documents import read_documents

texts = st.text(st.characters(exclude_categories=["C"], include_characters="\n\t"), max_size=40)
scalars = texts | st.booleans() | st.integers(-(10**9), 10**9) | st.floats(0, 10**6) | st.none()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=10,
)


class WriteTests(SynchronousTestCase):
    """What export prints is what apply reads."""

    @given(st.lists(st.dictionaries(texts, values, min_size=1, max_size=3), max_size=3))
    def test_roundTrip(self, documents: list[dict[str, Any]]) -> None:
        """
        Whatever texts look like, also `yes`, `017` and `2026-01-01`, they come back as texts.
        """
        stream = StringIO()
        for document in documents:
            write_document(document, stream)
        self.assertEqual(list(read_documents(stream.getvalue(), "x")), documents)

    def test_readable(self) -> None:
        """
        Keys keep their order, and a certificate stays readable.
        """
        stream = StringIO()
        write_document({"name": "own", "chain": "-----BEGIN\nabc\n", "also": ["ä", "017"]}, stream)
        self.assertEqual(
            stream.getvalue(),
            "---\nname: own\nchain: |\n  -----BEGIN\n  abc\nalso:\n- ä\n- '017'\n",
        )

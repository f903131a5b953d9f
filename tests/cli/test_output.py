"""Tests of `hostedge.cli.output`."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from hostedge.cli.output import as_json


class OutputTests(SynchronousTestCase):
    """What `--json` prints."""

    @given(st.text() | st.text(st.characters(max_codepoint=0xA0)))
    def test_nothingSteers(self, text: str) -> None:
        """
        It says the same, and no control character is in it, also none of the second row.
        """
        line = as_json({text: [text]})
        self.assertEqual(json.loads(line), {text: [text]})
        self.assertFalse([c for c in line if ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0])

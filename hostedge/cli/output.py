"""
JSON on standard output, for `--json`.

In:  the words of the command line, with what the API has answered.
Out: one line a value; whoever reads it as JSON reads what was there.
"""

from __future__ import annotations

import json

# what JSON lets stand as it is, and a terminal may take for the beginning of a sequence
_STEERING = {code: f"\\u{code:04x}" for code in range(0x7F, 0xA0)}


def as_json(value: object) -> str:
    """One line. What customers and their daemons have said in it moves no cursor."""
    return json.dumps(value, ensure_ascii=False).translate(_STEERING)

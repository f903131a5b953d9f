"""
Lists that are told in pieces, as a message between roles holds only so much.

In:  what an edge is asked for, one thing after the other.
Out: a JSON list of the first of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

PAGE = 60_000  # bytes: a value of AMP has 64 KiB


def page_of(told: Iterable[dict[str, Any]]) -> bytes:
    """As many as a message holds, and one at least; an empty list: there is none."""
    texts: list[str] = []
    room = PAGE
    for each in told:
        text = json.dumps(each)
        room -= len(text) + 2
        if room < 0 and texts:
            break
        texts.append(text)
    return f"[{', '.join(texts)}]".encode()

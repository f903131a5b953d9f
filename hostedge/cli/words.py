"""
The words that site files may use on this node.

In:  the words of the command line that read or write site files.
Out: `words`; the node has the same ones from `compose`.
"""

from __future__ import annotations

from functools import cache

from hostedge.mappings.known import KINDS as MAPPINGS
from hostedge.model.parse import Words
from hostedge.runtimes.known import KINDS as RUNTIMES


@cache
def words() -> Words:
    """Made once, when the first site file is read."""
    return Words(MAPPINGS, RUNTIMES)

"""
Whether an edge should leave the next connection to the others.

In:  `net.listener` asks before it accepts.
Out: yes or no; a skipped turn is only a pause, so a lone willing edge still serves everybody.
"""

from __future__ import annotations

# an edge above this multiple of the mean steps back
SHARE = 1.2
# below this many connections nobody is overloaded and latency counts more than balance
FLOOR = 8


def should_skip(mine: int, counts: list[int]) -> bool:
    """`counts` are the connections of every living edge, this one's among them."""
    if len(counts) < 2 or mine < FLOOR:
        return False
    return mine * len(counts) > SHARE * sum(counts)

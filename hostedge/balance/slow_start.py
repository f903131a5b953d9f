"""
How many requests a daemon that has just come up gets at once: few, then more.

In:  `http.app_backend`, while a new generation is warming up.
Out: a number of places.

What was started a moment ago has yet to compile, connect and fill its caches: all who have waited
for it at once would be the slowest way through. Each response makes room for one more. So does
time: responses that last, as server-sent events do, say nothing about how warm it is.
"""

from __future__ import annotations

# requests at once to begin with, over all edges, and so many more with each second
FIRST = 4


def window(capacity: int, served: int, age: float, edges: int) -> int:
    """
    Places on one of so many edges, at most `capacity`.

    `served` responses of the generation were complete on this edge; it answers for `age` seconds.
    """
    first = -(-FIRST // edges)
    return min(capacity, first + served + int(age) * first)

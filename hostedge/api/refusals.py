"""
Requests that the node has refused, with the place at which those broke that could not be read.

In:  `api.app`, for a call that asks for them.
Out: what the edges tell, and `offset`: the first byte that no request could have there.

It is looked for here, on what is kept, and not when a request is refused: a flood of bad ones
shall not cost more than others do.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from hostedge.api.calls import Refused
from hostedge.api.parts import Node
from hostedge.http.h1_reader import RequestReader
from hostedge.observe.refused import REASONS


async def find(node: Node, cause: str, site: str, id: str) -> list[dict[str, Any]]:
    """
    The newest first.

    Raises:
        Refused: nothing is refused for such a cause.
    """
    if cause and cause not in REASONS:
        raise Refused(400, "cause", f"is not known here; known: {', '.join(REASONS)}")
    found = await node.refused(cause, site.lower().rstrip("."), id)
    return [{**each, "offset": _offset(each)} for each in found]


def _offset(refused: dict[str, Any]) -> int | None:
    if not refused["verbatim"]:
        return None
    return place_of_fault(refused["request"].encode("latin-1"))


def place_of_fault(request: bytes) -> int | None:
    """The first byte with which it is no request of HTTP/1 any more; None: it has none."""

    def breaks(size: int) -> bool:
        reader = RequestReader()
        reader.feed(request[:size])
        return bool(reader.events) and type(reader.events[-1]) is str

    place = bisect_left(range(len(request) + 1), True, key=breaks)
    return place - 1 if place <= len(request) else None

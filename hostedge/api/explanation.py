"""
What an edge would do with a request, or would have done, and who has changed last what decided.

In:  `api.app` for `GET /v1/explain`, the manhole for its `explain`.
Out: the same answer to both.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from hostedge.api import history
from hostedge.api.calls import Refused, asked
from hostedge.api.parts import History, InThread, Node

LONGEST = 20  # letters of a method


async def explain(
    node: Node, past: History, reading: InThread, url: str, method: str, at: str
) -> dict[str, Any]:
    """
    `at` is a revision or a time; empty: now.

    Raises:
        Refused: one of these is none, or no edge answers.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        raise Refused(400, "url", f"want http(s)://name/path, not {url!r}")
    if not method.isascii() or not method.isalpha() or len(method) > LONGEST:
        raise Refused(400, "method", f"want a method of HTTP, not {method!r}")
    revision = await reading(history.read_past, past, "at", at) if at else 0
    steps = await asked(node.explain(url, method.upper(), revision))
    steps = await reading(history.blamed, past, steps, revision)
    about = {"at": revision} if revision else {}
    return {"url": url, "method": method.upper(), **about, "steps": steps}

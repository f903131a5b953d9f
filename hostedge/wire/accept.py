"""
In which form a client wants a page that we write ourselves.

In:  whoever makes an error page, with the values of `Accept`.
Out: one of the forms offered.
Spec: RFC 9110 section 12.5.1.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

# the types by which each form is asked for; the first form is what a client without a wish gets
FORMS = {
    "plain": (b"text/plain",),
    "html": (b"text/html",),
    "json": (b"application/problem+json", b"application/json"),
}

# browsers send about 130 bytes
MAX_FIELD = 1024

_RANGE = re.compile(rb"[ \t]*([^;,\s]+)[ \t]*((?:;[^,]*)?)")
_QUALITY = re.compile(rb";[ \t]*[qQ]=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)[ \t]*(?:;|\Z)")


def preferred_form(values: Sequence[bytes]) -> str:
    """Choose `html`, `json` or `plain`; a tie goes to the one named exactly, then to plain."""
    text = b",".join(values)
    if not text or len(text) > MAX_FIELD:
        return "plain"
    wishes = [
        (match[1].lower(), _quality(match[2]))
        for match in map(_RANGE.fullmatch, text.split(b","))
        if match is not None
    ]
    best, form = (0.0, 0), "plain"
    for name, types in FORMS.items():
        rank = max(_rank(media, wishes) for media in types)
        if rank > best:
            best, form = rank, name
    return form


def _rank(media: bytes, wishes: list[tuple[bytes, float]]) -> tuple[float, int]:
    """How much this media type is wanted, and how exactly it is named: the exactest counts."""
    exactness = {b"*/*": 1, media.split(b"/")[0] + b"/*": 2, media: 3}
    found = [(exactness[name], quality) for name, quality in wishes if name in exactness]
    if not found:
        return 0.0, 0
    exact, quality = max(found)
    return (quality, exact) if quality else (0.0, 0)


def _quality(parameters: bytes) -> float:
    match = _QUALITY.search(parameters)
    return float(match[1]) if match is not None else 1.0

"""
Whether a request is a browser's that wants a page to show.

In:  `http.app_backend`, for apps that have a waiting page.
Out: yes or no.
Spec: Fetch Metadata (Sec-Fetch-Mode), RFC 9110 section 12.5.1.

All browsers of today say so by `Sec-Fetch-Mode`, and only over HTTPS or to this machine; without
it, who would rather have HTML than anything else is taken for one.
"""

from __future__ import annotations

from collections.abc import Sequence

from hostedge.wire.accept import preferred_form


def is_navigation(method: bytes, fields: Sequence[tuple[bytes, bytes]]) -> bool:
    """Say it of a request with these fields; only a GET can be asked again."""
    if method != b"GET":
        return False
    accept = []
    for name, value in fields:
        lower = name.lower()
        if lower == b"sec-fetch-mode":
            return value.strip().lower() == b"navigate"
        if lower == b"accept":
            accept.append(value)
    return preferred_form(accept) == "html"

"""A WSGI app that says who answered, and how it was reached."""

from __future__ import annotations

import html
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

PAGE = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
STARTED = time.monotonic()
answered = itertools.count(1)


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The page for every path; 404 tells that the app itself was asked."""
    found = environ["PATH_INFO"] == "/"
    facts = {
        "Answered by": f"process {os.getpid()}, {threading.current_thread().name}",
        "Started": f"{time.monotonic() - STARTED:.1f} seconds ago",
        "Requests so far": str(next(answered)),
        "You asked for": f"{environ['wsgi.url_scheme']}://{environ['HTTP_HOST']}"
        f"{environ['PATH_INFO']}",
        "Your address": environ.get("HTTP_X_FORWARDED_FOR", "unknown"),
        "Request id": environ.get("HTTP_X_REQUEST_ID", "none"),
    }
    rows = "\n".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>"
        for name, value in facts.items()
    )
    headline = "It is running." if found else "The app was asked, and has no such page."
    body = PAGE.replace("{headline}", headline).replace("{rows}", rows).encode()
    start_response(
        "200 OK" if found else "404 Not Found",
        [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))],
    )
    return [body]

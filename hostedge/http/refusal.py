"""
The answer to a request that is refused.

In:  protocols, with a cause and the request's `Accept` values.
Out: status, fields and a small page; never the text of an exception.
Spec: RFC 9209, RFC 9110 section 15, RFC 9457.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Sequence
from http import HTTPStatus

from hostedge.errors import CAUSES
from hostedge.http.exchange import Fields
from hostedge.http.look import TOP
from hostedge.http.waiting_page import REFRESH, waiting_page
from hostedge.wire.accept import preferred_form

_TYPES = {
    "plain": b"text/plain; charset=utf-8",
    "html": b"text/html; charset=utf-8",
    "json": b"application/problem+json",
}

# what any mapping may answer; the answers to CONNECT and TRACE say so
ALLOW = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

_HTML = (
    TOP
    + """b{{font:300 4.5rem/1 system-ui,sans-serif;letter-spacing:-.04em}}
h1{{font-size:1.375rem;line-height:1.3;margin:.75rem 0 1rem}}
p{{color:var(--soft)}}
small{{display:block;margin-top:2rem;padding-top:1rem;border-top:1px solid var(--line);
color:var(--soft);font-size:.8125rem}}
code{{font-family:ui-monospace,monospace;user-select:all;overflow-wrap:anywhere}}
</style>
<main>
<b>{status}</b>
<h1>{reason}</h1>
<p>{advice}</p>
<small>{phrase}, error id <code>{id}</code></small>
</main>
</html>
"""
)

# what a visitor can do, by status or its class; 0: it passes by itself
_ADVICE = {
    0: "Try again in a moment.",
    404: "Check the address for a slip, or begin at the start page of this site.",
    408: "Try again; a better connection may be needed.",
    421: "Open the address again in a new window.",
    429: "Wait a moment, then try again.",
    4: "What was sent cannot be answered like this; sending it again will not help.",
    5: "If it stays like this, tell whoever runs the site, with the error id below.",
}


def phrase(status: int) -> str:
    """The words that stand beside a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _advice(status: int, passes: bool) -> str:
    return _ADVICE[0] if passes else _ADVICE.get(status) or _ADVICE[status // 100]


_PLACES = re.compile(r"\{\{(status|reason|id)\}\}")


def _filled(page: str, status: int, reason: str, request_id: str) -> str:
    """What is put in is ours, and has no character that means something in HTML."""
    values = {"status": str(status), "reason": reason, "id": request_id}
    return _PLACES.sub(lambda place: values[place[1]], page)


def no_page(status: int) -> str:
    """Of nobody who has pages of its own."""
    return ""


def make_refusal(
    cause: str,
    accept: Sequence[bytes],
    request_id: str,
    retry_after: float | None = None,
    page: Callable[[int], str] = no_page,
) -> tuple[int, Fields, bytes]:
    """
    Put the answer together; the request's id is the error id that the page shows. `page`: the
    site's own one for a status, empty without; only who wants HTML gets it.
    """
    refusal = CAUSES[cause]
    status = refusal.status
    form = preferred_form(accept)
    fields: Fields = [
        (b"Content-Type", _TYPES[form]),
        (b"Cache-Control", b"no-store"),
        (b"X-Hostedge-Reason", cause.encode()),
    ]
    if cause == "websocket_version":
        # RFC 9110 section 15.5.22, RFC 6455 section 4.4
        fields += [(b"Upgrade", b"websocket"), (b"Connection", b"upgrade")]
        fields.append((b"Sec-WebSocket-Version", b"13"))
    if cause == "starting":
        fields.append((b"Refresh", b"%d" % REFRESH))
    if refusal.proxy_error:
        fields.append((b"Proxy-Status", b"hostedge; error=" + refusal.proxy_error.encode()))
    known, retry_after = retry_after, refusal.retry_after if retry_after is None else retry_after
    if retry_after is not None:
        fields.append((b"Retry-After", b"%d" % max(1, math.ceil(retry_after))))
    if request_id:
        fields.append((b"X-Request-ID", request_id.encode()))
    own = page(status) if form == "html" else ""
    if own:
        text = _filled(own, status, refusal.reason, request_id)
    elif form == "html" and cause == "starting":
        text = waiting_page(refusal.reason, request_id, known)
    elif form == "html":
        text = _HTML.format(
            title=f"{status} {phrase(status)}",
            status=status,
            phrase=phrase(status),
            reason=refusal.reason,
            advice=_advice(status, retry_after is not None),
            id=request_id,
        )
    elif form == "json":
        values = {
            "type": "about:blank",
            "title": phrase(status),
            "status": status,
            "detail": refusal.reason,
            "cause": cause,
            "id": request_id,
        }
        text = json.dumps(values) + "\n"
    else:
        text = f"{status} {phrase(status)}\n{refusal.reason}\n{request_id}\n"
    return status, fields, text.encode()

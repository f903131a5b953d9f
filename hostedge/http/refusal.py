"""
The answer to a request that is refused.

In:  protocols, with a cause and the request's `Accept` values.
Out: status, fields and a small page; never the text of an exception.
Spec: RFC 9209, RFC 9110 section 15.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from http import HTTPStatus

from hostedge.errors import CAUSES
from hostedge.http.exchange import Fields
from hostedge.wire.accept import FORMS, preferred_form

# what any mapping may answer; the answers to CONNECT and TRACE say so
ALLOW = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

_HTML = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{status} {phrase}</title>
<style>body{{font:1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:12vh auto;padding:0 1rem}}
small{{color:#767676}}</style>
<h1>{status} {phrase}</h1>
<p>{reason}</p>
<small>{id}</small>
</html>
"""


def phrase(status: int) -> str:
    """The words that stand beside a status."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def make_refusal(
    cause: str, accept: Sequence[bytes], request_id: str, retry_after: float | None = None
) -> tuple[int, Fields, bytes]:
    """Put the answer together; the request's id is the error id that the page shows."""
    refusal = CAUSES[cause]
    status = refusal.status
    form = preferred_form(accept)
    fields: Fields = [
        (b"Content-Type", FORMS[form] + (b"" if form == "json" else b"; charset=utf-8")),
        (b"Cache-Control", b"no-store"),
        (b"X-Hostedge-Reason", cause.encode()),
    ]
    if cause == "websocket_version":
        # RFC 9110 section 15.5.22, RFC 6455 section 4.4
        fields += [(b"Upgrade", b"websocket"), (b"Connection", b"upgrade")]
        fields.append((b"Sec-WebSocket-Version", b"13"))
    if refusal.proxy_error:
        fields.append((b"Proxy-Status", b"hostedge; error=" + refusal.proxy_error.encode()))
    if retry_after is not None:
        fields.append((b"Retry-After", b"%d" % max(1, math.ceil(retry_after))))
    if request_id:
        fields.append((b"X-Request-ID", request_id.encode()))
    if form == "html":
        text = _HTML.format(
            status=status, phrase=phrase(status), reason=refusal.reason, id=request_id
        )
    elif form == "json":
        values = {"status": status, "cause": cause, "reason": refusal.reason, "id": request_id}
        text = json.dumps(values) + "\n"
    else:
        text = f"{status} {phrase(status)}\n{refusal.reason}\n{request_id}\n"
    return status, fields, text.encode()

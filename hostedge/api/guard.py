"""
Which requests reach the API at all: none that a browser could be tricked into sending.

In:  the site of the API socket, with every request.
Out: the API's resource answers it, or an error in the API's own form does.

A page in a browser can make requests to local services: with a host name that its owner has
pointed at this machine, or across origins as long as the body is no JSON. Neither gets past
here, also when somebody has put a TCP forwarder before the socket.
"""

from __future__ import annotations

import json
from urllib.parse import unquote_to_bytes

from attrs import frozen
from twisted.web.http_headers import Headers
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request

HOSTS = ("localhost", "hostedge")
METHODS = ("GET", "POST", "PUT")
MAX_BODY = 64 * 1024 * 1024  # some ten thousand accounts in one call

JSON = b"application/json"


@frozen
class Refusal:
    """A status, and the two halves of the error that goes with it."""

    status: int
    where: str
    problem: str


def media_type(headers: Headers) -> str:
    """The type of the body without its parameters; empty when none or several are given."""
    given = headers.getRawHeaders("content-type") or []
    return given[0].partition(";")[0].strip().lower() if len(given) == 1 else ""


def refusal(method: str, path: bytes, headers: Headers) -> Refusal | None:
    """Say why this request may not reach the API; None: it may."""
    hosts = headers.getRawHeaders("host") or []
    if len(hosts) != 1 or hosts[0].lower() not in HOSTS:
        return Refusal(421, "Host", f"want {' or '.join(HOSTS)}")
    for origin in headers.getRawHeaders("origin") or []:
        if origin.lower() != f"http://{hosts[0].lower()}":
            return Refusal(403, "Origin", "want none, or the one that Host names")
    if method not in METHODS:
        return Refusal(405, "method", f"want {', '.join(METHODS)}")
    # Also without a body: a request of this type is one that browsers ask about beforehand.
    if method != "GET" and media_type(headers) != JSON.decode():
        return Refusal(415, "Content-Type", "want application/json")
    try:
        unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        return Refusal(400, "path", "want UTF-8")
    return None


def error_body(where: str, problem: str, error_id: str = "") -> bytes:
    """An error in the form that every call answers with."""
    error = {"where": where, "problem": problem}
    if error_id:
        error["id"] = error_id
    return json.dumps({"error": error}, ensure_ascii=False).encode() + b"\n"


class Guard(Resource):
    """Stands before the API's resource."""

    isLeaf = True

    def __init__(self, inner: IResource) -> None:
        super().__init__()
        self._inner = inner

    def render(self, request: Request) -> int | bytes:
        refused = refusal(
            request.method.decode("latin-1"), request.path or b"", request.requestHeaders
        )
        if refused is None and getattr(request, "oversized", False):
            refused = Refusal(413, "body", f"want at most {MAX_BODY} bytes")
        if refused is None:
            return self._inner.render(request)  # type: ignore[no-any-return]
        request.setResponseCode(refused.status)
        request.setHeader(b"content-type", JSON)
        if refused.status == 405:
            request.setHeader(b"allow", ", ".join(METHODS).encode())
        request.write(error_body(refused.where, refused.problem))
        request.finish()
        return NOT_DONE_YET

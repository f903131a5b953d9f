"""
Every error this program raises on purpose, sorted by whose fault it is, and every refusal.

* the operator's file or call is wrong    -> ConfigError: one line, nothing has changed
* a peer's bytes break a protocol         -> BadRequest, with the cause that answers them
* what stands behind us failed            -> UpstreamFailed, with the cause
* our own code is wrong                   -> a builtin, caught by the outermost shell only

In:  raised by rules and shells.
Out: `CAUSES` turns a cause into status, `Proxy-Status` error type and reason; nobody else
     writes a status number for a refusal.
Spec: RFC 9110 section 15, RFC 9209 section 2.3.
"""

from __future__ import annotations

from attrs import frozen


class ConfigError(Exception):
    """The operator has to change a file or a call; `where` says which line or key."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(f"{where}: {problem}")
        self.where = where
        self.problem = problem


class Conflict(ConfigError):
    """It would be right, had somebody else not changed the same since."""


@frozen
class Cause:
    """What one kind of refusal looks like to a client."""

    status: int
    reason: str
    # RFC 9209 section 2.3; empty where the refusal is no proxy error
    proxy_error: str = ""
    # seconds after which it may be asked again, where nobody knows better; None: not said
    retry_after: float | None = None


CAUSES: dict[str, Cause] = {
    "bad_request": Cause(400, "The request is not valid HTTP.", "http_request_error"),
    "bad_host": Cause(400, "The request names no valid host.", "http_request_error"),
    "bad_path": Cause(400, "The request's path is not valid.", "http_request_error"),
    "websocket_handshake": Cause(
        400, "The request for a WebSocket is not valid.", "http_request_error"
    ),
    "tls_plain": Cause(
        400, "This port speaks HTTPS only: use https:// instead of http://.", "http_request_error"
    ),
    "forbidden": Cause(403, "Access to this file is not allowed.", "http_request_denied"),
    "not_found": Cause(404, "Nothing is here."),
    "unknown_host": Cause(404, "This node does not serve that name.", "destination_not_found"),
    "no_mapping": Cause(404, "Nothing answers under this path."),
    "method": Cause(405, "This method is not allowed here.", "http_request_denied"),
    "header_timeout": Cause(408, "The request took too long to arrive.", "http_request_error"),
    "body_timeout": Cause(408, "The request took too long to arrive.", "http_request_error"),
    "precondition": Cause(412, "The file is another one by now.", "http_request_denied"),
    "too_large": Cause(413, "The request's body is too large.", "http_request_error"),
    "long_target": Cause(414, "The request's target is too long.", "http_request_error"),
    "range": Cause(416, "The file has no such part.", "http_request_error"),
    "expectation": Cause(417, "Only 100-continue can be expected.", "http_request_error"),
    "websocket_version": Cause(426, "Only version 13 of WebSocket is spoken here."),
    "misdirected": Cause(
        421, "This connection was made for a name of somebody else.", "http_request_error"
    ),
    "source_busy": Cause(
        429, "Too many requests at once come from this address.", "http_request_denied", 1
    ),
    "rate_limited": Cause(
        429, "This address asks more often than this site allows.", "http_request_denied", 1
    ),
    "large_head": Cause(431, "The request's header is too large.", "http_request_error"),
    "internal": Cause(500, "The node failed to answer.", "proxy_internal_error"),
    "protocol": Cause(501, "This protocol is not spoken here.", "http_request_error"),
    "upgrade": Cause(501, "This transfer coding is not supported.", "http_request_error"),
    "upstream_refused": Cause(502, "The server behind cannot be reached.", "connection_refused"),
    "upstream_died": Cause(502, "The server behind ended early.", "connection_terminated"),
    "upgrade_failed": Cause(502, "The server behind opened no WebSocket.", "http_upgrade_failed"),
    "bad_response": Cause(502, "The server behind gave no valid answer.", "http_protocol_error"),
    "queue_full": Cause(503, "Too many requests are waiting.", "connection_limit_reached", 5),
    "queue_timeout": Cause(503, "The request waited too long.", "connection_limit_reached", 5),
    "websockets_full": Cause(503, "Too many WebSockets are open.", "connection_limit_reached", 10),
    "starting": Cause(503, "This site is waking up.", "destination_unavailable", 5),
    "start_slow": Cause(503, "The app is still starting.", "destination_unavailable", 5),
    "crash_loop": Cause(503, "The app keeps failing to start.", "destination_unavailable", 30),
    "not_configured": Cause(503, "The app does not exist any more.", "destination_unavailable"),
    "disabled": Cause(503, "This app is switched off by its owner.", "destination_unavailable"),
    "not_woken": Cause(503, "The app rests; such visitors do not wake it.", "", 60),
    "squatted": Cause(503, "Something else listens in its place.", "destination_unavailable"),
    "keeper_down": Cause(503, "The app cannot be started now.", "destination_unavailable", 10),
    "no_server": Cause(503, "No server is available.", "destination_unavailable", 10),
    "suspended": Cause(503, "This site is suspended.", "destination_unavailable"),
    "descriptors": Cause(503, "The node has too many files open.", "proxy_internal_error", 5),
    "spool_full": Cause(503, "The node has no room for this body.", "proxy_internal_error", 10),
    "start_timeout": Cause(504, "The app did not start in time.", "destination_unavailable"),
    "connect_timeout": Cause(504, "The server behind did not accept.", "connection_timeout"),
    "response_timeout": Cause(504, "The server behind did not answer.", "connection_read_timeout"),
    "request_timeout": Cause(504, "The request took too long.", "http_response_timeout"),
    "version": Cause(505, "This HTTP version is not supported.", "http_request_error"),
    "loop": Cause(508, "The request goes in circles.", "proxy_loop_detected"),
}


class PeerError(Exception):
    """Somebody outside this process did something that has to be answered: `CAUSES[cause]`."""

    def __init__(self, cause: str, detail: str = "") -> None:
        super().__init__(f"{cause}: {detail}" if detail else cause)
        self.cause = cause
        self.detail = detail


class BadRequest(PeerError):
    """The client's bytes break the protocol."""


class UpstreamFailed(PeerError):
    """The thing behind us refused, broke off, or talked nonsense."""

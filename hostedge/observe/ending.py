"""
How a request ended, in two letters: who ended it, and how far it had come.

In:  the access log, for each exchange.
Out: letters as in HAProxy's log, for our causes.

    who   -  nobody: it is whole        C  the client          c  the client was too slow
          S  the server behind          s  that was too slow   D  the daemon did not come up
          P  a rule of the node         R  there was no room   I  a failure of the node
          K  an operator
    where -  the end      R  the request itself    Q  waiting for a place    C  connecting
          H  waiting for the answer      D  in the answer          U  in a WebSocket
"""

from __future__ import annotations

from typing import Protocol

GONE = 499
SWITCHED = 101

WHOLE = "--"

# the second letter is `?` where it hangs on the request how far it had come
_OF_CAUSE = {
    **dict.fromkeys(
        ("bad_request", "bad_host", "bad_path", "websocket_handshake", "websocket_version")
        + ("forbidden", "not_found", "unknown_host", "no_mapping", "method", "precondition")
        + ("too_large", "long_target", "expectation", "large_head", "upgrade", "version", "loop")
        + ("protocol", "misdirected", "rate_limited", "range", "tls_plain"),
        "PR",
    ),
    **dict.fromkeys(("header_timeout", "body_timeout"), "cR"),
    **dict.fromkeys(("queue_full", "queue_timeout"), "RQ"),
    **dict.fromkeys(
        ("starting", "start_slow", "start_timeout", "crash_loop", "not_configured"), "DC"
    ),
    "source_busy": "RR",
    "websockets_full": "RU",
    "spool_full": "R?",
    "descriptors": "RR",
    **dict.fromkeys(("disabled", "not_woken", "squatted"), "DC"),
    "keeper_down": "IC",
    "internal": "I?",
    "suspended": "K?",
    "request_timeout": "P?",
    "upstream_refused": "SC",
    "no_server": "SC",
    "connect_timeout": "sC",
    "response_timeout": "s?",
    "upstream_died": "S?",
    "bad_response": "PH",
    "upgrade_failed": "SH",
    # of WebSockets
    "client_broke": "CU",
    "app_broke": "SU",
    "idle": "cU",
    "drained": "KU",
}


class Ended(Protocol):
    """An exchange that has ended."""

    status: int
    cause: str
    upstream: str
    first_byte: float
    complete: bool
    whole: bool


def ending(ended: Ended) -> str:
    """Give the two letters."""
    if ended.cause:
        letters = _OF_CAUSE[ended.cause]
        return letters[0] + _place(ended) if letters[1] == "?" else letters
    return WHOLE if ended.whole else "C" + _place(ended)


def _place(ended: Ended) -> str:
    if ended.status == SWITCHED:
        return "U"
    if ended.first_byte or (ended.status != GONE and not ended.cause):
        return "D"
    if ended.upstream:
        return "H"
    return "Q" if ended.complete else "R"

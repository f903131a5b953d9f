"""
Whether a request that got no answer may be sent once more.

In:  `http.relay`, when a connection failed.
Out: yes or no. In doubt no: what runs twice may be paid twice.
Spec: RFC 9110 section 9.2.2.
"""

from __future__ import annotations

# connections that one request may cost
MAX_ATTEMPTS = 3

SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS"))
IDEMPOTENT = SAFE | {b"PUT", b"DELETE"}


def may_connect_again(attempts: int) -> bool:
    """Nothing was sent: any method may try again."""
    return attempts < MAX_ATTEMPTS


def may_send_again(
    method: bytes, *, attempts: int, answered: bool, reused: bool, replayable: bool
) -> bool:
    """
    The connection ended after at least a part of the request was sent.

    `answered`: a byte of the response had come. `reused`: the connection had served a request
    before, so that its end may have crossed with ours. `replayable`: the whole request is
    still at hand. One more attempt, not two: what ends its worker must not end them all.
    """
    if answered or attempts > 1 or not replayable:
        return False
    return method in SAFE or (reused and method in IDEMPOTENT)

"""
Whether a request that got no answer may be sent once more, and when.

In:  `http.relay`, when a connection failed; `http.app_backend`, when an app was not there.
Out: yes or no, or seconds. In doubt no: what runs twice may be paid twice.
Spec: RFC 9110 section 9.2.2.
"""

from __future__ import annotations

# connections that one request may cost
MAX_ATTEMPTS = 3

SAFE = frozenset((b"GET", b"HEAD", b"OPTIONS"))
IDEMPOTENT = SAFE | {b"PUT", b"DELETE"}

# seconds before the second connection and the third, half of it more or less
_PAUSES = (0.1, 0.4)


def may_connect_again(attempts: int) -> bool:
    """Nothing was sent: any method may try again."""
    return attempts < MAX_ATTEMPTS


def pause(failures: int, chance: float) -> float:
    """
    Seconds to leave somebody alone who could not be connected to, so often in a row.

    `chance` is a number from 0 to 1, so that not all come back at once.
    """
    return _PAUSES[min(failures, len(_PAUSES)) - 1] * (0.5 + chance)


def may_send_again(
    method: bytes,
    *,
    attempts: int,
    answered: bool,
    reused: bool,
    replayable: bool,
    has_body: bool = False,
) -> bool:
    """
    The connection ended after at least a part of the request was sent.

    `answered`: a byte of the response had come. `reused`: the connection had served a request
    before, so that its end may have crossed with ours. `replayable`: the whole request is
    still at hand. One more attempt, not two: what ends its worker must not end them all.

    `has_body`: where the method gives a body no meaning, only the app knows what it asks for.
    """
    if answered or attempts > 1 or not replayable:
        return False
    if has_body and method != b"PUT":
        return False
    return method in SAFE or (reused and method in IDEMPOTENT)

"""
Why a connection was not made.

In:  `http.upstream`, when an attempt has failed; `http.relay` knows some of the causes.
Out: a cause of `errors.CAUSES`.
"""

from __future__ import annotations

# for want of ours, not of theirs
NO_SOCKET = "descriptors"
# whoever listens has more to accept than its backlog holds
NO_ROOM = "queue_full"


def cause_of(error: OSError, local: bool) -> str:
    """
    Name it. UNIX listeners refuse when their backlog is full; over TCP nothing comes back, and
    on this machine (`local`) packets are not lost for any other reason.
    """
    late = isinstance(error, TimeoutError)
    if isinstance(error, BlockingIOError) or (late and local):
        return NO_ROOM
    return "connect_timeout" if late else "upstream_refused"

"""
Heads of requests that have come before: who polls, checks or loads again sends the same bytes.

In:  `http.h1`, when a head was read, checked and found to need no care.
Out: what was found.

It holds for one entrance: limits and scheme are parts of what a head is judged by.
"""

from __future__ import annotations

from hostedge.http.exchange import Fields
from hostedge.memo import Seen
from hostedge.wire.fields import LastingFields

# so many heads of so many bytes are kept, at most: a megabyte with all that was found in them. What
# browsers send is longer, and seldom the same
MOST = 256
LONGEST = 512
# in what makes a head one client's alone, whatever its first letter: it would only crowd out what
# many send
_OWN = (b"ookie: ", b"uthorization: ")

# method, target, path, query, fields, length, host, authority: as exchanges have them
Facts = tuple[bytes, bytes, bytes, bytes | None, Fields, int | None, str, bytes]


class KnownHeads(dict[bytes, Facts]):
    """
    Facts by the bytes of a head that is a whole request and has come twice; most do not. When it is
    full it starts anew.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen = Seen()

    def learn(self, data: bytes, facts: Facts) -> None:
        if len(data) > LONGEST or not self._seen.again(data):
            return
        if _OWN[0] in data or _OWN[1] in data:
            return
        if len(self) >= MOST:
            self.clear()
        method, target, path, query, fields, length, host, authority = facts
        lasting = LastingFields(fields)
        self[data] = method, target, path, query, lasting, length, host, authority

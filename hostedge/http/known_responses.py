"""
Responses that came whole with heads that have come before: of files, and short ones of programs.

In:  `http.upstream`, when the parser has read a response that leaves nothing open.
Out: what it and `wire.response_head` have found, for the same bytes again, but for their `Date`.

A response is looked for by its size, so that one that is new costs next to nothing.
"""

from __future__ import annotations

from hostedge.http.exchange import Fields
from hostedge.memo import Memo
from hostedge.wire.fields import LastingFields

# so many heads of so many bytes are kept, at most
MOST = 256
LONGEST = 1024

_END = b"\r\n\r\n"
_DATE = b"\r\nDate: "
# all that are told today have this size
_DATE_SIZE = len(b"Sun, 06 Nov 1994 08:49:37 GMT")
_IN_DATES = bytes(range(0x20, 0x7F))
# in what makes a head one client's alone, whatever its first letter
_OWN = b"ookie: "

# whether something may stand where a date was, for whatever reads it
_is_date: Memo[bytes, bool] = Memo(lambda text: not text.translate(None, _IN_DATES), 4)

# status, fields that travel back, body, what `Keep-Alive` says
Whole = tuple[int, Fields, bytes, bytes]


class Known:
    """A head, all but its date, and what was found in it."""

    __slots__ = ("before", "after", "behind", "size", "status", "fields", "keep_alive")

    def __init__(self, head: bytes, status: int, fields: Fields, keep_alive: bytes) -> None:
        before, line, after = head.partition(_DATE)
        if after.startswith(b"\r\n", _DATE_SIZE):
            self.before, self.after = before + line, after[_DATE_SIZE:]
            # where that begins
            self.behind = len(self.before) + _DATE_SIZE
        else:
            # it has none, or not as it ought to be: the whole must be the same
            self.before, self.after, self.behind = head, b"", len(head)
        self.size = len(head)
        self.status = status
        self.fields = LastingFields(fields)
        self.keep_alive = keep_alive


class KnownResponses(dict[int, Known | None]):
    """
    Heads by the size of the whole response; None: the last of that size was another one. When it is
    full it starts anew.
    """

    def recall(self, data: bytes, most: int) -> Whole | None:
        """Read a whole response to anything but HEAD, with a head of `most` bytes."""
        known = self.get(len(data))
        if known is None or known.size > most:
            return None
        before, behind = known.before, known.behind
        if (
            data.startswith(before)
            and data.startswith(known.after, behind)
            and _is_date[data[len(before) : behind]]
        ):
            return known.status, known.fields, data[known.size :], known.keep_alive
        return None

    def learn(
        self, data: bytes, status: int, fields: Fields, length: int, keep_alive: bytes
    ) -> None:
        """
        Such a response was read: of HTTP/1.1, with that length and no more; its connection lives
        on. `fields` are those that travel back.
        """
        size = len(data)
        end = size - length
        if end > LONGEST or data.find(_END) != end - len(_END):
            return
        if self.get(size, False) is not None:
            if len(self) >= MOST:
                self.clear()
            self[size] = None
        elif _OWN not in data[:end]:
            self[size] = Known(data[:end], status, fields, keep_alive)

"""
Answers that are worked out once for each question: for names of fields, and other small sets.

In:  the data path, on each field of each message.
Out: what the function said the first time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")

# a question that is longer is answered and not kept: full of those, a memo would be megabytes
LONGEST = 256
# more than all clients of a node use between them; a flood of new names costs only time
LIMIT = 2048


_SIZED = (bytes, str)


class Memo(dict[Question, Answer]):
    """
    A dict that fills itself; looking into it costs a third of `lru_cache`.

    When it is full it starts anew. `longest`: of questions that are kept, in bytes or letters.
    """

    def __init__(
        self, work_out: Callable[[Question], Answer], limit: int = LIMIT, longest: int = LONGEST
    ) -> None:
        self._work_out = work_out
        self._limit = limit
        self._longest = longest

    def __missing__(self, question: Question) -> Answer:
        answer = self._work_out(question)
        if type(question) in _SIZED and len(question) > self._longest:  # type: ignore[arg-type]
            return answer
        if len(self) >= self._limit:
            self.clear()
        self[question] = answer
        return answer


class Seen:
    """
    What has come before, lately and probably: a filter that never grows and keeps nothing.

    What comes once would fill a memo, and with it the processor's caches.
    """

    def __init__(self) -> None:
        self._tags = bytearray(4096)

    def again(self, question: Question) -> bool:
        """Whether it has come before; from now on it has. One of 250 new ones is mistaken."""
        mixed = hash(question)
        # a place without a tag is empty
        place, tag = mixed & 0xFFF, mixed >> 12 & 0xFF or 1
        if self._tags[place] == tag:
            return True
        self._tags[place] = tag
        return False

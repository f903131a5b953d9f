"""
Domain names as messages carry them, and as the store orders them.

In:  `dns.responder` with the name of a question; `wire.dns_zone` with the names of a zone.
Out: wire form for comparing and writing, the key that `routes.hostname.ordered` would give for
     looking up.
Spec: RFC 1035 section 3.1, RFC 4343.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

MAX_NAME = 255  # bytes on the wire; RFC 1035 section 2.3.4
MAX_LABEL = 63

# Between the labels of a key; every character of a name in the store comes after it.
SEPARATOR = "!"

# labels such as the store has; no other character can come between two of its names by mistake
_STORED = re.compile(r"[a-z0-9_*!-]*")


class Name:
    """
    A name in lower case, taken apart once.

    `labels` begin at the root, as far as the store could have such labels; `whole` says whether
    that is all of them. `key` is the same as one text, in the form of `routes.hostname.ordered`.
    """

    __slots__ = ("wire", "offsets", "labels", "key", "whole")

    def __init__(self, wire: bytes, offsets: Sequence[int]) -> None:
        self.wire = wire
        # where each label begins; the root is none
        self.offsets = offsets
        text = wire.decode("latin-1")
        end = len(wire) - 1
        labels = []
        for start in reversed(offsets):
            labels.append(text[start + 1 : end])
            end = start
        self.labels = labels
        self.key = key = SEPARATOR.join(labels)
        self.whole = _STORED.fullmatch(key) is not None and key.count(SEPARATOR) < len(labels)
        if not self.whole:
            self._cut()

    def _cut(self) -> None:
        """Keep what is above the first label that the store cannot have."""
        for count, label in enumerate(self.labels):
            if SEPARATOR in label or not _STORED.fullmatch(label):
                self.labels = self.labels[:count]
                break
        self.key = SEPARATOR.join(self.labels)


def offsets_of(wire: bytes) -> list[int]:
    """Where the labels of a complete name begin."""
    found = []
    at = 0
    while wire[at]:
        found.append(at)
        at += wire[at] + 1
    return found


def name_of(wire: bytes) -> Name:
    """A complete name in lower case, taken apart."""
    return Name(wire, offsets_of(wire))


def wire_name(text: str) -> bytes:
    """The wire form of a name in normal form; a final dot makes no difference."""
    labels = text.removesuffix(".").encode("ascii").split(b".")
    return b"".join([bytes((len(label),)) + label for label in labels if label]) + b"\0"


def labels_in_common(labels: Sequence[str], key: str) -> int:
    """How many labels, from the root, a name has in common with the one of this key."""
    count = 0
    for mine, other in zip(labels, key.split(SEPARATOR), strict=False):
        if mine != other:
            break
        count += 1
    return count


def is_at_or_below(wire: bytes, apex: bytes) -> bool:
    """Say whether a name lies in the tree below another one; both in lower case."""
    if not wire.endswith(apex):
        return False
    at = 0
    end = len(wire) - len(apex)
    while at < end:
        at += wire[at] + 1
    return at == end

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
_STORED = re.compile(r"[a-z0-9_*!-]*").fullmatch


class Key:
    """
    A name as the store orders it: labels from the root on, as far as it could have such labels;
    `whole` says whether that is all of them.
    """

    __slots__ = ("labels", "text", "whole")

    def __init__(self, wire: bytes, offsets: Sequence[int]) -> None:
        text = wire.decode("latin-1")
        end = len(wire) - 1
        labels = []
        for start in reversed(offsets):
            labels.append(text[start + 1 : end])
            end = start
        self.labels = labels
        self.text = SEPARATOR.join(labels)
        self.whole = self.text.count(SEPARATOR) < len(labels) and bool(_STORED(self.text))
        if not self.whole:
            for count, label in enumerate(labels):
                if SEPARATOR in label or not _STORED(label):
                    del labels[count:]
                    break
            self.text = SEPARATOR.join(labels)


class Name:
    """A name in lower case; `offsets` says where its labels begin."""

    __slots__ = ("wire", "offsets", "_key")

    def __init__(self, wire: bytes, offsets: Sequence[int]) -> None:
        self.wire = wire
        self.offsets = offsets
        self._key: Key | None = None

    def key(self) -> Key:
        """Worked out when it is first asked for: most questions need no look into the store."""
        key = self._key
        if key is None:
            key = self._key = Key(self.wire, self.offsets)
        return key


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

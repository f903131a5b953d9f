"""
Whether a client already has what it asks for.

In:  `mappings.static` (and a cache) with the request's fields and a file's validators.
Out: what to do: send it, say 304, say 412; and whether a range may be answered.
Spec: RFC 9110 sections 8.8.3, 13.1 and 13.2.2.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum

from attrs import frozen

from hostedge.wire.date import parse_date

_TAG = re.compile(rb'(?:W/)?"[!#-~\x80-\xff]*"')


class Verdict(Enum):
    """What the conditions of a request come to."""

    SEND = "send"
    NOT_MODIFIED = "not modified"
    FAILED = "failed"


@frozen
class Validators:
    """What tells one version of a file from another; `etag` is strong, `modified` in seconds."""

    etag: bytes
    modified: int


@frozen
class Conditions:
    """The conditional fields of a request; the values of all lines of each, in their order."""

    if_match: Sequence[bytes] = ()
    if_unmodified_since: Sequence[bytes] = ()
    if_none_match: Sequence[bytes] = ()
    if_modified_since: Sequence[bytes] = ()


@frozen
class Asked:
    """All fields of a request that the answer with a file depends on."""

    conditions: Conditions = Conditions()
    range: Sequence[bytes] = ()
    if_range: Sequence[bytes] = ()


_NAMES = {
    b"if-match": "if_match",
    b"if-unmodified-since": "if_unmodified_since",
    b"if-none-match": "if_none_match",
    b"if-modified-since": "if_modified_since",
    b"range": "range",
    b"if-range": "if_range",
}
_NOTHING_ASKED = Asked()


def read_asked(fields: Sequence[tuple[bytes, bytes]]) -> Asked:
    """Pick these fields out of all that a request has."""
    values: dict[str, list[bytes]] = {}
    for name, value in fields:
        key = _NAMES.get(name.lower())
        if key is not None:
            values.setdefault(key, []).append(value)
    if not values:
        return _NOTHING_ASKED
    ranges, if_range = values.pop("range", ()), values.pop("if_range", ())
    return Asked(Conditions(**values), ranges, if_range)


def judge(conditions: Conditions, current: Validators) -> Verdict:
    """Answer the conditions of a GET or HEAD in the order that RFC 9110 section 13.2.2 gives."""
    if conditions.if_match:
        if not _names(conditions.if_match, current.etag, weak=False):
            return Verdict.FAILED
    elif conditions.if_unmodified_since:
        limit = _one_date(conditions.if_unmodified_since)
        if limit is not None and current.modified > limit:
            return Verdict.FAILED
    if conditions.if_none_match:
        if _names(conditions.if_none_match, current.etag, weak=True):
            return Verdict.NOT_MODIFIED
    elif conditions.if_modified_since:
        since = _one_date(conditions.if_modified_since)
        if since is not None and current.modified <= since:
            return Verdict.NOT_MODIFIED
    return Verdict.SEND


def range_applies(if_range: Sequence[bytes], current: Validators) -> bool:
    """
    Whether the part that the client wants belongs to the version it has.

    A date never says so: whoever got a file from us got its entity tag too, and has to use it.
    """
    return not if_range or list(if_range) == [current.etag]


def _one_date(values: Sequence[bytes]) -> int | None:
    # a field given twice, or one that is no date, is as good as none
    return parse_date(values[0]) if len(values) == 1 else None


def _names(values: Sequence[bytes], etag: bytes, weak: bool) -> bool:
    text = b",".join(values)
    if text.strip() == b"*":
        return True
    tags = _TAG.findall(text)
    if weak:
        return etag in (tag.removeprefix(b"W/") for tag in tags)
    return etag in tags

"""
What calls about the past ask for, and how it is answered.

In:  `api.app`, with parameters as they came; all of it runs in a thread that may block.
Out: revisions that exist, and lines of JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from hostedge.api.calls import Refused, json_line
from hostedge.api.parts import Change, Entry, History
from hostedge.errors import ConfigError

DIGITS = 18  # of a number; SQLite's end at 19


def changes(history: History, since: str, key: str) -> Iterator[str]:
    """Everything that changed after a revision or a time, a change a line."""
    after = read_revision(history, "since", since) if since else 0
    with_key = history.entries(key, after)
    yield from _lines(with_key)


def difference(history: History, since: str, until: str, key: str) -> Iterator[str]:
    """From what to what objects have changed between two revisions, an object a line."""
    newest = history.newest()
    last = read_revision(history, "to", until) if until else newest
    first = read_revision(history, "from", since) if since else last - 1
    check_there("to", last, newest)
    if first >= last:
        raise Refused(400, "from", f"want a revision before {last}, not {first}")
    yield from _lines(history.difference(first, last, key))


def read_revision(history: History, where: str, text: str) -> int:
    """
    The revision that a text names, by its number or by a time; 0 if nothing was there yet.

    Raises:
        Refused: it is neither.
    """
    if text.isascii() and text.isdigit() and len(text) <= DIGITS:
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
        seconds = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        problem = f"want a revision's number, or a time like 2026-11-22T10:00Z, not {text!r}"
        raise Refused(400, where, problem) from None
    return history.at(seconds)


def read_past(history: History, where: str, text: str) -> int:
    """
    The revision that a text names, when there is one.

    Raises:
        Refused: it is no revision, or there is none.
    """
    revision = read_revision(history, where, text)
    if not revision and not text.isdigit():
        raise Refused(404, where, f"nothing was in the store at {text}")
    check_there(where, revision, history.newest())
    return revision


def blamed(history: History, steps: list[dict[str, Any]], at: int) -> list[dict[str, Any]]:
    """Steps of an explanation, those that an object has decided with its last change."""
    until = at or history.newest()
    told = []
    for step in steps:
        key = step.pop("key", "")
        made = history.last(key, until) if key else None
        if made is not None:
            about = {"revision": made.revision, "time": made.time, "who": made.who}
            step = {**step, "changed": {"key": key, **about}}
        told.append(step)
    return told


def check_there(where: str, revision: int, newest: int) -> None:
    """
    Raises:
        Refused: there is no such revision.
    """
    if not 0 < revision <= newest:
        last = f"the newest is {newest}" if newest else "nothing was ever changed"
        raise Refused(404, where, f"there is no revision {revision}; {last}")


def _lines(entries: Iterator[Entry]) -> Iterator[str]:
    try:
        for entry in entries:
            yield json_line(document(entry))
    except ConfigError as error:
        raise Refused(400, "key", f"{error.where}: {error.problem}") from None


def document(entry: Entry) -> dict[str, Any]:
    """One line of history."""
    change = entry.change
    return {
        "revision": entry.revision,
        "time": entry.time,
        "who": entry.who,
        "key": change.key,
        "what": what(change),
        "before": json.loads(change.before or "null"),
        "after": json.loads(change.after or "null"),
    }


def what(change: Change) -> str:
    """The word for a change."""
    if change.before is None:
        return "created"
    return "deleted" if change.after is None else "changed"

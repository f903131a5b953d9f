"""
`hostedge changes`, `diff` and `undo`: what was, who changed it, and back.

In:  `cli.main`.
Out: a list; a unified diff of what `export` prints; a new revision.
"""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from difflib import unified_diff
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from hostedge.cli.apply import Applied, shown
from hostedge.cli.client import ApiClient
from hostedge.cli.output import as_json
from hostedge.cli.stored import write_document
from hostedge.cli.table import WIDTH, table
from hostedge.cli.times import clock, moment
from hostedge.errors import ConfigError
from hostedge.settings import read_settings

PAGE = 500  # rows that are laid out together
TURN = 70  # columns of YAML, past which a line ends with the next word
NOWHERE = "/dev/null"

_RESET = "\x1b[0m"
# by how a line of a diff begins; the first that fits counts
_COLOURS = (
    ("---", "\x1b[1m"),
    ("+++", "\x1b[1m"),
    ("@@", "\x1b[36m"),
    ("-", "\x1b[31m"),
    ("+", "\x1b[32m"),
)


def changes(options: Namespace) -> int:
    """Print history, oldest first."""
    query = urlencode({"since": moment(options.since), "key": options.key})
    with ApiClient(read_settings(Path(options.settings))) as client:
        entries = client.lines(f"/v1/changes?{query}")
        return _print(_json_lines(entries) if options.json else change_lines(entries))


def change_lines(entries: Iterable[Mapping[str, Any]], width: int = WIDTH) -> Iterator[str]:
    """Tables of some hundred rows each: there may be more changes than memory should hold."""
    head = ("REVISION", "TIME", "WHO", "CHANGE", "OBJECT")
    rows: list[tuple[object, ...]] = []
    some = False
    for each in entries:
        some = True
        rows.append((each["revision"], clock(each["time"]), each["who"], each["what"], each["key"]))
        if len(rows) == PAGE:
            yield from table(head, rows, right=("REVISION",), width=width)
            rows.clear()
    if rows:
        yield from table(head, rows, right=("REVISION",), width=width)
    if not some:
        yield "No change is recorded."


def diff(options: Namespace) -> int:
    """Print what a revision, or several, have changed, object by object."""
    first, dots, last = options.revision.partition("..")
    span = {"from": moment(first) or "0", "to": moment(last)} if dots else {"to": moment(first)}
    query = urlencode({**span, "key": options.key})
    with ApiClient(read_settings(Path(options.settings))) as client:
        entries = client.lines(f"/v1/diff?{query}")
        if options.json:
            return _print(_json_lines(entries))
        lines = diff_lines(entries, "Last changed at revision" if dots else "Revision")
        colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        return _print(map(coloured, lines) if colours else lines)


def diff_lines(entries: Iterable[dict[str, Any]], words: str) -> Iterator[str]:
    """A unified diff of each object, under the revision that has changed it last."""
    revision = 0
    for each in entries:
        if revision:
            yield ""
        if each["revision"] != revision:
            revision = each["revision"]
            yield f"{words} {revision}, {clock(each['time'])}, by {each['who']}"
            yield ""
        yield from object_diff(each["key"], each["before"], each["after"])
    if not revision:
        yield "Nothing is different."


def object_diff(key: str, before: Any, after: Any) -> Iterator[str]:
    """How an object was written in a site file before and after; None: it was not there."""
    old, new = _lines(before), _lines(after)
    yield from unified_diff(old, new, key if old else NOWHERE, key if new else NOWHERE, lineterm="")


def _lines(document: Any) -> list[str]:
    if document is None:
        return []
    stream = StringIO()
    write_document(document, stream, start=False, width=TURN)
    return stream.getvalue().splitlines()


def coloured(line: str) -> str:
    """The line as a terminal shows it."""
    for begin, colour in _COLOURS:
        if line.startswith(begin):
            return f"{colour}{line}{_RESET}"
    return line


def undo(options: Namespace) -> int:
    """Put back what a revision has changed."""
    if not options.revision.isdecimal():
        raise ConfigError(options.revision, "want the number of a revision")
    body = {"revision": int(options.revision), "dry_run": options.dry_run}
    with ApiClient(read_settings(Path(options.settings))) as client:
        answer = client.call("POST", "/v1/undo", body)
    if options.json:
        return _print(_json_lines([answer]))
    return _print(shown(Applied(answer["revision"], answer["changes"]), options.dry_run))


def _json_lines(values: Iterable[object]) -> Iterator[str]:
    return (as_json(each) for each in values)


def _print(lines: Iterable[str]) -> int:
    for line in lines:
        print(line)
    return 0

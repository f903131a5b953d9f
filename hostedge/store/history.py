"""
The history of the route store: what changed when, by whom, and from what to what.

In:  the API, for `hostedge changes`, `diff` and `undo`; `store.past`, for what was.
Out: entries as they are read; a question about one object reads its own changes only.
"""

from __future__ import annotations

import sqlite3
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from attrs import frozen

from hostedge.errors import ConfigError
from hostedge.model.keys import domain_key
from hostedge.model.names import site_name
from hostedge.routes.hostname import ordered
from hostedge.store.plan import Change
from hostedge.store.reader import open_read_only
from hostedge.store.tables import OBJECTS

# Rows are appended, so the order of rows is that of revisions; sorting numbers takes less than
# sorting rows, whose bodies would have to be carried along.
_ROWS = "SELECT rowid FROM changes INDEXED BY changes_by_key WHERE revision BETWEEN ? AND ?"
_ENTRIES = "SELECT revision, time, who, key, before, after FROM changes"
_CHANGED = (
    "SELECT last.revision, last.time, last.who, last.key, first.before, last.after"
    " FROM (SELECT min(rowid) AS one, max(rowid) AS other FROM changes{index}"
    " WHERE revision BETWEEN ? AND ?{keys} GROUP BY key) AS ends"
    " JOIN changes AS first ON first.rowid = ends.one"
    " JOIN changes AS last ON last.rowid = ends.other"
    " WHERE first.before IS NOT last.after ORDER BY ends.other"
)
_NEWEST = "SELECT coalesce(max(revision), 0) FROM changes"
_MADE = "SELECT time, who FROM changes WHERE revision = ? AND sequence = 0"
_LAST = (
    "SELECT revision, time, who FROM changes INDEXED BY changes_by_key"
    " WHERE key = ? AND revision <= ? ORDER BY revision DESC LIMIT 1"
)
_HAS = "SELECT domain FROM names WHERE name = ?"
_HAD = "SELECT DISTINCT domain FROM names_lost WHERE name = ?"

ALWAYS = 2**62  # later than every revision


@frozen
class Entry:
    """One object that a revision has changed."""

    revision: int
    time: float
    who: str
    change: Change


@frozen
class Made:
    """When a revision came to be, and who made it."""

    revision: int
    time: float
    who: str


class History:
    """Every call reads one snapshot, over a connection of its own, in any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self, key: str = "", after: int = 0, until: int = ALWAYS) -> Iterator[Entry]:
        """
        What changed after one revision and until another, oldest first; `key` as in `selected`.

        Raises:
            ConfigError: it is no key.
        """
        with closing(open_read_only(self._path)) as reading:
            reading.execute("BEGIN")
            where, values = selected(key, reading)
            span = (after + 1, until)
            if where:
                query = f"{_ENTRIES} WHERE rowid IN ({_ROWS}{where}) ORDER BY rowid"  # noqa: S608
            else:
                query = f"{_ENTRIES} WHERE revision BETWEEN ? AND ? ORDER BY revision, sequence"  # noqa: S608
            yield from _entries(reading, query, (*span, *values))

    def difference(self, after: int, until: int, key: str = "") -> Iterator[Entry]:
        """
        How each object was at one revision and at another, as far as it is not the same; the
        rest of an entry is that of the object's last change.

        Raises:
            ConfigError: it is no key.
        """
        with closing(open_read_only(self._path)) as reading:
            reading.execute("BEGIN")
            where, values = selected(key, reading)
            index = " INDEXED BY changes_by_key" if where else ""
            query = _CHANGED.format(index=index, keys=where)
            yield from _entries(reading, query, (after + 1, until, *values))

    def newest(self) -> int:
        """The newest revision; 0 while nothing was ever written."""
        with closing(open_read_only(self._path)) as reading:
            return _newest(reading)

    def made(self, revision: int) -> Made | None:
        """When and by whom; None: there is no such revision."""
        with closing(open_read_only(self._path)) as reading:
            row = reading.execute(_MADE, (revision,)).fetchone()
        return None if row is None else Made(revision, *row)

    def last(self, key: str, until: int = ALWAYS) -> Made | None:
        """When this object changed last, until a revision; None: it has not."""
        with closing(open_read_only(self._path)) as reading:
            row = reading.execute(_LAST, (key, until)).fetchone()
        return None if row is None else Made(*row)

    def at(self, time: float) -> int:
        """The newest revision that was there at a time; 0: none was."""
        with closing(open_read_only(self._path)) as reading:
            reading.execute("BEGIN")
            revisions = range(1, _newest(reading) + 1)
            # every revision has a first change, and their times go up with them; where the clock
            # was set back, it is one of the revisions at its border
            return bisect_right(
                revisions,
                time,
                key=lambda revision: reading.execute(_MADE, (revision,)).fetchone()[0],
            )


def selected(key: str, reading: sqlite3.Connection) -> tuple[str, tuple[str, ...]]:
    """
    The condition for the changes of an object, `app/demo/hello`, of all below a prefix,
    `app/demo/`, or of each domain that has or once had a host name, `www.example.org`.

    Raises:
        ConfigError: it is nothing of these.
    """
    if not key:
        return "", ()
    kind, slash, rest = key.partition("/")
    if not slash:
        domains = _domains_of(key, reading)
        return f" AND key IN ({', '.join('?' * len(domains))})", domains
    if kind not in OBJECTS:
        raise ConfigError(key, f"want one of {', '.join(OBJECTS)} before the /, or a host name")
    if key.endswith("/"):
        # 0 is the character after the slash
        return " AND key >= ? AND key < ?", (key, f"{key[:-1]}0")
    return " AND key = ?", (key,)


def _domains_of(name: str, reading: sqlite3.Connection) -> tuple[str, ...]:
    try:
        normal = site_name(name)
    except ValueError as error:
        problem = f"want KIND/…, a prefix ending in /, or a host name: {error}"
        raise ConfigError(name, problem) from None
    domains = {normal: None}
    for query in (_HAS, _HAD):
        for row in reading.execute(query, (ordered(normal),)):
            domains[row[0]] = None
    return tuple(domain_key(domain) for domain in domains)


def _newest(reading: sqlite3.Connection) -> int:
    return int(reading.execute(_NEWEST).fetchone()[0])


def _entries(
    reading: sqlite3.Connection, query: str, values: tuple[int | str, ...]
) -> Iterator[Entry]:
    for revision, time, who, key, before, after in reading.execute(query, values):
        yield Entry(revision, time, who, Change(key, before, after))

"""
What has to change so that everything is again as it was before a revision.

In:  `store.writer`, within its transaction.
Out: edits for `store.amendment`, or `Conflict`: somebody has gone on from there.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import Connection

from hostedge.errors import ConfigError, Conflict
from hostedge.model.parse import Object, Words
from hostedge.store.amendment import Edits, owner_of
from hostedge.store.reader import object_of_row

_MADE = "SELECT key, before, after FROM changes WHERE revision = ? ORDER BY sequence"
# An object that later revisions have changed and put back is as this one has left it.
_LATER = (
    "SELECT later.key, later.revision, later.time, later.who FROM changes AS mine"
    " JOIN changes AS later ON later.rowid = (SELECT rowid FROM changes INDEXED BY changes_by_key"
    " WHERE key = mine.key ORDER BY revision DESC LIMIT 1)"
    " WHERE mine.revision = ? AND later.after IS NOT mine.after"
    " ORDER BY later.revision DESC LIMIT 1"
)


def undoing(connection: Connection, revision: int, words: Words) -> Edits:
    """
    The objects of a revision as they were before it, by account and key.

    Raises:
        ConfigError: there is no such revision.
        Conflict: an object of it has changed again since.
    """
    where = f"revision {revision}"
    later = connection.exec_driver_sql(_LATER, (revision,)).first()
    if later is not None:
        key, newer, time, who = later
        when = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        problem = f"{key} was changed again at revision {newer}, {when}, by {who}; undo that first"
        raise Conflict(where, problem)
    edits: dict[str, dict[str, Object | None]] = {}
    for key, before, after in connection.exec_driver_sql(_MADE, (revision,)):
        # one that has changed hands is gone from the one account and there for the other
        if after is not None:
            edits.setdefault(owner_of(key, after), {})[key] = None
        if before is not None:
            edits.setdefault(owner_of(key, before), {})[key] = object_of_row(key, before, words)
    if not edits:
        raise ConfigError(where, "there is no such revision")
    return edits

"""
Which zones a change concerns: whose they may be, and whose serials it moves on.

In:  `store.writer`, within its transaction.
Out: `ConfigError` for a zone that would take names from another account's; new serials.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain

from sqlalchemy import Connection

from hostedge.errors import ConfigError
from hostedge.routes.hostname import from_ordered, ordered
from hostedge.store.plan import Change, Moves

CHUNK = 500  # as in `store.writer`

_AT = "SELECT place, account, shared, name FROM zones WHERE place IN ({})"
# `"` comes directly after `!`: from the one to the other is everything below a name
_BELOW = "SELECT name, account FROM zones WHERE place > ? AND place < ? AND account <> ?"
_TOUCH = "UPDATE zones SET serial = ? WHERE place = ?"


def zone_row(body: str, revision: int) -> tuple[object, ...]:
    """A changed zone as its row."""
    document = json.loads(body)
    name, shared = document["name"], bool(document.get("shared", False))
    return name, ordered(name), document["account"], shared, revision, body


def check_zones(connection: Connection, changes: Iterable[Change]) -> None:
    """
    Refuse a zone at, below or above one of another account. Else an account could answer for
    names that another one has in its hands, and which of the two had come first would matter.

    Raises:
        ConfigError: naming both zones and both accounts.
    """
    given: dict[str, str] = {}
    replaced: set[str] = set()
    for change in changes:
        if change.kind != "zone":
            continue
        if change.before is not None:
            replaced.add(ordered(change.key.partition("/")[2]))
        if change.after is not None:
            given[ordered(change.key.partition("/")[2])] = json.loads(change.after)["account"]
    if not given:
        return
    there = {
        place: account
        for place, account, *_ in _rows_at(connection, {a: None for p in given for a in _up(p)})
        if place not in replaced
    }
    for place, account in given.items():
        if place in there:
            raise _taken(place, account, place, there[place])
        for above in _up(place):
            other = given.get(above) or there.get(above)
            if other is not None and other != account:
                raise _taken(place, account, above, other)
        bounds = f"{place}!", f'{place}"', account
        for name, other in connection.exec_driver_sql(_BELOW, bounds):
            if ordered(name) not in replaced:
                raise _taken(place, account, ordered(name), other)


def touch_zones(
    connection: Connection, changes: Iterable[Change], moved: Moves, revision: int
) -> None:
    """
    Move on the serials of all zones whose answers depend on these names and zones. A zone that
    comes or goes hides or shows the names below it, hence the ones above it are concerned too.
    """
    if connection.exec_driver_sql("SELECT 1 FROM zones LIMIT 1").first() is None:
        return
    # place -> the accounts of whom a name at it or below it has changed; None: whoever it is
    concerned: dict[str, set[str | None]] = {}
    for name, (_, account) in chain(moved.lost.items(), moved.gained.items()):
        for place in _up(ordered(name)):
            concerned.setdefault(place, set()).add(account)
    for change in changes:
        if change.kind == "zone" and None in (change.before, change.after):
            for place in _up(ordered(change.key.partition("/")[2])):
                concerned.setdefault(place, set()).add(None)
    touched = [
        (revision, place)
        for place, account, shared, _ in _rows_at(connection, concerned)
        if shared or account in concerned[place] or None in concerned[place]
    ]
    if touched:
        connection.exec_driver_sql(_TOUCH, touched)


def _up(place: str) -> Iterator[str]:
    """A place and all above it."""
    while place:
        yield place
        place = place.rpartition("!")[0]


def _rows_at(connection: Connection, places: Iterable[str]) -> Iterator[tuple[str, str, bool, str]]:
    every = list(places)
    for start in range(0, len(every), CHUNK):
        some = tuple(every[start : start + CHUNK])
        statement = _AT.format(",".join("?" * len(some)))
        for place, account, shared, name in connection.exec_driver_sql(statement, some):
            yield place, account, bool(shared), name


def _taken(place: str, account: str, there: str, other: str) -> ConfigError:
    zone, known = from_ordered(place), from_ordered(there)
    if zone == known:
        return ConfigError(f"account {account}", f"{zone} is a zone of account {other} already")
    where = "below" if len(there) < len(place) else "above"
    return ConfigError(
        f"account {account}",
        f"{zone} lies {where} {known}, which is a zone of account {other}: "
        "want both in one account, or one zone with the records of both",
    )

"""
The route store as it was at a revision: found with the history of what was asked for, no more.

In:  edges, for `explain --at`; each question over a connection of its own.
Out: values of the model, as `store.reader` would have given them then.

What an object was at a revision is what its first change after it has replaced; one that has not
changed since is what it is now. A name led to the domain that lost it first after the revision,
or to the one that has it now, if that domain had it then.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from attrs import frozen

from hostedge.model.keys import account_key, domain_key, keys_named_by
from hostedge.model.parse import Words
from hostedge.model.site import App, Found, Pool
from hostedge.routes.hostname import ordered, wildcard_of
from hostedge.store.reader import object_of_row, open_read_only

_REPLACED = (
    "SELECT before FROM changes INDEXED BY changes_by_key WHERE key = ? AND revision > ?"
    " ORDER BY revision LIMIT 1"
)
_LOST = "SELECT domain FROM names_lost WHERE name = ? AND revision > ? ORDER BY revision LIMIT 1"
_HAS = "SELECT domain FROM names WHERE name = ?"
_PRESENT = {
    "account": "SELECT body FROM accounts WHERE name = ?",
    "app": "SELECT body FROM apps WHERE account = ? AND name = ?",
    "pool": "SELECT body FROM pools WHERE account = ? AND name = ?",
    "domain": "SELECT body FROM domains WHERE name = ?",
}


class Past:
    """A store's history, as a reader of any revision."""

    def __init__(self, path: Path, words: Words) -> None:
        self._path = path
        self._words = words

    def find(self, name: str, revision: int) -> Found | None:
        """What `StoreReader.find` would have answered at this revision."""
        with closing(open_read_only(self._path)) as reading:
            reading.execute("BEGIN")
            return _Then(reading, self._words, revision).find(name)


@frozen
class _Then:
    """One revision, in one snapshot."""

    _reading: sqlite3.Connection
    _words: Words
    _revision: int

    def find(self, name: str) -> Found | None:
        document = self._domain_of(name)
        if document is None:
            wildcard = wildcard_of(name)
            document = self._domain_of(wildcard) if wildcard else None
            if wildcard is None or document is None:
                return None
            name = wildcard
        account = self._object(account_key(document["account"]))
        domain = self._object(domain_key(document["name"]))
        apps: dict[str, App] = {}
        pools: dict[str, Pool] = {}
        for key in keys_named_by(domain, account.name):
            named: Any = self._object(key)
            if named is not None:
                found: dict[str, Any] = apps if key.startswith("app/") else pools
                found[named.name] = named
        return Found(name, domain, account, apps, pools, self._revision)

    def _domain_of(self, name: str) -> dict[str, Any] | None:
        """The row of the domain that had this name."""
        place = ordered(name)
        row = self._one(_LOST, place, self._revision) or self._one(_HAS, place)
        body = None if row is None else self._body(domain_key(row[0]))
        if body is None:
            return None
        document: dict[str, Any] = json.loads(body)
        return document if name in (document["name"], *document.get("aliases", ())) else None

    def _object(self, key: str) -> Any:
        body = self._body(key)
        return None if body is None else object_of_row(key, body, self._words)

    def _body(self, key: str) -> str | None:
        row = self._one(_REPLACED, key, self._revision)
        if row is None:
            kind, *place = key.split("/")
            row = self._one(_PRESENT[kind], *place)
        return None if row is None else row[0]

    def _one(self, statement: str, *values: str | int) -> Any:
        return self._reading.execute(statement, values).fetchone()

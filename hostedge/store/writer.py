"""
The route store as control sees it: the only place that writes.

In:  the API and the local CA, in control.
Out: rows, and for each call that changed something one revision in `changes`, in one
     transaction; readers see all of it or nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, Table, bindparam, delete, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from hostedge.errors import ConfigError
from hostedge.model.chain import public_key_of, read_chain
from hostedge.model.keys import account_key, domain_key, owned_key
from hostedge.model.parse import Words
from hostedge.model.site import Certificate, Site
from hostedge.routes.hostname import ordered
from hostedge.store.plan import Change, moves, plan, taken
from hostedge.store.reader import object_of_row, open_read_only
from hostedge.store.tables import (
    CERTIFICATE_NAMES,
    CERTIFICATES_ISSUED,
    CHANGES,
    DOMAINS,
    NAMES,
    OBJECTS,
    SECRETS,
)
from hostedge.store.upgrade import open_engine, upgrade

CHUNK = 500  # values of one IN (…); SQLite takes 32,766 parameters a statement

_HISTORY = (
    "SELECT revision, time, who, key, before, after FROM changes"
    " WHERE revision > ? AND substr(key, 1, ?) = ? ORDER BY revision, sequence"
)


@frozen
class Outcome:
    """What a call has changed, or would change; without changes the revision stays."""

    revision: int
    changes: tuple[Change, ...]


@frozen
class Entry:
    """One line of history."""

    revision: int
    time: float
    who: str
    change: Change


class RouteStore:
    """One writer; between calls no transaction is open."""

    def __init__(self, path: Path, words: Words, clock: Callable[[], float]) -> None:
        upgrade(path)
        self._path = path
        self._words = words
        self._clock = clock
        self._engine = open_engine(path)
        # The engine keeps its connection from here on, so that the log that readers need is there.
        self._engine.connect().close()

    def close(self) -> None:
        self._engine.dispose()

    def revision(self) -> int:
        """The newest revision; 0 while nothing was ever written."""
        with closing(open_read_only(self._path)) as reading:
            row = reading.execute("SELECT coalesce(max(revision), 0) FROM changes").fetchone()
        return int(row[0])

    def apply(self, sites: Sequence[Site], who: str, dry_run: bool = False) -> Outcome:
        """
        Make it so that these accounts have exactly this; other accounts are not touched.

        Raises:
            ConfigError: a name is another account's, or a certificate has no fitting key;
                nothing has changed.
        """
        with self._engine.connect() as connection, connection.begin() as transaction:
            accounts = [site.account.name for site in sites]
            current = _current(connection, accounts)
            changes, certificates = plan(sites, current, self._words)
            revision = _revision(connection)
            owners = {
                domain_key(domain.name): site.account.name
                for site in sites
                for domain in site.domains
            }
            moved = moves(changes)
            _check_free(connection, moved.lost, moved.gained, owners)
            _check_keys(connection, certificates)
            if not changes:
                return Outcome(revision, ())
            revision += 1
            if dry_run:
                transaction.rollback()
                return Outcome(revision - 1, tuple(changes))
            _write_objects(connection, changes)
            _write_names(connection, moved.lost, moved.gained)
            _write_certificate_names(connection, changes, certificates)
            _write_history(connection, changes, revision, self._clock(), who)
        return Outcome(revision, tuple(changes))

    def export(self, account: str | None = None) -> Iterator[Site]:
        """Every account's site in the order of names, or one's; all of one snapshot."""
        with closing(open_read_only(self._path)) as reading:
            reading.execute("BEGIN")
            one = "" if account is None else " WHERE name = ?"
            names = () if account is None else (account,)
            query = f"SELECT name, body FROM accounts{one} ORDER BY name"  # noqa: S608
            for name, body in reading.execute(query, names):
                yield self._site(reading, name, body)

    def changes(self, since: int = 0, prefix: str = "") -> Iterator[Entry]:
        """History after a revision, oldest first; `prefix` is how the keys begin."""
        with closing(open_read_only(self._path)) as reading:
            rows = reading.execute(_HISTORY, (since, len(prefix), prefix))
            for revision, time, who, key, before, after in rows:
                yield Entry(revision, time, who, Change(key, before, after))

    def backup(self, destination: Path) -> None:
        """
        Write a copy of the store as it is now, whole or not at all.

        Raises:
            ConfigError: it cannot be written there.
        """
        part = destination.with_name(f"{destination.name}.part")
        try:
            # keys lie in it; who may read it is the operator's decision
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
            os.close(os.open(part, flags, 0o600))
            with (
                closing(open_read_only(self._path)) as source,
                closing(sqlite3.connect(part, isolation_level=None)) as copy,
            ):
                source.backup(copy)
                # one file, without a log beside it
                copy.execute("PRAGMA journal_mode = DELETE")
            os.rename(part, destination)
        except OSError as error:
            raise ConfigError(str(destination), f"cannot be written: {error.strerror}") from None
        except sqlite3.Error as error:
            raise ConfigError(str(destination), f"cannot be written: {error}") from None

    def put_certificate(self, name: str, chain: str, key: str, not_after: float) -> None:
        """Keep a certificate that was issued by us, in place of an older one for the name."""
        values = {"chain": chain, "key": key, "not_after": not_after}
        statement = upsert(CERTIFICATES_ISSUED).values(name=name, **values)
        with self._engine.begin() as connection:
            connection.execute(statement.on_conflict_do_update(["name"], set_=values))

    def put_secret(self, value: str) -> str:
        """
        Keep a private key; the reference that stands for it in site files is made of its
        contents, so that the same key has the same reference on every node.
        """
        reference = f"sha256-{hashlib.sha256(value.encode()).hexdigest()}"
        statement = upsert(SECRETS).values(reference=reference, value=value)
        with self._engine.begin() as connection:
            connection.execute(statement.on_conflict_do_nothing())
        return reference

    def _site(self, reading: sqlite3.Connection, account: str, body: str) -> Site:
        parts: dict[str, Any] = {}
        for table in ("apps", "pools", "domains", "certificates"):
            query = f"SELECT name, body FROM {table} WHERE account = ? ORDER BY name"  # noqa: S608
            parts[table] = tuple(
                object_of_row(_key(table[:-1], account, name), text, self._words)
                for name, text in reading.execute(query, (account,))
            )
        return Site(object_of_row(account_key(account), body, self._words), **parts)


def _key(kind: str, account: str, name: str) -> str:
    return domain_key(name) if kind == "domain" else owned_key(kind, account, name)


def _revision(connection: Connection) -> int:
    newest = select(CHANGES.c.revision).order_by(CHANGES.c.revision.desc()).limit(1)
    return connection.execute(newest).scalar() or 0


def _chunks(values: Iterable[str]) -> Iterator[list[str]]:
    every = list(values)
    for start in range(0, len(every), CHUNK):
        yield every[start : start + CHUNK]


def _current(connection: Connection, accounts: Sequence[str]) -> dict[str, str]:
    """The rows of everything these accounts have, by key; what stands on others comes first."""
    rows: dict[str, str] = {}
    for kind in ("certificate", "domain", "pool", "app", "account"):
        table = OBJECTS[kind]
        owner = table.c.name if kind == "account" else table.c.account
        query = select(owner, table.c.name, table.c.body)
        for chunk in _chunks(accounts):
            for account, name, body in connection.execute(query.where(owner.in_(chunk))):
                key = account_key(name) if kind == "account" else _key(kind, account, name)
                rows[key] = body
    return rows


def _check_free(
    connection: Connection,
    lost: Mapping[str, str],
    gained: Mapping[str, str],
    owners: Mapping[str, str],
) -> None:
    """Refuse names that stay with a domain which this call does not change."""
    there = select(NAMES.c.name, DOMAINS.c.account).join(DOMAINS, DOMAINS.c.name == NAMES.c.domain)
    by_order = {ordered(name): name for name in gained if name not in lost}
    for chunk in _chunks(by_order):
        row = connection.execute(there.where(NAMES.c.name.in_(chunk)).limit(1)).first()
        if row is not None:
            name = by_order[row[0]]
            raise taken(owners[domain_key(gained[name])], name, row[1])


def _check_keys(connection: Connection, certificates: Mapping[str, Certificate]) -> None:
    """Refuse certificates whose private key is not among the secrets, or not theirs."""
    references = {each.key for each in certificates.values()}
    secrets: dict[str, str] = {}
    for chunk in _chunks(references):
        query = select(SECRETS.c.reference, SECRETS.c.value).where(SECRETS.c.reference.in_(chunk))
        secrets.update((reference, value) for reference, value in connection.execute(query))
    for key, certificate in certificates.items():
        where = f"{key}: key"
        secret = secrets.get(certificate.key)
        if secret is None:
            raise ConfigError(where, "want the reference of a private key that was stored before")
        try:
            fits = public_key_of(secret) == read_chain(certificate.chain).public_key
        except ValueError as error:
            raise ConfigError(where, str(error)) from None
        if not fits:
            raise ConfigError(where, "want the private key of this certificate, not another one")


def _write_objects(connection: Connection, changes: Iterable[Change]) -> None:
    """Bring the rows of the objects up to date, with one statement a table and verb."""
    gone: dict[str, list[dict[str, str]]] = {}
    put: dict[str, list[dict[str, str]]] = {}
    for change in changes:
        kind, _, rest = change.key.partition("/")
        row = {"name": rest}
        if kind not in ("account", "domain"):
            row["account"], _, row["name"] = rest.partition("/")
        if change.after is None:
            gone.setdefault(kind, []).append(row)
            continue
        if kind == "domain":
            row["account"] = json.loads(change.after)["account"]
        put.setdefault(kind, []).append({**row, "body": change.after})
    for kind, rows in gone.items():
        _delete(connection, OBJECTS[kind], rows)
    for kind, rows in put.items():
        connection.execute(insert(OBJECTS[kind]).prefix_with("OR REPLACE"), rows)


def _delete(connection: Connection, table: Table, rows: list[dict[str, str]]) -> None:
    """Delete by the columns that the rows have, which are all alike."""
    statement = delete(table)
    for column in rows[0]:
        statement = statement.where(table.c[column] == bindparam(f"old_{column}"))
    connection.execute(statement, [{f"old_{c}": v for c, v in row.items()} for row in rows])


def _write_names(
    connection: Connection, lost: Mapping[str, str], gained: Mapping[str, str]
) -> None:
    if lost:
        _delete(connection, NAMES, [{"name": ordered(name)} for name in lost])
    if gained:
        rows = [{"name": ordered(name), "domain": domain} for name, domain in gained.items()]
        connection.execute(insert(NAMES), rows)


def _write_certificate_names(
    connection: Connection, changes: Iterable[Change], certificates: Mapping[str, Certificate]
) -> None:
    gone = []
    rows = []
    for change in changes:
        if change.kind != "certificate":
            continue
        _, account, name = change.key.split("/")
        if change.before is not None:
            gone += [
                {"name": each, "account": account, "certificate": name}
                for each in json.loads(change.before)["names"]
            ]
        certificate = certificates.get(change.key)
        if certificate is not None:
            not_after = read_chain(certificate.chain).not_after
            rows += [
                {"name": each, "account": account, "certificate": name, "not_after": not_after}
                for each in certificate.names
            ]
    if gone:
        _delete(connection, CERTIFICATE_NAMES, gone)
    if rows:
        connection.execute(insert(CERTIFICATE_NAMES), rows)


def _write_history(
    connection: Connection, changes: Iterable[Change], revision: int, time: float, who: str
) -> None:
    rows = [
        {
            "revision": revision,
            "sequence": sequence,
            "time": time,
            "who": who,
            "key": change.key,
            "before": change.before,
            "after": change.after,
        }
        for sequence, change in enumerate(changes)
    ]
    connection.execute(insert(CHANGES), rows)

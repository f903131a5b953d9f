"""
The route store as control sees it: the only place that writes.

In:  the API and the local CA, in control.
Out: rows, and for each call that changed something one revision in `changes`, in one
     transaction; readers see all of it or nothing.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from attrs import frozen
from sqlalchemy import Connection, Delete, Insert, Table, bindparam, delete, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from hostedge.errors import ConfigError
from hostedge.model.chain import Chain, public_key_of, read_chain
from hostedge.model.keys import account_key, domain_key, owned_key, secret_reference, zone_key
from hostedge.model.parse import Object, Words
from hostedge.model.site import Certificate, Site
from hostedge.routes.hostname import ordered
from hostedge.store.amendment import Edits, amended
from hostedge.store.plan import Change, Holder, moves, plan, taken
from hostedge.store.reader import object_of_row, open_read_only
from hostedge.store.tables import (
    CERTIFICATE_NAMES,
    CERTIFICATES_ISSUED,
    CHANGES,
    NAMES,
    NAMES_LOST,
    OBJECTS,
    SECRETS,
)
from hostedge.store.undo import undoing
from hostedge.store.upgrade import open_engine, upgrade
from hostedge.store.zones import check_zones, touch_zones, zone_row

CHUNK = 500  # values of one IN (…); SQLite takes 32,766 parameters a statement


@frozen
class Outcome:
    """What a call has changed, or would change; without changes the revision stays."""

    revision: int
    changes: tuple[Change, ...]


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

    def apply(self, sites: Sequence[Site], who: str, dry_run: bool = False) -> Outcome:
        """
        Make it so that these accounts have exactly this; other accounts are not touched.

        Raises:
            ConfigError: a name is another account's, or a certificate has no fitting key;
                nothing has changed.
        """
        with self._engine.begin() as connection:
            current = _current(connection, [site.account.name for site in sites])
            return self._bring(connection, sites, current, who, dry_run)

    def amend(self, edits: Edits, who: str, dry_run: bool = False) -> Outcome:
        """
        Make it so that these accounts have these objects under these keys, or none there;
        whatever else they have stays. A domain that changes hands is one edit of each of the
        two accounts.

        Raises:
            ConfigError: as for `apply`, or what would be left does not fit together.
        """
        with self._engine.begin() as connection:
            current = _current(connection, list(edits))
            sites = amended(current, edits, self._words)
            return self._bring(connection, sites, current, who, dry_run)

    def put(
        self, account: str, key: str, value: Object | None, who: str, dry_run: bool = False
    ) -> Outcome:
        """`amend` for one object of one account."""
        return self.amend({account: {key: value}}, who, dry_run)

    def undo(self, revision: int, who: str, dry_run: bool = False) -> Outcome:
        """
        Make every object that a revision has changed what it was before.

        Raises:
            Conflict: one of them has changed again since.
            ConfigError: as for `amend`, or there is no such revision.
        """
        with self._engine.begin() as connection:
            edits = undoing(connection, revision, self._words)
            current = _current(connection, list(edits))
            sites = amended(current, edits, self._words)
            return self._bring(connection, sites, current, who, dry_run)

    def _bring(
        self,
        connection: Connection,
        sites: Sequence[Site],
        current: Mapping[str, str],
        who: str,
        dry_run: bool,
    ) -> Outcome:
        """Bring the rows of some accounts to what their sites say; a dry run only checks."""
        changes, certificates = plan(sites, current, self._words)
        revision = _revision(connection)
        moved = moves(changes)
        _check_free(connection, moved.lost, moved.gained)
        check_zones(connection, changes)
        chains = _check_keys(connection, certificates)
        if changes and not dry_run:
            revision += 1
            owners = {
                domain_key(domain.name): site.account.name
                for site in sites
                for domain in site.domains
            }
            _write_objects(connection, changes, owners, revision)
            _write_names(connection, moved.lost, moved.gained, revision)
            touch_zones(connection, changes, moved, revision)
            _write_certificate_names(connection, changes, certificates, chains)
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

    def put_secrets(self, values: Sequence[str]) -> list[str]:
        """Keep private keys; answers the references that stand for them in site files."""
        references = [secret_reference(value) for value in values]
        rows: list[tuple[object, ...]] = [*zip(references, values, strict=True)]
        with self._engine.begin() as connection:
            _many(connection, upsert(SECRETS).on_conflict_do_nothing(), rows)
        return references

    def _site(self, reading: sqlite3.Connection, account: str, body: str) -> Site:
        parts: dict[str, Any] = {}
        for table in ("apps", "pools", "domains", "certificates", "zones"):
            query = f"SELECT name, body FROM {table} WHERE account = ? ORDER BY name"  # noqa: S608
            parts[table] = tuple(
                object_of_row(_key(table[:-1], account, name), text, self._words)
                for name, text in reading.execute(query, (account,))
            )
        return Site(object_of_row(account_key(account), body, self._words), **parts)


def _key(kind: str, account: str, name: str) -> str:
    if kind == "domain":
        return domain_key(name)
    return zone_key(name) if kind == "zone" else owned_key(kind, account, name)


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
    for kind in ("zone", "certificate", "domain", "pool", "app", "account"):
        table = OBJECTS[kind]
        owner = table.c.name if kind == "account" else table.c.account
        query = select(owner, table.c.name, table.c.body)
        for chunk in _chunks(accounts):
            for account, name, body in connection.execute(query.where(owner.in_(chunk))):
                key = account_key(name) if kind == "account" else _key(kind, account, name)
                rows[key] = body
    return rows


def _check_free(
    connection: Connection, lost: Mapping[str, Holder], gained: Mapping[str, Holder]
) -> None:
    """Refuse names that stay with a domain which this call does not change."""
    there = select(NAMES.c.name, NAMES.c.account)
    by_order = {ordered(name): name for name in gained if name not in lost}
    for chunk in _chunks(by_order):
        row = connection.execute(there.where(NAMES.c.name.in_(chunk)).limit(1)).first()
        if row is not None:
            name = by_order[row[0]]
            raise taken(gained[name][1], name, row[1])


def _check_keys(
    connection: Connection, certificates: Mapping[str, Certificate]
) -> dict[str, Chain]:
    """
    Refuse certificates whose private key is not among the secrets, or not theirs; answer with
    what the others say.
    """
    chains: dict[str, Chain] = {}
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
            chains[key] = read_chain(certificate.chain)
            fits = public_key_of(secret) == chains[key].public_key
        except ValueError as error:
            raise ConfigError(where, str(error)) from None
        if not fits:
            raise ConfigError(where, "want the private key of this certificate, not another one")
    return chains


def _write_objects(
    connection: Connection, changes: Iterable[Change], owners: Mapping[str, str], revision: int
) -> None:
    """Bring the rows of the objects up to date, with one statement a table and verb."""
    gone: dict[str, list[tuple[object, ...]]] = {kind: [] for kind in OBJECTS}
    put: dict[str, list[tuple[object, ...]]] = {kind: [] for kind in OBJECTS}
    for change in changes:
        kind, body = change.kind, change.after
        # in the order of the primary key's columns: a name, or account and name
        place = tuple(change.key.split("/")[1:])
        if body is None:
            gone[kind].append(place)
        elif kind == "domain":
            put[kind].append((*place, owners[change.key], body))
        elif kind == "zone":
            put[kind].append(zone_row(body, revision))
        else:
            put[kind].append((*place, body))
    for kind, table in OBJECTS.items():
        _many(connection, _delete_by_key(table), gone[kind])
        _many(connection, insert(table).prefix_with("OR REPLACE"), put[kind])


def _delete_by_key(table: Table) -> Delete:
    statement = delete(table)
    for column in table.primary_key:
        statement = statement.where(column == bindparam(f"old_{column.name}"))
    return statement


def _many(
    connection: Connection, statement: Insert | Delete, rows: list[tuple[object, ...]]
) -> None:
    """
    Run a statement once for each row, values in the order of its columns. Handing rows of an
    import through SQLAlchemy one by one takes longer than writing them.
    """
    if rows:
        connection.exec_driver_sql(str(statement.compile(connection.engine)), rows)


def _write_names(
    connection: Connection, lost: Mapping[str, Holder], gained: Mapping[str, Holder], revision: int
) -> None:
    _many(connection, _delete_by_key(NAMES), [(ordered(name),) for name in lost])
    traces: list[tuple[object, ...]] = [
        (ordered(name), revision, domain) for name, (domain, _) in lost.items()
    ]
    _many(connection, insert(NAMES_LOST), traces)
    _many(connection, insert(NAMES), [(ordered(name), *holder) for name, holder in gained.items()])


def _write_certificate_names(
    connection: Connection,
    changes: Iterable[Change],
    certificates: Mapping[str, Certificate],
    chains: Mapping[str, Chain],
) -> None:
    gone: list[tuple[object, ...]] = []
    rows: list[tuple[object, ...]] = []
    for change in changes:
        if change.kind != "certificate":
            continue
        _, account, name = change.key.split("/")
        if change.before is not None:
            names = json.loads(change.before)["names"]
            gone += [(each, account, name) for each in names]
        certificate = certificates.get(change.key)
        if certificate is not None:
            not_after = chains[change.key].not_after
            rows += [(each, account, name, not_after) for each in certificate.names]
    _many(connection, _delete_by_key(CERTIFICATE_NAMES), gone)
    _many(connection, insert(CERTIFICATE_NAMES), rows)


def _write_history(
    connection: Connection, changes: Iterable[Change], revision: int, time: float, who: str
) -> None:
    rows: list[tuple[object, ...]] = [
        (revision, sequence, time, who, change.key, change.before, change.after)
        for sequence, change in enumerate(changes)
    ]
    _many(connection, insert(CHANGES), rows)

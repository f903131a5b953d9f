"""
The route store as everybody but control sees it: read-only, one short query at a time.

In:  edges, the template and the keeper, each with a connection of its own made after the fork.
Out: values of the model; what a host needs is read in one snapshot.

Plain sqlite3: what SQLAlchemy takes to import is more than an edge may weigh.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from attrs import frozen

from hostedge.errors import ConfigError
from hostedge.model.keys import (
    account_key,
    domain_key,
    name_key,
    named_by,
    names_of,
    owned_key,
    zone_key,
)
from hostedge.model.parse import Words, parse_object
from hostedge.model.records import zone_of_row
from hostedge.model.site import Account, App, Domain, Found, FoundZone, Pool
from hostedge.routes.hostname import from_ordered, ordered, wildcard_of

# Before and after every name in normal form.
FIRST = ""
LAST = "\x7f"

BUSY_TIMEOUT = 1.0  # a reader waits only while a crashed writer's log is recovered

# the newest of `store.migrations`: an edge may start before control has upgraded an older store,
# and would take what it finds there for other things
SCHEMA = "0004"

_SCHEMA = "SELECT version_num FROM alembic_version"
_REVISION = "SELECT coalesce(max(revision), 0) FROM changes"
_DOMAIN = (
    "SELECT d.account, d.name, d.body, a.body FROM names n"
    " JOIN domains d ON d.name = n.domain JOIN accounts a ON a.name = d.account"
    " WHERE n.name = ?"
)
_OWNER = "SELECT d.account FROM names n JOIN domains d ON d.name = n.domain WHERE n.name = ?"
_APP = "SELECT body FROM apps WHERE account = ? AND name = ?"
# the words of the index's condition, or SQLite does not use it
_ALWAYS_ON = (
    "SELECT account, name FROM apps INDEXED BY apps_always_on"
    " WHERE json_extract(body, '$.always_on')"
)
_POOL = "SELECT body FROM pools WHERE account = ? AND name = ?"
_ACCOUNT = "SELECT body FROM accounts WHERE name = ?"
_SERVED = "SELECT 1 FROM names WHERE name IN (?, ?) LIMIT 1"
_BEFORE = "SELECT name FROM names WHERE name <= ? ORDER BY name DESC LIMIT 1"
_AFTER = "SELECT name FROM names WHERE name >= ? ORDER BY name LIMIT 1"
_BEFORE_OF = "SELECT name FROM names WHERE account = ? AND name <= ? ORDER BY name DESC LIMIT 1"
_AFTER_OF = "SELECT name FROM names WHERE account = ? AND name >= ? ORDER BY name LIMIT 1"
# `"` comes directly after `!`: from the one to the other is everything below a name
_HOSTED = "SELECT name FROM names WHERE name >= ? AND name < ?"
_ZONES_BELOW = "SELECT name FROM zones WHERE place > ? AND place < ?"
_ZONE = "SELECT body, account, serial FROM zones WHERE name = ?"
_SERIAL = "SELECT serial FROM zones WHERE name = ?"
_ZONE_BEFORE = "SELECT place FROM zones WHERE place <= ? ORDER BY place DESC LIMIT 1"
_ZONE_AFTER = "SELECT place FROM zones WHERE place >= ? ORDER BY place LIMIT 1"
_OWN_CERTIFICATE = (
    "SELECT json_extract(c.body, '$.chain'), s.value, n.not_after FROM certificate_names n"
    " JOIN certificates c ON c.account = n.account AND c.name = n.certificate"
    " JOIN secrets s ON s.reference = json_extract(c.body, '$.key')"
    " WHERE n.name = ? AND n.account = ? ORDER BY n.not_after DESC LIMIT 1"
)
_ISSUED = "SELECT chain, key, not_after FROM certificates_issued WHERE name = ?"
_CHANGED = (
    "SELECT key,"
    " CASE WHEN key LIKE 'domain/%' OR key LIKE 'certificate/%' THEN before END,"
    " CASE WHEN key LIKE 'domain/%' OR key LIKE 'certificate/%' THEN after END"
    " FROM changes WHERE revision > ? ORDER BY revision, sequence LIMIT ?"
)


@frozen
class IssuedCertificate:
    """A chain with its private key, both PEM, and its last second."""

    chain: bytes
    key: bytes
    not_after: float


def open_read_only(path: Path) -> sqlite3.Connection:
    """
    Open the store so that nothing can be written, by nobody's mistake.

    Raises:
        ConfigError: it is not there, cannot be read, or has the tables of another version.
    """
    try:
        connection = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode=ro",
            uri=True,
            timeout=BUSY_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
        )
        (schema,) = connection.execute(_SCHEMA).fetchone() or ("none",)
    except sqlite3.Error as error:
        raise ConfigError(str(path), f"is no route store that can be read: {error}") from None
    if schema != SCHEMA:
        connection.close()
        raise ConfigError(str(path), f"has tables of version {schema}, want {SCHEMA}")
    return connection


class StoreReader:
    """One connection; every call sees the newest committed revision."""

    def __init__(self, path: Path, words: Words) -> None:
        self._connection = open_read_only(path)
        self._words = words

    def close(self) -> None:
        self._connection.close()

    def revision(self) -> int:
        """The newest revision; 0 while nothing was ever written."""
        return cast(int, self._one(_REVISION)[0])

    def find(self, name: str) -> Found | None:
        """All that is needed to answer for this name, or None: no such name, no wildcard."""
        with self._snapshot():
            revision = self.revision()
            row = self._one(_DOMAIN, ordered(name))
            if row is None:
                wildcard = wildcard_of(name)
                row = self._one(_DOMAIN, ordered(wildcard)) if wildcard else None
                if row is None:
                    return None
                name = cast(str, wildcard)
            owner, key, body, account = row
            domain = self._made(domain_key(key), body)
            apps, pools = self._named_by(domain, owner)
        return Found(name, domain, self._made(account_key(owner), account), apps, pools, revision)

    def gap(self, name: str) -> tuple[str, str]:
        """
        The neighbours between which no name lies, in the form of `ordered`; both are the name
        itself if it exists.
        """
        return self._neighbours(_BEFORE, _AFTER, ordered(name))

    def hosted_gap(self, name: str, account: str | None) -> tuple[str, str]:
        """The same among the host names of one account's domains; None: of every account's."""
        if account is None:
            return self.gap(name)
        return self._neighbours(_BEFORE_OF, _AFTER_OF, account, ordered(name))

    def zone(self, name: str) -> FoundZone | None:
        """The zone of exactly this name."""
        with self._snapshot():
            revision = self.revision()
            row = self._one(_ZONE, name)
        if row is None:
            return None
        body, account, serial = row
        return FoundZone(self._made(zone_key(name), body), account, serial, revision)

    def zone_serial(self, name: str) -> int | None:
        """The serial of a zone, without its records; None: there is none of exactly this name."""
        row = self._one(_SERIAL, name)
        return None if row is None else cast(int, row[0])

    def zone_gap(self, name: str) -> tuple[str, str]:
        """The neighbours between which no zone lies, as `gap` has them for host names."""
        return self._neighbours(_ZONE_BEFORE, _ZONE_AFTER, ordered(name))

    def served(self, name: str) -> bool:
        """Say whether the name belongs to a domain of ours."""
        wildcard = wildcard_of(name) or name
        return self._one(_SERVED, ordered(name), ordered(wildcard)) is not None

    def app(self, account: str, name: str) -> tuple[Account, App] | None:
        """An app and its owner."""
        with self._snapshot():
            app = self._one(_APP, account, name)
            owner = self._one(_ACCOUNT, account)
        if app is None or owner is None:
            return None
        return (
            self._made(account_key(account), owner[0]),
            self._made(owned_key("app", account, name), app[0]),
        )

    def always_on(self) -> list[str]:
        """The keys `account/name` of the apps that run without having been asked for."""
        rows = self._connection.execute(_ALWAYS_ON)
        return [f"{account}/{name}" for account, name in rows]

    def is_suspended(self, account: str) -> bool:
        """Say whether nothing of this account may run."""
        row = self._one(_ACCOUNT, account)
        return row is not None and bool(self._made(account_key(account), row[0]).suspended)

    def certificate(self, name: str) -> IssuedCertificate | None:
        """
        The certificate for a server name: the owner's own one for exactly this name, the
        owner's own wildcard, one issued by us. An account's certificate for a name that
        another account serves is never used.
        """
        wildcard = wildcard_of(name)
        with self._snapshot():
            owner = self._one(_OWNER, ordered(name))
            if owner is None and wildcard:
                owner = self._one(_OWNER, ordered(wildcard))
            row = None
            if owner is not None:
                row = self._one(_OWN_CERTIFICATE, name, owner[0])
                if row is None and wildcard:
                    row = self._one(_OWN_CERTIFICATE, wildcard, owner[0])
            if row is None:
                row = self._one(_ISSUED, name)
        if row is None:
            return None
        chain, key, not_after = row
        return IssuedCertificate(chain.encode(), key.encode(), not_after)

    def changed_keys(self, since: int, limit: int = 10_000) -> tuple[int, list[str] | None]:
        """
        The revision now, and the keys of everything that changed after `since`; None: that is
        too much to name, drop everything.

        Beside the objects' own keys there is `name/…` for each name that leads elsewhere, to
        nothing, or to another certificate now; a wildcard there means all names it covers.
        """
        with self._snapshot():
            revision = self.revision()
            if since > revision:
                return revision, None
            rows = self._connection.execute(_CHANGED, (since, limit + 1)).fetchall()
        if len(rows) > limit:
            return revision, None
        keys: dict[str, None] = {}
        for key, before, after in rows:
            keys[key] = None
            for name in _moved_names(key, before, after):
                keys[name_key(name)] = None
        return revision, list(keys)

    def _named_by(self, domain: Domain, owner: str) -> tuple[dict[str, App], dict[str, Pool]]:
        """The apps and pools that the mappings name, as far as they exist."""
        apps: dict[str, App] = {}
        pools: dict[str, Pool] = {}
        for mapping in domain.mappings:
            for _, kind, name in named_by(mapping.to):
                found: dict[str, Any] = apps if kind == "app" else pools
                if name in found:
                    continue
                row = self._one(_APP if kind == "app" else _POOL, owner, name)
                if row is not None:
                    found[name] = self._made(owned_key(kind, owner, name), row[0])
        return apps, pools

    def hosted(self, name: str, account: str | None, limit: int) -> list[str]:
        """At most so many host names of one account, or of all, at a name and below it."""
        place = ordered(name)
        statement, values = _HOSTED, [place, f'{place}"']
        if account is not None:
            statement, values = f"{statement} AND account = ?", [*values, account]
        rows = self._connection.execute(f"{statement} ORDER BY name LIMIT {limit:d}", values)
        return [from_ordered(key) for (key,) in rows]

    def zones_below(self, name: str) -> list[str]:
        """All zones below this one."""
        place = ordered(name)
        rows = self._connection.execute(_ZONES_BELOW, (f"{place}!", f'{place}"'))
        return [zone for (zone,) in rows]

    def _neighbours(self, before: str, after: str, *values: str) -> tuple[str, str]:
        with self._snapshot():
            first, last = self._one(before, *values), self._one(after, *values)
        return first[0] if first else FIRST, last[0] if last else LAST

    def _one(self, statement: str, *values: str) -> Any:
        return self._connection.execute(statement, values).fetchone()

    def _made(self, key: str, body: str) -> Any:
        return object_of_row(key, body, self._words)

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")


def object_of_row(key: str, body: str, words: Words) -> Any:
    """The object that a row's body is; the owner of a domain or zone stands beside it."""
    document = json.loads(body)
    if key.startswith("zone/"):
        return zone_of_row(document)
    if key.startswith("domain/"):
        document.pop("account", None)
    return parse_object(key, document, words)


def _moved_names(key: str, before: str | None, after: str | None) -> set[str]:
    old, new = (_names_in(key, body) for body in (before, after))
    # Other contents of a domain are found by its key; a certificate is only found by name.
    moved = old | new if key.startswith("certificate/") else old ^ new
    return {name for name, _ in moved}


def _names_in(key: str, body: str | None) -> set[tuple[str, str]]:
    """The names in a domain or certificate, each with the account that has it."""
    if body is None:
        return set()
    document = json.loads(body)
    if key.startswith("domain/"):
        names = names_of(Domain(document["name"], tuple(document.get("aliases", ()))))
        return {(name, document["account"]) for name in names}
    return {(name, "") for name in document["names"]}

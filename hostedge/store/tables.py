"""
The tables of the route store.

In:  the writer builds its statements of them; `store.upgrade` brings a file up to them.
Out: SQLAlchemy metadata. Readers use plain SQL (`store.reader`); the names must agree.

Objects, one row each, `body` the object as JSON; history in `changes`:

    accounts apps pools domains certificates zones

Found by name, derived of the objects and written with them:

    names               every name and alias, labels turned round -> domain and its account
    names_lost          which domain a name was taken from, and when: what it led to before
    certificate_names   what customers' own certificates are good for

State, outside history, export and undo:

    certificates_issued secrets
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, MetaData, Table, Text, text

METADATA = MetaData()

ACCOUNTS = Table(
    "accounts",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("body", Text, nullable=False),
)
DOMAINS = Table(
    "domains",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("account", Text, nullable=False),
    Column("body", Text, nullable=False),
    Index("domains_by_account", "account"),
)

ZONES = Table(
    "zones",
    METADATA,
    Column("name", Text, primary_key=True),
    # `routes.hostname.ordered`, as in `names`
    Column("place", Text, nullable=False),
    Column("account", Text, nullable=False),
    # whether host names of other accounts change its answers as well
    Column("shared", Boolean, nullable=False),
    # the revision at which its answers may have changed last
    Column("serial", Integer, nullable=False),
    # a zone is large: what is looked for is read without it
    Column("body", Text, nullable=False),
    Index("zones_by_place", "place", unique=True),
    Index("zones_by_account", "account"),
)


def _owned(name: str, *more: Index) -> Table:
    return Table(
        name,
        METADATA,
        Column("account", Text, primary_key=True),
        Column("name", Text, primary_key=True),
        Column("body", Text, nullable=False),
        *more,
    )


# a keeper that begins looks for the few that run without having been asked for
ALWAYS_ON = text("json_extract(body, '$.always_on')")
APPS = _owned("apps", Index("apps_always_on", "account", "name", sqlite_where=ALWAYS_ON))
POOLS = _owned("pools")
CERTIFICATES = _owned("certificates")

NAMES = Table(
    "names",
    METADATA,
    # `routes.hostname.ordered`: the neighbours of a name are the gap it lies in
    Column("name", Text, primary_key=True),
    Column("domain", Text, nullable=False),
    Column("account", Text, nullable=False),
    Index("names_by_account", "account", "name"),
    sqlite_with_rowid=False,
)
NAMES_LOST = Table(
    "names_lost",
    METADATA,
    # as in `names`
    Column("name", Text, primary_key=True),
    Column("revision", Integer, primary_key=True),
    # had it until this revision
    Column("domain", Text, nullable=False),
    sqlite_with_rowid=False,
)
CERTIFICATE_NAMES = Table(
    "certificate_names",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("account", Text, primary_key=True),
    Column("certificate", Text, primary_key=True),
    Column("not_after", Float, nullable=False),
    sqlite_with_rowid=False,
)
CHANGES = Table(
    "changes",
    METADATA,
    # one for each call that changed something; the store's revision is the highest
    Column("revision", Integer, primary_key=True),
    Column("sequence", Integer, primary_key=True),
    Column("time", Float, nullable=False),
    Column("who", Text, nullable=False),
    Column("key", Text, nullable=False),
    # the row's body; NULL: it was not there, or is not any more
    Column("before", Text),
    Column("after", Text),
    Index("changes_by_key", "key", "revision"),
)
CERTIFICATES_ISSUED = Table(
    "certificates_issued",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("chain", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("not_after", Float, nullable=False),
)
SECRETS = Table(
    "secrets",
    METADATA,
    Column("reference", Text, primary_key=True),
    Column("value", Text, nullable=False),
)

# The tables of objects by the first word of their keys.
OBJECTS = {
    "account": ACCOUNTS,
    "app": APPS,
    "pool": POOLS,
    "domain": DOMAINS,
    "certificate": CERTIFICATES,
    "zone": ZONES,
}

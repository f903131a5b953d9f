"""
The route store as the manhole shows it: values that are frozen, and nothing that writes.

In:  the manhole's `store`.
Out: the objects of the model as of now; what is not there is a sentence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Protocol

from hostedge.cli.table import table
from hostedge.console.layout import Answer
from hostedge.errors import ConfigError
from hostedge.model.site import Account, App, Domain, Found, FoundZone, Pool, Site

RECENT = 50  # revisions that `changes` looks back
MOST = 500  # changes in one answer


class Change(Protocol):
    @property
    def key(self) -> str: ...

    @property
    def before(self) -> str | None: ...

    @property
    def after(self) -> str | None: ...


class Entry(Protocol):
    @property
    def revision(self) -> int: ...

    @property
    def time(self) -> float: ...

    @property
    def who(self) -> str: ...

    @property
    def change(self) -> Change: ...


class Writer(Protocol):
    """What is read of `store.writer.RouteStore`."""

    def export(self, account: str | None = None) -> Iterator[Site]: ...


class History(Protocol):
    """What was: `store.history.History`."""

    def entries(self, key: str = "", after: int = 0) -> Iterator[Entry]: ...


class Reader(Protocol):
    """What is needed of `store.reader.StoreReader`."""

    def revision(self) -> int: ...

    def find(self, name: str) -> Found | None: ...

    def zone(self, name: str) -> FoundZone | None: ...


class Stored:
    """
    The route store, to be read. Every call has what is committed now, in well under a millisecond.
    """

    def __init__(self, writer: Writer, history: History, reader: Reader) -> None:
        self._writer = writer
        self._history = history
        self._reader = reader

    def __repr__(self) -> str:
        words = [name for name in vars(Stored) if not name.startswith("_")]
        return f"<the route store at revision {self.revision()}: {', '.join(words)}>"

    def revision(self) -> int:
        """The newest revision."""
        return self._reader.revision()

    def site(self, account: str) -> Site:
        """All that an account has."""
        for site in self._writer.export(account):
            return site
        raise ConfigError("store", f"there is no account {account}")

    def account(self, name: str) -> Account:
        """An account by its name."""
        return self.site(name).account

    def app(self, name: str) -> App:
        """An app, `ACCOUNT/APP`."""
        account, app = _owned("app", name)
        found: App = _named(self.site(account).apps, "app", app, account)
        return found

    def pool(self, name: str) -> Pool:
        """A pool, `ACCOUNT/POOL`."""
        account, pool = _owned("pool", name)
        found: Pool = _named(self.site(account).pools, "pool", pool, account)
        return found

    def domain(self, name: str) -> Domain:
        """The domain that answers for a host name: by its name, an alias or a wildcard."""
        return self.find(name).domain

    def find(self, name: str) -> Found:
        """All that an edge reads to answer for a host name."""
        found = self._reader.find(name)
        if found is None:
            raise ConfigError("store", f"no domain answers for {name}")
        return found

    def zone(self, name: str) -> FoundZone:
        """The zone of exactly this name, with its owner and serial number."""
        found = self._reader.zone(name)
        if found is None:
            raise ConfigError("store", f"there is no zone {name}")
        return found

    def changes(self, since: int | None = None, key: str = "") -> Answer:
        """
        History after a revision, or of the last ones: of all, of an object, `app/demo/hello`, of
        those below a prefix, `app/demo/`, or of a host name.
        """
        if since is None:
            since = 0 if key else max(0, self.revision() - RECENT)
        entries = islice(self._history.entries(key, since), MOST)
        return Answer(tuple(map(_entry, entries)), _change_lines)


def _owned(kind: str, name: str) -> tuple[str, str]:
    account, slash, rest = name.partition("/")
    if not slash:
        raise ConfigError("store", f"want ACCOUNT/{kind.upper()}, not {name!r}")
    return account, rest


def _named(among: tuple[Any, ...], kind: str, name: str, account: str) -> Any:
    for each in among:
        if each.name == name:
            return each
    raise ConfigError("store", f"account {account} has no {kind} {name}")


def _entry(entry: Entry) -> tuple[int, str, str, str, str, Any, Any]:
    change = entry.change
    what = "changed"
    if change.before is None:
        what = "created"
    elif change.after is None:
        what = "deleted"
    when = datetime.fromtimestamp(entry.time, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    before, after = (json.loads(text or "null") for text in (change.before, change.after))
    return entry.revision, when, entry.who, what, change.key, before, after


def _change_lines(entries: Any, width: int) -> Iterator[str]:
    if not entries:
        yield "Nothing has changed there."
        return
    head = ("REVISION", "TIME", "WHO", "CHANGE", "OBJECT")
    yield from table(head, [each[:5] for each in entries], right=("REVISION",), width=width)
    if len(entries) == MOST:
        yield f"({MOST} changes; go on with since={entries[-1][0]})"

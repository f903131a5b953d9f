"""
The route store as the manhole shows it: values that are frozen, and nothing that writes.

In:  the manhole's `store`.
Out: the objects of the model as of now; what is not there is a sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Protocol

from hostedge.api.history import document
from hostedge.api.parts import History
from hostedge.cli.history import change_lines
from hostedge.console.layout import Answer, freeze
from hostedge.errors import ConfigError
from hostedge.model.site import Account, App, Domain, Found, FoundZone, Pool, Site

RECENT = 50  # revisions that `changes` looks back
MOST = 500  # changes in one answer


class Sites(Protocol):
    """What is read of `store.writer.RouteStore`."""

    def export(self, account: str | None = None) -> Iterator[Site]: ...


class Reader(Protocol):
    """What is needed of `store.reader.StoreReader`."""

    def revision(self) -> int: ...

    def find(self, name: str) -> Found | None: ...

    def zone(self, name: str) -> FoundZone | None: ...


class Stored:
    """
    The route store, to be read. Every call has what is committed now.
    """

    def __init__(self, sites: Sites, history: History, reader: Reader) -> None:
        self._sites = sites
        self._history = history
        self._reader = reader

    def __repr__(self) -> str:
        return f"<the route store at revision {self.revision()}; more: help(store)>"

    def revision(self) -> int:
        """The newest revision."""
        return self._reader.revision()

    def site(self, account: str) -> Site:
        """All that an account has."""
        for site in self._sites.export(account):
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
        return Answer(freeze(list(map(document, entries))), _change_lines)


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


def _change_lines(entries: Any, width: int) -> Iterator[str]:
    yield from change_lines(entries, width)
    if len(entries) == MOST:
        yield f"({MOST} changes; for more: hostedge changes --since {entries[-1]['revision']})"

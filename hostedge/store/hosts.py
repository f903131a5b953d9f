"""
What an edge keeps of the route store: the hosts in use, compiled, and where no names are.

In:  the protocols ask for a name; `Changed` from control says that the store has moved on.
Out: routes, or None for a name that is not ours; subscribers hear which keys changed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Generic, Protocol, TypeVar

from attrs import frozen

from hostedge.model.keys import account_key, domain_key, keys_named_by
from hostedge.model.site import Found
from hostedge.routes.hostname import ordered, wildcard_of
from hostedge.store.gaps import Gaps

Routes = TypeVar("Routes")
# The changed keys, or None: anything may have changed.
Subscriber = Callable[[Collection[str] | None], object]


class Reader(Protocol):
    """What is needed of `store.reader.StoreReader`."""

    def revision(self) -> int: ...

    def find(self, name: str) -> Found | None: ...

    def gap(self, name: str) -> tuple[str, str]: ...

    def changed_keys(self, since: int) -> tuple[int, list[str] | None]: ...


@frozen
class HostStats:
    """How much is kept, and how often the store was asked."""

    hosts: int
    gaps: int
    loads: int
    unknown: int
    evicted: int
    revision: int


class _Host(Generic[Routes]):
    """One compiled host; `used` since the last look of whoever makes room."""

    __slots__ = ("keys", "routes", "used")

    def __init__(self, routes: Routes, keys: frozenset[str]) -> None:
        self.routes = routes
        self.keys = keys
        self.used = True


class Hosts(Generic[Routes]):
    """
    At most `size` hosts and as many gaps; none is older than the revision taken in last.

    A name under a wildcard is answered by the wildcard's one host, so made-up names below it
    take no room.
    """

    def __init__(
        self, reader: Reader, compile: Callable[[Found], Routes], size: int = 10_000
    ) -> None:
        self._reader = reader
        self._compile = compile
        self._size = size
        # oldest first; the second chance of `_make_room` moves hosts to the end
        self._hosts: dict[str, _Host[Routes]] = {}
        self._by_key: dict[str, set[str]] = {}
        self._gaps = Gaps(size)
        self._subscribers: list[Subscriber] = []
        self._keepers: list[Callable[[], object]] = []
        self._revision = reader.revision()
        self._loads = self._unknown = self._evicted = 0

    @property
    def revision(self) -> int:
        """The newest revision that everything here is at least as new as."""
        return self._revision

    def subscribe(self, subscriber: Subscriber, keeps: Callable[[], object] | None = None) -> None:
        """
        Have this called with what changed, before `changed` returns. While it `keeps` something,
        what changed is read for its sake; else it may hear None though little has changed.
        """
        self._subscribers.append(subscriber)
        if keeps is not None:
            self._keepers.append(keeps)

    def lookup(self, name: str) -> Routes | None:
        """The routes of a name in normal form, or None: it is not ours."""
        host = self._hosts.get(name)
        if host is not None:
            host.used = True
            return host.routes
        return self._look_further(name)

    def changed(self, revision: int) -> int:
        """
        Drop whatever changed up to this revision; answer with the one taken in, which is less
        only if the store itself has not got that far.

        A subscriber's exception passes through, and then nothing counts as taken in.
        """
        if revision <= self._revision:
            return self._revision
        now: int
        keys: list[str] | None = None
        if self._hosts or self._gaps or any(keeps() for keeps in self._keepers):
            now, keys = self._reader.changed_keys(self._revision)
        else:
            # nothing to drop one by one: an idle edge need not read what an import has written
            now = self._reader.revision()
        if keys is None:
            self._hosts.clear()
            self._by_key.clear()
            self._gaps.clear()
        else:
            for key in keys:
                self._drop(key)
        for subscriber in self._subscribers:
            subscriber(keys)
        self._revision = now
        return now

    def kept(self) -> Iterator[tuple[str, Routes]]:
        """Every host that is compiled."""
        for name, host in self._hosts.items():
            yield name, host.routes

    def stats(self) -> HostStats:
        return HostStats(
            len(self._hosts),
            len(self._gaps),
            self._loads,
            self._unknown,
            self._evicted,
            self._revision,
        )

    def _look_further(self, name: str) -> Routes | None:
        """Answer by the wildcard or by the gaps; ask the store only where both are silent."""
        wildcard = wildcard_of(name)
        if self._gaps.covers(ordered(name)):
            host = self._hosts.get(wildcard) if wildcard else None
            if host is not None:
                host.used = True
                return host.routes
            if wildcard is None or self._gaps.covers(ordered(wildcard)):
                self._unknown += 1
                return None
        return self._load(name, wildcard)

    def _load(self, name: str, wildcard: str | None) -> Routes | None:
        self._loads += 1
        found = self._reader.find(name)
        if found is None or found.name != name:
            self._gaps.learn(*self._reader.gap(name))
        if found is None:
            if wildcard:
                self._gaps.learn(*self._reader.gap(wildcard))
            return None
        routes = self._compile(found)
        if found.revision >= self._revision:
            self._keep(found, routes)
        return routes

    def _keep(self, found: Found, routes: Routes) -> None:
        if found.name in self._hosts:
            self._remove(found.name)
        if len(self._hosts) >= self._size:
            self._make_room()
        owner = found.account.name
        keys = keys_named_by(found.domain, owner)
        keys |= {domain_key(found.domain.name), account_key(owner)}
        self._hosts[found.name] = _Host(routes, frozenset(keys))
        for key in keys:
            self._by_key.setdefault(key, set()).add(found.name)

    def _make_room(self) -> None:
        """Remove the host that was not used for longest, give or take a round."""
        while True:
            name = next(iter(self._hosts))
            host = self._hosts[name]
            if not host.used:
                break
            host.used = False
            self._hosts[name] = self._hosts.pop(name)
        self._remove(name)
        self._evicted += 1

    def _remove(self, name: str) -> None:
        for key in self._hosts.pop(name).keys:
            names = self._by_key[key]
            names.discard(name)
            if not names:
                del self._by_key[key]

    def _drop(self, key: str) -> None:
        for name in tuple(self._by_key.get(key, ())):
            self._remove(name)
        kind, _, name = key.partition("/")
        if kind == "name":
            # A name that was known moves with its domain's key. One that was not lies in a gap;
            # a wildcard's gap is part of every refusal of its whole suffix.
            self._gaps.forget(ordered(name))

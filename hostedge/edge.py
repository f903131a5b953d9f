"""
One edge as a whole: takes connections in, knows its hosts, explains, drains.

In:  `compose.edge` puts it together; the links ask it.
Out: connections for the protocols, each on its own transport.
"""

from __future__ import annotations

import os
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

from attrs import asdict, frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from hostedge.http.entrance import Connection, Entrance
from hostedge.http.exchange import Exchange, Leaf
from hostedge.http.h1 import H1
from hostedge.http.relay import Relay
from hostedge.model.limits import MappingLimits, limits_of
from hostedge.model.site import Account, App, Found, Pool
from hostedge.net.descriptors import Files
from hostedge.net.eager import EagerServer
from hostedge.net.listener import Acceptor, Listener, Share
from hostedge.net.rates import Rates
from hostedge.net.sources import Requests, Sources
from hostedge.observe.refused import Refusals
from hostedge.observe.sites import Sites
from hostedge.observe.tally import Tally
from hostedge.routes.compile import HostRoutes, Refusing
from hostedge.routes.explain import Step, explain
from hostedge.routes.readings import merged
from hostedge.settings import Limits, Settings
from hostedge.store.hosts import Hosts
from hostedge.ws.passage import Sockets

LOOK = 1.0  # seconds between two looks at which edges live
LAST = 0.02  # seconds between two looks at whether the last connection has ended

# takes an accepted socket and its peer's address
Connector = Callable[[socket.socket, tuple[Any, ...]], None]


class Certified(Protocol):
    """The certificates of an edge: `tls.certificates.Certificates`."""

    def explain(self, name: str) -> str: ...


class Links(Protocol):
    """`links.edge.EdgeLinks`, as far as its end goes."""

    service: Any

    def stop(self) -> None: ...


def make_router(
    hosts: Hosts[HostRoutes], sites: Sites, requests: Requests
) -> Callable[[Any], Leaf | str]:
    """What answers a request: a leaf, or the cause of a refusal."""
    lookup, active_site, add_site = hosts.lookup, sites.active.get, sites.add
    known_client, add_client = requests.askings.get, requests.add

    def route(exchange: Any) -> Leaf | str:
        asking = known_client(exchange.client) or add_client(exchange.client)
        if not asking.begin():
            return "source_busy"
        exchange.asking = asking
        host, shaken = exchange.host, exchange.server_name
        routes = lookup(host)
        if shaken and shaken != host and not exchange.hops:
            # over a proxy that is trusted it is the proxy's
            made_for = lookup(shaken)
            if routes is None or made_for is None or made_for.account != routes.account:
                return "misdirected"
        if routes is None:
            return "unknown_host"
        exchange.revision = routes.revision
        if routes.strict and exchange.scheme == b"https":
            exchange.strict = routes.strict
        exchange.site = site = active_site(routes.domain) or add_site(routes.domain)
        site.begun += 1
        if routes.merges:
            exchange.path = merged(exchange.path)
        return routes.only or routes.leaf(exchange.path) or "no_mapping"

    return route


def make_claim(hosts: Hosts[HostRoutes], sites: Sites) -> Callable[[Any], Leaf | str]:
    """
    Whose a request is that is refused for its head: it counts for that site, which has the page.

    No leaf is looked for, and nothing is counted for its source, as nobody is kept busy by it.
    """
    lookup = hosts.lookup

    def claim(exchange: Any) -> str:
        host, shaken = exchange.host, exchange.server_name
        routes = lookup(host) if host else None
        if routes is not None and shaken and shaken != host and not exchange.hops:
            made_for = lookup(shaken)
            if made_for is None or made_for.account != routes.account:
                routes = None
        if routes is not None:
            domain = routes.domain
            exchange.revision = routes.revision
            if routes.strict and exchange.scheme == b"https":
                exchange.strict = routes.strict
            exchange.site = site = sites.active.get(domain) or sites.add(domain)
            site.begun += 1
        return ""

    return claim


def make_pages(hosts: Hosts[HostRoutes]) -> Callable[[str, int], str]:
    """A site's own page for a host and the status of a refusal; empty: it has none."""

    def page(host: str, status: int) -> str:
        routes = hosts.lookup(host)
        return "" if routes is None else routes.page(status)

    return page


def make_past(
    find: Callable[[str, int], Found | None], compile: Callable[[Found], HostRoutes]
) -> Callable[[int, str], HostRoutes | None]:
    """What answered under a name at a revision."""

    def routes_at(revision: int, name: str) -> HostRoutes | None:
        found = find(name, revision)
        return None if found is None else compile(found)

    return routes_at


class CountedEntrance(Entrance):
    """An entrance that tells when one of its connections has ended, and whose it was."""

    def __init__(self, closed: Callable[[str], None], **parts: Any) -> None:
        super().__init__(**parts)
        self._closed = closed

    def remove(self, connection: Connection) -> None:
        super().remove(connection)
        self._closed(connection.client)


@frozen
class Gate:
    """
    Takes in connections as long as their source holds fewer than it may; `ended` is called once
    for each that was taken in.
    """

    share: Share
    sources: Sources
    counters: dict[str, int]

    def accept(
        self,
        take: Callable[[socket.socket, tuple[Any, ...], int], None],
        connected: socket.socket,
        client: tuple[Any, ...],
        reached_port: int = 0,
    ) -> None:
        if self.sources.is_full(client[0]):
            self.counters["source_full"] += 1
            connected.close()
            self.share.closed()
            return
        self.sources.opened(client[0])
        try:
            take(connected, client, reached_port)
        except Exception:
            self.sources.closed(client[0])
            raise

    def ended(self, client: str) -> None:
        self.share.closed()
        self.sources.closed(client)


def accept_plain(
    reactor: Any,
    entrance: Entrance,
    connected: socket.socket,
    client: tuple[Any, ...],
    reached_port: int,
) -> None:
    """Take in a connection that an HTTP listener has accepted."""
    connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    protocol = H1(entrance)
    # no Port of Twisted's has accepted it
    transport = EagerServer(connected, protocol, client, None, 0, reactor)  # type: ignore[arg-type]
    transport.reached_port = reached_port
    protocol.makeConnection(transport)


class Ladder(Protocol):
    """How hard pressed the edge is: `http.burden.Ladder`."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def report(self) -> dict[str, object]: ...


class Draining(Protocol):
    """All connections of one kind: an entrance, or `dns.tcp.DnsStreams`."""

    @property
    def in_flight(self) -> int: ...

    def stages(self) -> Counter[str]: ...

    def drain(self, keep_sockets: bool = False) -> Deferred[None]: ...

    def drain_sockets(self) -> None: ...

    def end(self) -> None: ...


class Datagrams(Protocol):
    """A reader of a socket that has no connections: `dns.udp.UdpReader`."""

    def start(self) -> None: ...

    def stop(self) -> None: ...


class Relays(Protocol):
    """`http.backends.Backends`, or `http.retrospect.Retrospect` for what was."""

    def relay_to_app(self, account: Account, app: App, limits: Limits) -> Relay: ...

    def relay_to_pool(self, account: str, pool: Pool, limits: Limits) -> Relay: ...


class EdgeParts:
    """What mappings build their leaves of."""

    def __init__(
        self,
        reactor: Any,
        settings: Settings,
        relays: Relays,
        sockets: Sockets,
        files: Files,
        rates: Rates,
    ) -> None:
        self.files = files
        self.limiter = rates.limiter
        self._reactor = reactor
        self._homes = settings.homes
        self._limits = settings.limits
        self._relays = relays
        self._sockets = sockets

    def limits(self, own: MappingLimits | None) -> Limits:
        return limits_of(own, self._limits)

    def relay_to_app(
        self, account: Account, app: App, own: MappingLimits | None, websocket: bool = False
    ) -> Leaf:
        if not app.enabled:
            name = f"{account.name}/{app.name}"
            return Refusing("disabled", f"app {name} is switched off by its owner", name)
        relay = self._relays.relay_to_app(account, app, self.limits(own))
        return self._sockets.leaf(relay) if websocket else relay

    def relay_to_pool(
        self, account: str, pool: Pool, own: MappingLimits | None, websocket: bool = False
    ) -> Leaf:
        relay = self._relays.relay_to_pool(account, pool, self.limits(own))
        return self._sockets.leaf(relay) if websocket else relay

    def home(self, account: str) -> str:
        return str(self._homes / account)

    def owner(self, account: str) -> int:
        """Whoever has the home; while there is none, nobody's files are served."""
        try:
            return os.stat(self._homes / account).st_uid
        except OSError:
            return -1

    def next_turn(self, call: Callable[[], None]) -> None:
        self._reactor.callLater(0, call)


class Edge(Service):
    """
    Accepts from `startService` until `drain`; ends the process when the last request is done.

    Datagrams are answered until then, unless another edge has followed: to leave them unread
    would make every resolver wait that asks meanwhile.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        listeners: tuple[Listener, ...],
        connectors: dict[str, Connector],
        datagrams: Sequence[Datagrams],
        entrances: Sequence[Draining],
        share: Share,
        ladder: Ladder,
        hosts: Hosts[HostRoutes],
        routes_at: Callable[[int, str], HostRoutes | None],
        certificates: Certified,
        counters: dict[str, int],
        tally: Tally,
        refusals: Refusals,
        sites: Sites,
        waiting: Callable[[], Iterator[Exchange]],
        backends: Callable[[int], bytes],
        links: Links,
        last: Callable[[], None],
    ) -> None:
        self._reactor = reactor
        self.listeners = listeners
        self._datagrams = datagrams
        self._entrances = entrances
        self._share = share
        self._ladder = ladder
        self._hosts = hosts
        self._routes_at = routes_at
        self._certificates = certificates
        self._counters = counters
        self._tally = tally
        self._refusals = refusals
        self._sites = sites
        self._waiting = waiting
        # a page of them, `http.backends.Backends.page`
        self.backends = backends
        self._links = links
        self._last = last
        self._acceptors = [
            Acceptor(reactor, each, connectors[each.protocol], share)
            for each in listeners
            if each.protocol in connectors
        ]
        self._ended = False
        # how the end comes once it has begun
        self._late: Any = None
        self._since = reactor.seconds()
        self._looking = LoopingCall(share.look)
        self._looking.clock = reactor

    def startService(self) -> None:
        super().startService()
        self._reactor.callWhenRunning(self._take_signals)
        self._links.service.startService()
        for acceptor in self._acceptors:
            acceptor.startReading()
        for reader in self._datagrams:
            reader.start()
        self._ladder.start()
        self._looking.start(LOOK)

    def _take_signals(self) -> None:
        def terminate(*_: object) -> None:
            self._reactor.callFromThread(self.drain, 0.0)

        signal.signal(signal.SIGTERM, terminate)
        # an interrupt at the terminal is the keeper's to pass on
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    # what the links ask

    def changed(self, revision: int) -> None:
        """Take in the store up to this revision."""
        self._hosts.changed(revision)

    def revision(self) -> int:
        return self._hosts.revision

    def explain(self, url: str, method: str, at: int = 0) -> list[dict[str, object]]:
        """
        Every step of a request for this URL, the certificate's first; with `at`, of one that
        had come when the store was at that revision.
        """
        lookup = partial(self._routes_at, at) if at else self._hosts.lookup
        steps = explain(url, method, lookup)
        parts = urlsplit(url)
        if parts.scheme == "https" and parts.hostname:
            reason = self._certificates.explain(parts.hostname)
            if at:
                # those issued by us are state, which has no history
                reason = f"now: {reason}"
            steps.insert(0, Step("certificate", parts.hostname, reason))
        return [asdict(step) for step in steps]

    def report(self) -> dict[str, object]:
        """What this edge is doing."""
        return {
            "connections": self._share.connections,
            "stages": self._stages(),
            "in_flight": sum(each.in_flight for each in self._entrances),
            "uptime": self._reactor.seconds() - self._since,
            "revision": self._hosts.revision,
            "hosts": asdict(self._hosts.stats()),
            **self._ladder.report(),
            **self._tally.report(),
            "counters": {name: count for name, count in self._counters.items() if count},
        }

    def _stages(self) -> dict[str, int]:
        """Connections by where they stand; `handshake`: they speak no protocol yet."""
        stages: Counter[str] = Counter()
        for entrance in self._entrances:
            stages += entrance.stages()
        return {"handshake": self._share.connections - stages.total(), **stages}

    def refused(self, before: int, cause: str, site: str, id: str) -> bytes:
        """A page of what was refused, as `observe.refused.Refusals` gives it."""
        return self._refusals.page(before, cause, site, id)

    def sites(self, after: int) -> bytes:
        """A page of what sites are doing, as `observe.sites.Sites` gives it."""
        waiting = Counter(each.site.name for each in self._waiting() if each.site is not None)
        return self._sites.page(after, waiting)

    def drain(self, deadline: float, sockets: float = 0.0) -> None:
        """
        Accept no more, let what runs finish within `deadline` seconds, then end. WebSockets are
        told to go after `sockets` seconds. Called again it can only become sooner.
        """
        now = self._reactor.seconds()
        if self._late is not None:
            if self._late.active() and now + deadline < self._late.getTime():
                self._late.reset(deadline)
            if not sockets:
                self._drain_sockets()
            return
        for acceptor in self._acceptors:
            acceptor.stop()
        self._share.leave()
        waiting = [entrance.drain(sockets > 0) for entrance in self._entrances]
        self._late = self._reactor.callLater(deadline, self._end)
        if sockets:
            self._reactor.callLater(sockets, self._drain_sockets)
            # another has followed this edge
            for reader in self._datagrams:
                reader.stop()
        Deferred.fromCoroutine(self._when(waiting)).addCallback(
            lambda _: self._reactor.callLater(0, self._end)
        )

    def _drain_sockets(self) -> None:
        for entrance in self._entrances:
            entrance.drain_sockets()

    async def _when(self, waiting: list[Deferred[None]]) -> None:
        for each in waiting:
            await each
        # those that shake hands are nowhere else counted
        while self._share.connections > 0 and not self._ended:
            await deferLater(self._reactor, LAST)

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        if self._looking.running:
            self._looking.stop()
        for entrance in self._entrances:
            entrance.end()
        self._ladder.stop()
        self._links.stop()
        self._last()
        self._reactor.stop()

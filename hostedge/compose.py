"""
The composition root: what each role is made of, top to bottom in the order of its start.

In:  `tap` for keeper and control, `links.template` for the template and its edges.
Out: services; everything is constructed here and nothing is started.
"""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from socket import AddressFamily
from time import monotonic
from typing import Any

from twisted.application.service import IService
from twisted.internet.threads import deferToThreadPool
from twisted.logger import LegacyLogObserverWrapper, globalLogBeginner
from twisted.python.log import FileLogObserver
from twisted.python.runtime import seconds

from hostedge.mappings.known import KINDS as MAPPINGS
from hostedge.memo import Memo
from hostedge.model.parse import Words
from hostedge.runtimes.known import KINDS as RUNTIMES
from hostedge.settings import Settings, read_settings

WORDS = Words(MAPPINGS, RUNTIMES)

# what TLS clients may speak with us, the best first
ALPN = (b"h2", b"http/1.1")

# seconds that a WebSocket has to answer when it is told to go
GOODBYE = 5.0
# seconds after which an edge is ended that should have left by itself
HUNG = 10.0


def keep_what_is_there() -> None:
    """
    From now on look for garbage, but only among what is made later: everything that was imported
    lasts as long as the process. An edge that looks must not write to the template's pages.
    """
    gc.freeze()
    gc.enable()


def keeper(reactor: Any, settings: Settings, inheritance: Any) -> IService:
    """Starts everything else; see `hostedge.keeper`."""
    from hostedge.keeper import Keeper, KeeperStore
    from hostedge.links.keeper import KeeperLinks
    from hostedge.net.link import LinkServer
    from hostedge.net.page import SharedPage
    from hostedge.net.rates import RateTable
    from hostedge.net.sources import SourceTable
    from hostedge.supervise import handover
    from hostedge.supervise.cgroup import find_rung
    from hostedge.supervise.chronicle import Chronicle
    from hostedge.supervise.containment import Containment
    from hostedge.supervise.daemons import Daemons
    from hostedge.supervise.family import Family
    from hostedge.supervise.firewall import Firewall
    from hostedge.supervise.inheritance import note_family
    from hostedge.supervise.own import OwnProcesses
    from hostedge.supervise.placement import Placement
    from hostedge.supervise.process import watches
    from hostedge.supervise.roles import for_edges, read_roles
    from hostedge.supervise.upgrade import Upgrade
    from hostedge.supervise.user import app_owner
    from hostedge.supervise.users import Users

    roles = read_roles(settings)
    page = SharedPage.create(settings.run / "connections")
    sources = SourceTable.create(settings.run / "sources")
    rates = RateTable.create(settings.run / "rates")
    for shared in ("connections", "sources", "rates"):
        for_edges(settings.run / shared, roles)

    def edge_ended(place: int) -> None:
        page.clear(place)
        sources.clear(place)
        rates.clear(place)

    store = KeeperStore(settings.store, WORDS)
    limits = settings.limits
    # downloads that are slow have as long as WebSockets that stay
    leaving = max(limits.drain, limits.drain_websockets + GOODBYE)
    patience = leaving, limits.drain_websockets
    links = KeeperLinks(reactor, store.changed, patience, roles)
    in_thread = partial(deferToThreadPool, reactor, reactor.getThreadPool())
    chronicle = Chronicle(reactor, settings.logs, in_thread, links.in_flight)
    accounts = settings.accounts
    own_users = accounts.users == "own"
    placement = Placement(
        Containment.on(reactor, find_rung(), str(settings.state)),
        settings.homes,
        accounts.ports,
        app_owner(settings),
        Users(settings.users, accounts, settings.homes, roles.edge_gid) if own_users else None,
        in_thread,
    )
    daemons = Daemons(
        reactor,
        settings,
        store.app,
        links,
        RUNTIMES,
        chronicle,
        placement,
        always_on=store.always_on,
        handed=inheritance.held,
    )
    placement.out_of_memory = daemons.oom
    store.subscribe(lambda keys: links.cut(store.suspended(keys, daemons.accounts())))
    store.subscribe(daemons.changed)
    own = OwnProcesses(reactor, settings, roles, links.fork)
    family = Family(
        reactor,
        own,
        settings.edges,
        lambda relatives: note_family(settings, relatives),
        edge_ended,
        store.is_there,
        page.living,
    )
    server = LinkServer(
        reactor, settings.keeper_socket, links.make_peer, roles.uids, inheritance.link
    )

    def hand_over() -> None:
        lock, link, held = inheritance.lock, server.fileno(), daemons.listeners()
        given = handover.Handover.of(lock, link, links.listeners, held)
        handover.become(given, handover.command())

    upgrade = Upgrade(
        reactor,
        settings.upgrade_record,
        family,
        links.let_go,
        leaving + HUNG,
        settings.edges,
        handover.ticks,
        own.check,
        daemons.is_settled,
        hand_over,
    )
    links.introduce(family, daemons, chronicle, upgrade.order)
    keep_what_is_there()
    return Keeper(
        reactor,
        settings,
        inheritance,
        server,
        links,
        family,
        daemons,
        watches,
        store.is_there,
        upgrade,
        Firewall(accounts.ports, [roles.edge_uid]) if accounts.ports else None,
    )


def control(reactor: Any, settings: Settings) -> IService:
    """The store's only writer; see `hostedge.control`."""
    from hostedge.api import explanation
    from hostedge.api.app import Api, Threads
    from hostedge.api.server import ApiSite, allowed_uids, caller_of
    from hostedge.console.sessions import Sessions
    from hostedge.console.unix import UnixConsole
    from hostedge.control import ApiListener, Certifier, Control, WritingThread
    from hostedge.links.control import ControlLinks
    from hostedge.net.link import LinkServer
    from hostedge.store.history import History
    from hostedge.store.reader import StoreReader
    from hostedge.store.served import ServedZones
    from hostedge.store.writer import RouteStore
    from hostedge.supervise.roles import read_roles
    from hostedge.tls.authority import Authority

    service = Control(reactor)
    thread = WritingThread(reactor)
    thread.setServiceParent(service)
    store = RouteStore(settings.store, WORDS, reactor.seconds)
    authority = Authority.load_or_create(settings.ca_certificate, settings.ca_key, reactor.seconds)
    certifier = Certifier(
        authority,
        store,
        StoreReader(settings.store, WORDS),
        settings.name,
        reactor.seconds,
        thread.run,
    )
    reading = StoreReader(settings.store, WORDS)
    links = ControlLinks(reactor, settings, reading.revision, certifier.certify)
    linked = read_roles(settings).uids
    LinkServer(reactor, settings.control_socket, links.make_peer, linked).setServiceParent(service)
    links.keeper.setServiceParent(service)
    threads = Threads(thread.run, partial(deferToThreadPool, reactor, reactor.getThreadPool()))
    history = History(settings.store)
    dns = settings.dns
    nameservers = dns.nameservers or (settings.name,)
    zones = ServedZones(settings.store, WORDS, nameservers, dns.addresses)
    parts = store, history, zones, links, WORDS, threads, caller_of, settings.state
    api = Api(*parts, settings.metrics, logs=settings.logs, clock=reactor)
    site = ApiSite(reactor, api.resource(), allowed_uids())
    service.calls = ApiListener(reactor, settings.api_socket, site)
    service.calls.setServiceParent(service)
    explain = partial(explanation.explain, links, history, threads.reading)
    sessions = Sessions(settings, links, explain, store, history, reading)
    UnixConsole(reactor, settings.manhole_socket, sessions, allowed_uids()).setServiceParent(
        service
    )
    if settings.console.ssh:
        from hostedge.console.ssh import SshConsole

        SshConsole(reactor, settings, sessions).setServiceParent(service)
    if settings.metrics.listen:
        from hostedge.api.scrape import MetricsListener

        MetricsListener(reactor, settings, links).setServiceParent(service)
    # A call of an import makes some ten thousand values that last until it is answered; to look
    # for cycles among them would be a tenth of its time.
    gc.set_threshold(50_000)
    keep_what_is_there()
    return service


def import_edge() -> None:
    """Import all that an edge is made of, so that what is forked has it already."""
    import hostedge.console.inside
    import hostedge.dns.responder
    import hostedge.dns.tcp
    import hostedge.dns.udp
    import hostedge.dns.zones
    import hostedge.edge
    import hostedge.http.backends
    import hostedge.http.burden
    import hostedge.http.h1
    import hostedge.http.h2
    import hostedge.http.retrospect
    import hostedge.links.edge
    import hostedge.net.handshake
    import hostedge.observe.access_log
    import hostedge.observe.failures
    import hostedge.store.hosts
    import hostedge.store.past
    import hostedge.tls.certificates
    import hostedge.tls.template
    import hostedge.wire.request_id

    del hostedge


def template(file: Path) -> tuple[Settings, Callable[[int, tuple[Any, ...]], None]]:
    """
    What the template is before it forks: everything imported, the TLS contexts made.

    The second value makes an edge of the process that calls it, until that has ended.
    """
    from hostedge.net.reactor import install
    from hostedge.observe.counters import make_counters
    from hostedge.observe.failures import Failures
    from hostedge.tls.contexts import POLICIES
    from hostedge.tls.template import make_ring

    import_edge()
    settings = read_settings(file)
    ring = make_ring(POLICIES[settings.tls])
    # a client's cookie is good on every edge; see dns.responder
    secret = os.urandom(32)
    keep_what_is_there()

    def run_edge(index: int, listeners: tuple[Any, ...]) -> None:
        # an edge has a reactor only once it is forked
        reactor = install()
        tempfile.tempdir = str(settings.spool)
        counters = make_counters()
        writing = LegacyLogObserverWrapper(FileLogObserver(sys.stderr).emit)  # type: ignore[arg-type]
        failures = Failures(writing, monotonic, counters)
        globalLogBeginner.beginLoggingTo([failures], redirectStandardIO=False)
        edge(reactor, settings, index, listeners, ring, secret, counters).startService()
        reactor.run()

    return settings, run_edge


def check(settings: Settings) -> None:
    """
    Whether the code that is there could run this node, as far as can be seen from beside it: all
    of it can be imported, the store read, and TLS contexts made.

    Raises:
        ConfigError: the store is another version's.
        Exception: whatever is wrong with the code.
    """
    import hostedge
    from hostedge.store.reader import StoreReader

    for each in walk_packages(hostedge.__path__, "hostedge."):
        if ".migrations" not in each.name and not each.name.endswith("__main__"):
            import_module(each.name)
    StoreReader(settings.store, WORDS)
    template(settings.file)


def edge(
    reactor: Any,
    settings: Settings,
    index: int,
    listeners: tuple[Any, ...],
    ring: Any,
    secret: bytes,
    counters: dict[str, int],
) -> IService:
    """One edge; see `hostedge.edge`."""
    from hostedge.console.inside import Inside
    from hostedge.dns.responder import Responder
    from hostedge.dns.tcp import DnsStreams
    from hostedge.dns.udp import UdpReader
    from hostedge.dns.zones import Zones
    from hostedge.edge import (
        Connector,
        CountedEntrance,
        Edge,
        EdgeParts,
        Gate,
        accept_plain,
        make_claim,
        make_pages,
        make_past,
        make_router,
    )
    from hostedge.http.backends import Backends
    from hostedge.http.burden import Ladder, Process, memory_for
    from hostedge.http.h1 import H1
    from hostedge.http.h2 import H2
    from hostedge.http.plain_client import answer_plain
    from hostedge.http.retrospect import Retrospect
    from hostedge.http.spool import Disk, disk_for
    from hostedge.http.trust import believing
    from hostedge.http.wheel import Wheel
    from hostedge.links.edge import EdgeLinks
    from hostedge.net.announced import Announcements
    from hostedge.net.datagram import Batch
    from hostedge.net.descriptors import Files, connections_for, raise_limit
    from hostedge.net.handshake import Terms
    from hostedge.net.listener import Share
    from hostedge.net.page import SharedPage
    from hostedge.net.rates import Rates, RateTable
    from hostedge.net.sources import Handshakes, Requests, Sources, SourceTable
    from hostedge.observe.access_log import AccessLog
    from hostedge.observe.refused import Refusals
    from hostedge.observe.sites import Sites
    from hostedge.observe.tally import Tally
    from hostedge.routes.compile import compile_host
    from hostedge.store.hosts import Hosts
    from hostedge.store.past import Past
    from hostedge.store.reader import StoreReader
    from hostedge.tls.certificates import Certificates
    from hostedge.tls.contexts import POLICIES
    from hostedge.wire.date import DateLine
    from hostedge.wire.networks import parse_networks
    from hostedge.wire.request_id import RequestIds
    from hostedge.ws.passage import Sockets

    limits, dns = settings.limits, settings.dns
    trusted = parse_networks(settings.trust.proxies)
    wheel = Wheel(reactor)
    descriptors = raise_limit()
    most = connections_for(descriptors, limits.connections)
    share = Share(SharedPage.open(settings.run / "connections"), index, most)
    table = SourceTable.open(settings.run / "sources")
    edges, places = settings.edges, share.places
    sources = Sources(table, index, places, limits.source_connections, trusted)
    requests = Requests(table, index, places, limits.source_requests, trusted)
    handshakes = Handshakes(table, index, places, limits.source_handshakes, trusted, monotonic)
    known_rates = RateTable.open(settings.run / "rates")
    rates = Rates(known_rates, table.slots, index, places, trusted, monotonic, counters)
    gate = Gate(share, sources, counters)
    access_log = AccessLog(settings.logs / "access.log", reactor, counters)
    refusals = Refusals(seconds)
    sites = Sites(monotonic)
    tally = Tally(sites, access_log.record)
    links = EdgeLinks(reactor, settings, index)
    files = Files()
    disk = Disk(limits.spool_total or disk_for(settings.spool, edges), files)
    backends = Backends(reactor, links, wheel, counters, limits, edges, RUNTIMES, disk)
    sockets = Sockets(reactor, wheel, limits, counters)
    parts = EdgeParts(reactor, settings, backends, sockets, files, rates)
    reader = StoreReader(settings.store, WORDS)
    hosts = Hosts(reader, partial(compile_host, kinds=MAPPINGS, parts=parts))
    then = EdgeParts(reactor, settings, Retrospect(backends), sockets, files, rates)
    routes_at = make_past(
        Past(settings.store, WORDS).find, partial(compile_host, kinds=MAPPINGS, parts=then)
    )
    certificates = Certificates(
        reader, links.certify, settings.name, POLICIES[settings.tls], ALPN, seconds
    )
    hosts.subscribe(certificates.changed)
    make_id = RequestIds(seconds).make
    depth = settings.trust.depth
    router = believing(make_router(hosts, sites, requests), trusted, make_id, depth)
    claim = believing(make_claim(hosts, sites), trusted, make_id, depth)
    entrances = {
        scheme: CountedEntrance(
            gate.ended,
            scheme=scheme.encode(),
            router=router,
            limits=limits,
            wheel=wheel,
            counters=counters,
            record=tally.record,
            refusals=refusals,
            make_id=make_id,
            date=DateLine(seconds).now,
            page=make_pages(hosts),
            claim=claim,
            h2_answers=tally.h2,
            default_host=settings.default_site.encode(),
            strike=handshakes.strike,
        )
        for scheme in ("http", "https")
    }
    terms = Terms(
        reactor=reactor,
        ring=ring,
        certificates=certificates,
        wheel=wheel,
        counters=counters,
        make_protocol=lambda alpn: (H2 if alpn == b"h2" else H1)(entrances["https"]),
        abandoned=gate.ended,
        begin=handshakes.begin,
        resumed=handshakes.resumed,
        answer_plain=partial(answer_plain, entrances["https"]),
        protocols=ALPN,
        hello_timeout=limits.hello_timeout,
        handshake_timeout=limits.handshake_timeout,
    )
    zones = Zones(reader, dns.addresses, dns.nameservers or (settings.name,))
    hosts.subscribe(zones.changed, zones.keeps)
    responder = Responder(zones, counters, seconds, secret)
    streams = DnsStreams(
        reactor,
        responder.tcp,
        wheel,
        counters,
        limits.dns_idle,
        limits.dns_connections,
        share.closed,
    )
    batches: Memo[AddressFamily, Batch] = Memo(Batch)
    datagrams = tuple(
        UdpReader(reactor, each, batches[each.socket.family], responder.udp, counters)
        for each in listeners
        if each.protocol == "dns-udp"
    )
    announcements = Announcements(
        reactor, wheel, counters, trusted, share.closed, limits.proxy_timeout
    )
    plain = partial(gate.accept, partial(accept_plain, reactor, entrances["http"]))
    secure = partial(gate.accept, terms.accept)
    connectors: dict[str, Connector] = {
        "http": plain,
        "https": secure,
        "proxy-http": partial(announcements.accept, plain),
        "proxy-https": partial(announcements.accept, secure),
        "dns-tcp": streams.accept,
    }
    memory = limits.memory or memory_for(edges)
    measures = Process(
        lambda: reactor.descriptors + files.count, descriptors, memory, backends.lines
    )
    entering = tuple(entrances.values())
    ladder = Ladder(reactor, monotonic, measures, share, entering, handshakes, counters, limits)
    whole = Edge(
        reactor,
        listeners,
        connectors,
        datagrams,
        (*entering, streams),
        share,
        ladder,
        hosts,
        routes_at,
        certificates,
        counters,
        tally,
        refusals,
        sites,
        backends.waiting,
        backends.page,
        links,
        access_log.close,
    )
    inside = Inside(
        hosts,
        entering,
        edge=whole,
        backends=backends,
        certificates=certificates,
        counters=counters,
        settings=settings,
    )
    links.introduce(whole, backends, inside)
    return whole

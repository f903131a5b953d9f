"""
The composition root: what each role is made of, top to bottom in the order of its start.

In:  `tap` for keeper and control, `links.template` for the template and its edges.
Out: services; everything is constructed here and nothing is started.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.application.service import IService, MultiService

from hostedge.mappings.known import KINDS as MAPPINGS
from hostedge.model.parse import Words
from hostedge.runtimes.known import KINDS as RUNTIMES
from hostedge.settings import Settings

WORDS = Words(MAPPINGS, RUNTIMES)

# freed memory that an edge keeps instead of giving it back and asking again
_MINE = frozenset((os.geteuid(),))


def keeper(reactor: Any, settings: Settings, inheritance: Any) -> IService:
    """Starts everything else; see `hostedge.keeper`."""
    from hostedge.keeper import Keeper, KeeperStore
    from hostedge.links.keeper import KeeperLinks
    from hostedge.net.link import LinkServer
    from hostedge.net.page import SharedPage
    from hostedge.supervise.daemons import Daemons
    from hostedge.supervise.family import Family
    from hostedge.supervise.inheritance import note_family
    from hostedge.supervise.own import OwnProcesses
    from hostedge.supervise.process import watches

    page = SharedPage.create(settings.run / "connections")
    store = KeeperStore(settings.store, WORDS)
    links = KeeperLinks(reactor, store.changed)
    daemons = Daemons(reactor, settings, store.app, links)
    store.subscribe(daemons.changed)
    own = OwnProcesses(reactor, settings, links.fork)
    family = Family(
        reactor,
        own,
        settings.edges,
        lambda relatives: note_family(settings, relatives),
        page.clear,
        store.is_there,
    )
    links.introduce(family, daemons)
    server = LinkServer(reactor, settings.keeper_socket, links.make_peer, _MINE)
    return Keeper(reactor, settings, inheritance, server, links, family, daemons, watches)


def control(reactor: Any, settings: Settings) -> IService:
    """The store's only writer; see `hostedge.control`."""
    from hostedge.api.app import Api
    from hostedge.api.server import ApiSite, allowed_uids
    from hostedge.control import ApiListener, Certifier, Control
    from hostedge.links.control import ControlLinks
    from hostedge.net.link import LinkServer
    from hostedge.store.reader import StoreReader
    from hostedge.store.writer import RouteStore
    from hostedge.tls.authority import Authority

    store = RouteStore(settings.store, WORDS, reactor.seconds)
    reader = StoreReader(settings.store, WORDS)
    authority = Authority.load_or_create(settings.ca_certificate, settings.ca_key, reactor.seconds)
    certifier = Certifier(authority, store, reader, settings.name, reactor.seconds)
    links = ControlLinks(reactor, settings, reader.revision, certifier.certify)
    service: MultiService = Control(reactor)
    LinkServer(reactor, settings.control_socket, links.make_peer, _MINE).setServiceParent(service)
    links.keeper.service.setServiceParent(service)
    api = Api(store, WORDS, links, reactor)
    site = ApiSite(reactor, api.resource(), allowed_uids())
    ApiListener(reactor, settings.api_socket, site).setServiceParent(service)
    return service


def import_edge() -> None:
    """Import all that an edge is made of, so that what is forked has it already."""
    import hostedge.edge
    import hostedge.http.backends
    import hostedge.http.h1
    import hostedge.http.relay
    import hostedge.links.edge
    import hostedge.net.tls
    import hostedge.observe.access_log
    import hostedge.store.hosts
    import hostedge.store.reader
    import hostedge.tls.certificates
    import hostedge.tls.template
    import hostedge.wire.date
    import hostedge.wire.request_id

    del hostedge

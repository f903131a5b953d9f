"""
The way of an opening handshake: in line for a place like any request, and then a bridge.

In:  a mapping with `websocket: true`.
Out: a bridge, once the app has granted it; else the answer of the app, or a refusal.
Spec: RFC 6455 sections 4.1 and 4.2, RFC 7692 section 5.

    exchange asks for nothing         ->   relayed as on any mapping
    asks in a way that is not valid   ->   400, or 426 for another version
    asks for a WebSocket              ->   a place, a connection of its own, our own handshake
    app answers with a valid 101      <-   101 to the client; frames from now on
    app answers with something else   <-   the client gets that answer; by HTTP/2 no 2xx
"""

from __future__ import annotations

import os
from base64 import b64encode
from time import monotonic
from typing import Any

from hostedge.http.exchange import Exchange, Fields
from hostedge.http.relay import Relay, StreamPassage
from hostedge.http.upstream import UpstreamConnection
from hostedge.http.wheel import Wheel
from hostedge.settings import Limits
from hostedge.wire.upgrade import WEBSOCKET, Opening, accept_for, key_of, protocols_of
from hostedge.ws.bridge import Bridge, Bridges
from hostedge.ws.shaken import OFFER, Shaken

SUCCESS_ENDS = 300
RETRY = 5.0  # seconds after which a client that found no room may come again

# each side's own: RFC 6455 section 4.1
_EXTENSIONS = b"sec-websocket-extensions"
_OURS = frozenset(
    (_EXTENSIONS, b"sec-websocket-key", b"sec-websocket-version", b"sec-websocket-accept")
)


class Sockets:
    """Makes the leaves that forward upgrades; one of these for an edge."""

    def __init__(
        self, reactor: Any, wheel: Wheel, limits: Limits, counters: dict[str, int]
    ) -> None:
        self.shaken = Shaken(reactor, limits)
        self.bridges = Bridges(wheel, limits, counters)

    def leaf(self, relay: Relay) -> UpgradeLeaf:
        """The same as the relay, and upgrades are forwarded."""
        return UpgradeLeaf(self, relay)


class UpgradeLeaf:
    """A relay that forwards upgrades as well."""

    upgrades = True

    def __init__(self, sockets: Sockets, relay: Relay) -> None:
        self.sockets = sockets
        self.relay = relay
        # `account/name` of the app behind; empty: a pool
        self.app = relay.app
        self.limits = relay.limits

    def answer(self, exchange: Exchange) -> None:
        asked = exchange.upgrade
        if not asked:
            self.relay.answer(exchange)
        elif asked != WEBSOCKET:
            exchange.refuse(asked)
        elif self.is_full:
            exchange.refuse("websockets_full", RETRY)
        else:
            UpgradePassage(self, exchange).start()

    @property
    def is_full(self) -> bool:
        most = self.limits.app_websockets
        return self.sockets.bridges.is_full or self.relay.backend.sockets >= most

    def explain(self) -> list[str]:
        answer, *reasons = self.relay.explain()
        count = self.relay.backend.sockets
        return [answer, f"upgrades to WebSocket are forwarded, {count} open here", *reasons]


class UpgradePassage(StreamPassage):
    """A request for a WebSocket on its way; as long as it is one, all is as for any request."""

    # whatever was kept alive for other requests is left to them
    stale = True
    offer = b""

    def __init__(self, leaf: UpgradeLeaf, exchange: Exchange) -> None:
        super().__init__(leaf.relay, exchange)
        self.leaf = leaf

    @property
    def replayable(self) -> bool:
        # the app may have opened it
        return False

    def send(self, connection: UpstreamConnection) -> None:
        exchange = self.exchange
        key = b64encode(os.urandom(16))
        lines = [
            b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            b"Sec-WebSocket-Key: %b\r\n" % key,
        ]
        address = connection.upstream.address
        # to this machine compression would only cost
        if not connection.upstream.is_local:
            self.offer = OFFER
            lines.append(b"Sec-WebSocket-Extensions: %b\r\n" % OFFER)
        head = self.relay.make_head(exchange, 0, address, _OURS)
        opening = Opening(key, protocols_of(exchange.fields))
        request = b"%b%b\r\n" % (head[:-2], b"".join(lines))
        connection.ask(request, opening, self, self.relay.limits)

    def response_begins(
        self, status: int, fields: Fields, length: int | None, data: bytes, whole: bool
    ) -> None:
        exchange = self.exchange
        if status < SUCCESS_ENDS and exchange.protocol == "HTTP/2":
            # it would open what nobody has granted: RFC 8441 section 5
            exchange.first_byte = monotonic() - self.sent_at
            self._break_off("upgrade_failed")
        else:
            super().response_begins(status, fields, length, data, whole)

    def switched(self, fields: Fields, data: bytes) -> None:
        """From the connection: the app has granted it."""
        exchange, leaf = self.exchange, self.leaf
        lane, connection = self.lane, self.connection
        assert lane is not None and connection is not None  # noqa: S101
        exchange.first_byte = monotonic() - self.sent_at
        agreed = _joined(fields, _EXTENSIONS)
        app = None if agreed and not self.offer else leaf.sockets.shaken.app(agreed)
        if app is None:
            self._break_off("bad_response")
            return
        if leaf.is_full:
            self._break_off("websockets_full")
            return
        self.over = True
        self.lane = self.connection = None
        client, agreed = leaf.sockets.shaken.client(_joined(exchange.fields, _EXTENSIONS))
        answer = [item for item in fields if item[0].lower() not in _OURS]
        answer.append((b"Sec-WebSocket-Accept", accept_for(key_of(exchange.fields))))
        if agreed:
            answer.append((b"Sec-WebSocket-Extensions", agreed))
        bridge = Bridge(leaf.sockets.bridges, leaf.limits, exchange, lane, client, app)
        bridge.open(answer, connection, data)


def _joined(fields: Fields, wanted: bytes) -> bytes:
    return b", ".join(value for name, value in fields if name.lower() == wanted)

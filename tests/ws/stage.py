"""A WebSocket through the node in one process: both peers speak by a library of another make."""

from __future__ import annotations

import socket
from typing import Any

from websockets.client import ClientProtocol
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    ServerPerMessageDeflateFactory,
)
from websockets.frames import Frame
from websockets.protocol import CONNECTING
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from hostedge.http.entrance import Entrance
from hostedge.http.h1 import H1
from hostedge.http.pool_backend import PoolBackend
from hostedge.http.relay import Relay
from hostedge.model.site import Pool, Server
from hostedge.net.eager import EagerServer
from hostedge.observe.refused import Refusals
from hostedge.settings import Limits
from hostedge.ws.passage import Sockets
from tests.http.network import Network, PlayedApp, make_means

REQUEST = (
    b"GET /chat?a=1 HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%b\r\n"
)


class Peer:
    """One side: a socket, and what a `websockets` protocol made of what came."""

    def __init__(self, connected: socket.socket, protocol: Any) -> None:
        self.socket = connected
        self.protocol = protocol
        self.events: list[Any] = []
        self.ended = self.reset = False
        self.reads = True
        self.unsent = b""
        # what came, as bytes
        self.raw: list[bytes] = []

    def turn(self) -> None:
        """Send what is to be sent, take what has come."""
        self.unsent += b"".join(self.protocol.data_to_send())
        try:
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            pass
        while self.reads and not self.ended:
            try:
                data = self.socket.recv(65536)
            except BlockingIOError:
                break
            except ConnectionError:
                self.reset = self.ended = True
                break
            if data:
                self.raw.append(data)
                self.protocol.receive_data(data)
            else:
                self.ended = True
                self.protocol.receive_eof()
        self.events += self.protocol.events_received()

    @property
    def frames(self) -> list[tuple[int, bytes, bool]]:
        """Opcode, payload and FIN of each frame that came."""
        return [
            (int(each.opcode), bytes(each.data), each.fin)
            for each in self.events
            if isinstance(each, Frame)
        ]

    def close(self) -> None:
        self.socket.close()


class Strictly:
    """A leaf of a site that asks for TLS."""

    def __init__(self, leaf: Any) -> None:
        self.leaf = leaf
        self.limits, self.upgrades = leaf.limits, True

    def answer(self, exchange: Any) -> None:
        exchange.strict = b"max-age=5"
        self.leaf.answer(exchange)


class Stage:
    """An edge with one pool, whose one server the test plays."""

    def __init__(self, limits: Limits | None = None, maxconn: int = 8, queue: int = 8) -> None:
        self.network = network = Network()
        self.app = PlayedApp()
        self.limits = limits or Limits()
        means = make_means(network, self.limits)
        self.counters = means.counters
        self.wheel = means.wheel
        pool = Pool("p", (Server(self.app.address),), maxconn=maxconn, queue=queue)
        self.backend = PoolBackend("demo/p", pool, means)
        relay = Relay(self.backend, "stream", self.limits, self.counters, means.disk)
        self.sockets = Sockets(network, means.wheel, self.limits, self.counters)
        self.leaf = self.sockets.leaf(relay)
        self.recorded: list[Any] = []
        self.entrance = Entrance(
            scheme=b"http",
            router=lambda exchange: self.leaf,
            limits=self.limits,
            wheel=means.wheel,
            counters=self.counters,
            record=self.recorded.append,
            refusals=Refusals(lambda: 0.0),
            make_id=lambda: "the-id",
            date=lambda: b"now",
        )
        self.peers: list[Peer] = []

    def connect(self) -> socket.socket:
        """A client's socket."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            mine = socket.create_connection(listener.getsockname())
            its, _ = listener.accept()
        for each in (mine, its):
            each.setblocking(False)
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        protocol = H1(self.entrance)
        transport = EagerServer(its, protocol, ("192.0.2.1", 4000), None, 0, self.network)
        protocol.makeConnection(transport)
        return mine

    def turn(self, times: int = 6) -> None:
        for _ in range(times):
            for peer in self.peers:
                peer.turn()
            self.network.turn(2)
        for peer in self.peers:
            peer.turn()

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.network.pass_time(1)
            self.turn(1)

    def ask(self, **options: Any) -> Peer:
        """A client that has asked for a WebSocket."""
        protocol = ClientProtocol(parse_uri("ws://a.test/chat?a=1"), max_size=None, **options)
        protocol.send_request(protocol.connect())
        client = Peer(self.connect(), protocol)
        self.peers.append(client)
        self.turn()
        return client

    def serve(self, **options: Any) -> Peer:
        """The app, which has got a request."""
        app = Peer(self.app.accept(), ServerProtocol(max_size=None, **options))
        self.peers.append(app)
        self.turn()
        return app

    def grant(self, app: Peer, **fields: str) -> None:
        """Let the app answer with a 101."""
        request = app.events.pop(0)
        response = app.protocol.accept(request)
        for name, value in fields.items():
            response.headers[name.replace("_", "-")] = value
        app.protocol.send_response(response)
        self.turn()

    def open(
        self, deflate: tuple[bool, bool] = (False, False), **options: Any
    ) -> tuple[Peer, Peer]:
        """Client and app, connected; `deflate` says which of them would compress."""
        mine = [ClientPerMessageDeflateFactory()] if deflate[0] else None
        its = [ServerPerMessageDeflateFactory()] if deflate[1] else None
        client = self.ask(extensions=mine, **options)
        app = self.serve(extensions=its, subprotocols=options.get("subprotocols"))
        self.grant(app)
        assert client.protocol.state is not CONNECTING, client.events
        client.events.clear()
        return client, app

    def close(self) -> None:
        for peer in self.peers:
            peer.close()
        self.app.close()

"""
Stock `twisted.web.proxy.ReverseProxyResource`, as anybody would set it up today.

It opens a new connection to the origin for each request, sets no X-Forwarded-* and no
request id of its own, knows neither duration nor upstream for its log, and no WebSocket. One
thing is mended: it would pass the origin's `Connection: close` on, and no client could keep
alive.

In:  `peers.known`; run as a program, it is the proxy itself.
Out: a running twisted.web server.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import react
from twisted.web.proxy import ProxyClient, ProxyClientFactory, ReverseProxyResource
from twisted.web.server import Site

import twisted
from benchmarks.peers.kind import Behind, Running
from benchmarks.stage import Stage, free_ports


@frozen
class TwistedProxy:
    """The Twisted that hostedge runs on."""

    name: str = "twisted-proxy"

    def start(self, stage: Stage, behind: Behind) -> Running:
        http, https = free_ports(2)
        log = stage.log("twisted-proxy-access")
        tcp = f"tcp:{http}:interface=127.0.0.1:backlog=1024"
        ssl = (
            f"ssl:{https}:interface=127.0.0.1:backlog=1024"
            f":certKey={stage.certificate}:privateKey={stage.key}"
        )
        module = "benchmarks.peers.twisted_proxy"
        process = stage.spawn(
            self.name,
            [sys.executable, "-m", module, str(behind.http), log, tcp, ssl],
            stage.cores.proxy,
        )
        stage.await_port(self.name, process, https)
        version = f"Twisted {twisted.__version__}"
        return Running(self.name, version, process, {"http": http, "https": https}, log)


def log_line(timestamp: str, request: Any) -> str:
    """Give a request's line of the access log."""
    return json.dumps(
        {
            "time": timestamp,
            "client": request.getClientAddress().host,
            "host": request.getRequestHostname().decode(),
            "method": request.method.decode(),
            "path": request.uri.decode(),
            "status": request.code,
            "bytes": request.sentLength,
            "id": uuid4().hex,
        }
    )


class KeepingClient(ProxyClient):
    """The stock client, which keeps to itself how its own connection ends."""

    def handleHeader(self, key: bytes, value: bytes) -> None:
        if key.lower() != b"connection":
            super().handleHeader(key, value)


class KeepingClientFactory(ProxyClientFactory):
    """Makes one client for each request."""

    protocol = KeepingClient


class KeepingProxyResource(ReverseProxyResource):
    """The stock resource, with that client."""

    proxyClientFactoryClass = KeepingClientFactory

    def getChild(self, path: bytes, request: Any) -> ReverseProxyResource:
        child: ReverseProxyResource = super().getChild(path, request)
        child.proxyClientFactoryClass = KeepingClientFactory
        return child


async def serve(reactor: Any, origin: str, log: str, *endpoints: str) -> None:
    """Listen until ended."""
    site = Site(
        KeepingProxyResource("127.0.0.1", int(origin), b"", reactor=reactor),
        logPath=log,
        logFormatter=log_line,
    )
    for description in endpoints:
        await serverFromString(reactor, description).listen(site)
    await Deferred()


def main(arguments: Sequence[str]) -> None:
    react(lambda reactor: Deferred.fromCoroutine(serve(reactor, *arguments)))


if __name__ == "__main__":
    main(sys.argv[1:])

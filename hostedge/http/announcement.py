"""
What a server behind is told of a connection before its request: who the client is.

In:  `http.pool_backend`, for a pool that wants it.
Out: a header of the PROXY protocol for each connection that is made; it then serves this client
     only.
"""

from __future__ import annotations

from collections.abc import Callable

from hostedge.http.exchange import Exchange
from hostedge.wire.proxy_protocol import End, make_binary, make_line

_MAKE = {"v1": make_line, "v2": make_binary}


def announcing(version: str) -> Callable[[Exchange], bytes] | None:
    """What makes the header, in this version of the protocol; None: nothing is said."""
    make = _MAKE.get(version)
    if make is None:
        return None

    def announce(exchange: Exchange) -> bytes:
        client: End | None = None
        local: End | None = None
        if exchange.client and exchange.local_host:
            client = exchange.client, exchange.client_port
            local = exchange.local_host, exchange.local_port
        return make(client, local)

    return announce

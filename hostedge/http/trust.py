"""
Requests that come over proxies whom the operator trusts: who has really sent them.

In:  `compose`, where the settings name such proxies; each request before it is routed.
Out: the exchange says what the proxy says: client, scheme, port, id and trace.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hostedge.http.entrance import Router
from hostedge.http.exchange import Exchange, Leaf
from hostedge.wire.forwarded import new_trace, read_told
from hostedge.wire.networks import Networks


def believing(
    route: Router, trusted: Networks, make_id: Callable[[], str], depth: int = 0
) -> Router:
    """
    A router that believes what trusted peers say; without any it is `route` itself.

    `depth`: so many proxies stand before the node, and are not asked for by their addresses.
    """
    if not trusted:
        return route

    def believe(exchange: Exchange) -> Leaf | str:
        if exchange.client in trusted:
            _believe(exchange, trusted, make_id, depth)
        return route(exchange)

    return believe


def _believe(exchange: Any, trusted: Networks, make_id: Callable[[], str], depth: int) -> None:
    told = read_told(exchange.client, exchange.fields, trusted, depth)
    if told.hops:
        exchange.client = told.client
        exchange.client_port = 0
        exchange.hops = told.hops
    if told.scheme:
        exchange.scheme = told.scheme
    if told.port:
        exchange.local_port = told.port
    trace = told.traceparent
    if told.request_id:
        if not trace:
            # what is kept need not be what a trace is named by
            trace = new_trace(make_id()).encode()
        exchange.id = told.request_id.decode()
    if trace:
        state = b"\r\ntracestate: " + told.tracestate if told.tracestate else b""
        exchange.trace = b"\r\ntraceparent: " + trace + state

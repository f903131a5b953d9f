"""
`OPTIONS *`: what this node as a whole lets be asked, of whatever host.

In:  `http.h1` and `http.h2`, before any host is looked up.
Out: a 204; no app hears of it.
Spec: RFC 9110 section 9.3.7.
"""

from __future__ import annotations

from hostedge.http.exchange import Exchange
from hostedge.http.refusal import ALLOW


class Asterisk:
    """A leaf of no host."""

    limits = None

    def answer(self, exchange: Exchange) -> None:
        exchange.respond(204, [(b"Allow", ALLOW)], b"")

    def explain(self) -> list[str]:
        return ["says which methods the node knows"]


ASTERISK = Asterisk()

"""
`rate`: how often one address may ask a site.

In:  `routes.compile`, which puts it before every leaf of a domain that has one.
Out: the leaf's answer, or 429 with the time after which it is worth asking again.
Spec: RFC 6585 section 4, draft-ietf-httpapi-ratelimit-headers-10.

Site file::

    - {name: shop.example, rate: {requests: 50, per: 1s, burst: 200, dry_run: true}}
"""

from __future__ import annotations

from math import ceil
from typing import Protocol

from hostedge.http.exchange import Exchange, Fields, Leaf
from hostedge.model.names import duration_document
from hostedge.model.site import Rate


class Limiter(Protocol):
    """Who counts: `net.rates.Limiter`."""

    def ask(self, client: str) -> float:
        """Seconds that this request should have waited; 0.0: it counts, and may come."""


class Rated:
    """A leaf that is asked no more often than a rate says."""

    def __init__(self, leaf: Leaf, rate: Rate, limiter: Limiter) -> None:
        self._leaf = leaf
        self._rate = rate
        self._ask = limiter.ask
        self._policy = _policy(rate)
        # what others look for in a leaf
        self.limits = leaf.limits
        self.app: str = getattr(leaf, "app", "")
        self.upgrades: bool = getattr(leaf, "upgrades", False)

    def answer(self, exchange: Exchange) -> None:
        wait = self._ask(exchange.client)
        if not wait:
            self._leaf.answer(exchange)
        elif self._rate.dry_run:
            exchange.keep_refusal("rate_limited", "dry run: it was answered")
            self._leaf.answer(exchange)
        else:
            seconds = max(1, ceil(wait))
            fields: Fields = [
                (b"RateLimit-Policy", self._policy),
                (b"RateLimit", b'"site";r=0;t=%d' % seconds),
            ]
            exchange.refuse("rate_limited", seconds, fields=fields)

    def explain(self) -> list[str]:
        answer, *reasons = self._leaf.explain()
        return [answer, told(self._rate), *reasons]


def told(rate: Rate) -> str:
    """What a rate says, in a few words."""
    line = (
        f"an address may ask {rate.requests} times in {duration_document(rate.per)},"
        f" {rate.burst or rate.requests} times at once"
    )
    return f"{line}; dry run: nobody is refused" if rate.dry_run else line


def _policy(rate: Rate) -> bytes:
    """So many requests at once, and so many seconds until as many may come again."""
    burst = rate.burst or rate.requests
    return b'"site";q=%d;w=%d' % (burst, max(1, ceil(burst * rate.per / rate.requests)))

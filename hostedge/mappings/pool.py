"""
`pool`: requests go to servers that are not ours to start.

In:  `routes.compile` with the mapping.
Out: a leaf that relays.

Site file::

    - {path: /legacy, pool: legacy}
    - {path: /chat, pool: legacy, websocket: true}
    - {path: /shop, pool: legacy, host: shop.internal}
    - {path: /feed, pool: legacy, limits: {response_idle: 1h}}
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from hostedge.http.exchange import Leaf
from hostedge.mappings.parts import Parts
from hostedge.model.limits import MappingLimits
from hostedge.model.onward import as_mapped
from hostedge.model.site import Found


@frozen
class ToPool:
    """The pool's name; what else is said goes before what the pool says about itself."""

    pool: str
    buffer: Literal["spool", "stream"] | None = None
    # whether `Forwarded` says who the client is as well
    forwarded: bool | None = None
    # what `Host` says there, as a pool has it
    host: str | None = None
    # fields with odd names that it gets nevertheless
    keep: tuple[str, ...] | None = None
    # whether requests for a WebSocket are forwarded as such
    websocket: bool = False
    # where they differ from the node's
    limits: MappingLimits | None = None


class PoolKind:
    """The word `pool`."""

    word = "pool"
    value = ToPool

    def compile(self, value: object, prefix: bytes, found: Found, parts: Parts) -> Leaf:
        assert isinstance(value, ToPool)  # noqa: S101
        pool = as_mapped(found.pools[value.pool], value)
        return parts.relay_to_pool(found.account.name, pool, value.limits, value.websocket)

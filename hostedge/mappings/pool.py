"""
`pool`: requests go to servers that are not ours to start.

In:  `routes.compile` with the mapping.
Out: a leaf that relays.

Site file::

    - {path: /legacy, pool: legacy}
    - {path: /chat, pool: legacy, websocket: true}
    - {path: /feed, pool: legacy, limits: {response_idle: 1h}}
"""

from __future__ import annotations

from typing import Literal

from attrs import evolve, frozen

from hostedge.http.exchange import Leaf
from hostedge.mappings.parts import Parts
from hostedge.model.limits import MappingLimits
from hostedge.model.site import Found


@frozen
class ToPool:
    """The pool's name; `buffer` overrides what the pool says about itself."""

    pool: str
    buffer: Literal["spool", "stream"] | None = None
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
        pool = found.pools[value.pool]
        if value.buffer is not None:
            pool = evolve(pool, buffer=value.buffer)
        return parts.relay_to_pool(found.account.name, pool, value.limits, value.websocket)

"""
The limits that a mapping may have of its own, in place of the node's.

In:  `model.parse` with the `limits` of a mapping.
Out: the limits that hold for its requests, once for each compiled host.
"""

from __future__ import annotations

from typing import Any

from attrs import Attribute, asdict, evolve, field, frozen

from hostedge.model.names import Size
from hostedge.model.shape import shape_of
from hostedge.settings import Limits, check_limit


def _within(own: object, attribute: Attribute[Any], value: float | None) -> None:
    if value is not None:
        try:
            check_limit(attribute.name, value)
        except ValueError as error:
            raise ValueError(str(error), attribute) from None


def _limit() -> Any:
    return field(default=None, validator=_within)


@frozen
class MappingLimits:
    """What differs from `settings.Limits`, below the same ceilings; None: nothing does."""

    # the client
    body_size: Size | None = _limit()
    body_timeout: float | None = _limit()
    body_rate: int | None = _limit()
    write_timeout: float | None = _limit()
    read_rate: int | None = _limit()
    request_timeout: float | None = _limit()
    # the app or server
    hold_timeout: float | None = _limit()
    queue_timeout: float | None = _limit()
    connect_timeout: float | None = _limit()
    response_timeout: float | None = _limit()
    response_idle: float | None = _limit()
    response_head_size: Size | None = _limit()
    # a file
    ranges: int | None = _limit()
    # what waits here
    spool_memory: Size | None = _limit()
    spool_disk: Size | None = _limit()
    # WebSockets
    websocket_idle: float | None = _limit()
    websocket_close: float | None = _limit()


_SHAPE = shape_of(MappingLimits)


def told(own: MappingLimits) -> str:
    """The same in words, for whoever asks what holds."""
    return ", ".join(f"{name} {value}" for name, value in _SHAPE.write(own).items())


def limits_of(own: MappingLimits | None, node: Limits) -> Limits:
    """What holds for a mapping's requests."""
    if own is None:
        return node
    return evolve(node, **asdict(own, filter=lambda _, value: value is not None))

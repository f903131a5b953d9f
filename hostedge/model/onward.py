"""
What an app or pool, or a mapping to it, says of how requests are sent on.

In:  `mappings.app` and `mappings.pool` when a host is compiled; `http.backends`.
Out: the app or pool as that mapping wants it, and whether two differ in more than that.
"""

from __future__ import annotations

from typing import TypeVar

from attrs import evolve, fields

from hostedge.model.site import App, Pool

Target = TypeVar("Target", App, Pool)

# what a mapping may say otherwise than the app or pool that it names
OWN = ("buffer", "forwarded", "host", "keep")


def as_mapped(target: Target, to: object) -> Target:
    """The app or pool with what a mapping's value says otherwise; None there: nothing."""
    own = {name: said for name in OWN if (said := getattr(to, name, None)) is not None}
    return evolve(target, **own) if own else target


def same_servers(pool: Pool, other: Pool) -> bool:
    """Whether they are the same but for what every mapping may say for itself."""
    known = {attribute.name for attribute in fields(Pool)}
    return evolve(other, **{name: getattr(pool, name) for name in OWN if name in known}) == pool

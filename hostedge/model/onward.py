"""
What an app or pool, or a mapping to it, says of how requests are sent on.

In:  `mappings.app` and `mappings.pool` when a host is compiled; `http.backends`, and
     `http.retrospect` for what was.
Out: the app or pool as that mapping wants it, the same in words, and whether two differ in more.
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


def told(target: App | Pool) -> list[str]:
    """What differs from how requests are sent on elsewhere, for whoever asks."""
    lines = ["`Forwarded` is sent as well"] if target.forwarded else []
    if isinstance(target, Pool) and target.host != "keep":
        host = "the server's address" if target.host == "server" else target.host
        lines.append(f"`Host` says {host}")
    return [*lines, f"kept: {', '.join(target.keep)}"] if target.keep else lines


def same_servers(pool: Pool, other: Pool) -> bool:
    """Whether they are the same but for what every mapping may say for itself."""
    known = {attribute.name for attribute in fields(Pool)}
    return evolve(other, **{name: getattr(pool, name) for name in OWN if name in known}) == pool

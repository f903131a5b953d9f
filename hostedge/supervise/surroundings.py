"""
What every app of a keeper has around it, and what is asked of the rest of the node.

In:  `supervise.daemons` makes one `Surroundings`.
Out: `supervise.supervised` and `supervise.running` read it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from attrs import frozen
from twisted.internet.defer import Deferred

from hostedge.runtimes.start import Runtime
from hostedge.settings import Settings
from hostedge.supervise.held import Handed
from hostedge.supervise.journal import Journal
from hostedge.supervise.learned import StartTimes
from hostedge.supervise.placement import Placement

if TYPE_CHECKING:
    from hostedge.supervise.supervised import Supervised


class Edges(Protocol):
    """What the daemon manager says to the edges; `links.keeper` carries it."""

    def probe(
        self, edge: int | None, app: str, generation: int, address: str, host: str, held: bool
    ) -> int | None:
        """Have this edge probe, or any if it is gone; which one does, None if there is none."""

    def stop_probe(self, edge: int, app: str) -> None:
        """What this edge probes has ended."""

    def quiesce(self, app: str, generation: int) -> Deferred[bool]:
        """Ask all; True if every one is idle. Silence is busy, a dead edge is idle."""

    def moved(self, app: str, generation: int, address: str) -> None: ...

    def expect(self, app: str, seconds: float) -> None:
        """A start has begun that may take so long."""

    def retire(self, app: str, generation: int, deadline: float) -> None: ...


class Events(Protocol):
    """Who keeps what has happened, for owners and operators: `supervise.chronicle.Chronicle`."""

    def tell(self, event: str, app: str, generation: int = 0, **facts: Any) -> None: ...


class Listening(Protocol):
    """Whose a listening socket is."""

    @property
    def uid(self) -> int: ...

    @property
    def inode(self) -> int: ...


@frozen
class Surroundings:
    """What all apps of a keeper share."""

    reactor: Any
    settings: Settings
    edges: Edges
    journal: Journal
    starts: StartTimes
    runtimes: dict[str, Runtime]
    random: Callable[[], float]
    events: Events
    placement: Placement
    # who gets a connection to this host and port: `net.sock_diag.listener_at`
    listener_at: Callable[[str, int], Listening | None]
    # listeners of daemons that were open in the code before
    handed: Handed
    ask_token: Callable[[Supervised], None]
    release_token: Callable[[Supervised], None]
    # the app is down, and nothing of it is left that could be ended
    rested: Callable[[Supervised], None]

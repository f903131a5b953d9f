"""
What every app of a keeper has around it, and what is asked of the rest of the node.

In:  `supervise.daemons` makes one `Surroundings`.
Out: `supervise.supervised` and `supervise.running` read it.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from attrs import frozen
from twisted.internet.defer import Deferred

from hostedge.runtimes.start import Runtime
from hostedge.settings import Settings
from hostedge.supervise.journal import Journal
from hostedge.supervise.learned import StartTimes

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


class Used(Protocol):
    """What a cgroup takes."""

    @property
    def memory(self) -> int | None:
        """Bytes; None: nobody counts."""


class Leaf(Protocol):
    """The cgroup of a generation. Everything raises OSError where the kernel refuses."""

    @property
    def path(self) -> Path: ...

    @property
    def inode(self) -> int: ...

    def freeze(self) -> None:
        """Have everything in it stand still."""

    def thaw(self) -> None: ...

    def kill(self) -> None:
        """End everything in it."""

    def used(self) -> Used: ...


class Leaves(Protocol):
    """The cgroups of all generations: `supervise.cgroup.Groups`."""

    def find(self, account: str, app: str, generation: int) -> Leaf | None:
        """The one of this generation, if it was made."""


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
    # None: the kernel has none, or they are not ours
    leaves: Leaves | None
    # who gets a connection to this host and port: `net.sock_diag.listener_at`
    listener_at: Callable[[str, int], Listening | None]
    # uid and gid of daemons; None: those of this process
    owner: tuple[int, int] | None
    ask_token: Callable[[Supervised], None]
    release_token: Callable[[Supervised], None]
    # the app is down and nothing of it is left
    rested: Callable[[Supervised], None]

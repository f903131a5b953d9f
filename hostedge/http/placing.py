"""
What a relay asks of those who give places, and of a place that it was given.

In:  `http.lane` and the backends are such.
Out: protocols; nothing happens here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from hostedge.http.relay import Passage, SpoolPassage
    from hostedge.http.upstream import Upstream
    from hostedge.observe.traffic import Traffic


class Lane(Protocol):
    """One generation of an app, or one server: where a place was given."""

    upstream: Upstream
    label: str
    # of an app; 0: it is a server
    generation: int
    # by `time.monotonic`: when the app came to run that did not; 0.0: it need not be started
    since: float
    # responses that were whole
    served: int
    # whether it may be stopped when nobody uses it
    may_sleep: bool

    def release(self) -> None:
        """Give the place back; the next in line may begin before this returns."""

    def exchange_place(self) -> None:
        """Give the place back, and be counted as upgraded instead, until `leave`."""

    def hush(self, silent: bool) -> None:
        """What was upgraded has had nothing to say for long, or has again."""

    def leave(self, silent: bool) -> None:
        """What was upgraded has ended; `silent`: and was hushed."""


class Backend(Protocol):
    """Who gives places."""

    # upgraded requests that are open; they have no place any more
    sockets: int
    # what has become of them
    traffic: Traffic

    def take(self, passage: Passage) -> None:
        """Answer by `passage.placed` or `passage.refused`, at once or later."""

    def take_again(self, passage: Passage) -> None:
        """The same for one who had a place already: it stands at the head of the line."""

    def unreachable(self, lane: Lane) -> None:
        """This lane could not be connected to; the place is given back next."""

    def crowded(self, lane: Lane, passage: Passage) -> bool:
        """
        This lane has more to accept than it holds, and the place is given back next. Whether it
        is worth another try, for which the passage asks again.
        """

    def unreached(self, passage: Passage, cause: str) -> tuple[str, float | None]:
        """What somebody is told who could not be connected, the last time because of `cause`."""

    def refusal(self, patience: float) -> tuple[str, float | None] | None:
        """
        What a request of such patience would be told, if it is already known to be refused.
        """

    def holds_back(self, passage: SpoolPassage) -> bool:
        """Whether its client shall send a body only later: then this is seen to here."""

    def leave(self, passage: Passage) -> None:
        """Wait no longer."""

    def explain(self) -> list[str]: ...

"""
How one generation of a daemon is brought to its end: finish, TERM, KILL.

In:  `supervise.generations`, for a generation that was replaced, is idle, or did not come up.
Out: calls on `EndingPorts`; the end itself is the process's exit, told by the machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from automat import TypeMachineBuilder

from hostedge.supervise.alarm import Alarm, Clock

LOOK_EVERY = 1.0  # between two questions whether the edges have finished
KILL_AGAIN = 5.0  # who survives KILL for so long sits in the kernel; asked until it is out


class EndingPorts(Clock, Protocol):
    """What bringing a generation to its end does to the world."""

    def retire(self, generation: int, deadline: float) -> None:
        """Tell the edges to begin nothing more on it and to finish within `deadline`."""

    def quiesce(self, generation: int, question: int) -> None:
        """Ask the edges whether they are done with it; `quiesced` follows."""

    def signal(self, generation: int, name: str) -> None:
        """Send TERM or KILL to its process group."""

    def stuck(self, generation: int) -> None:
        """KILL did not end it: it sits in the kernel."""


class Ending(Protocol):
    """Inputs."""

    def drain(self) -> None:
        """Let its requests finish first."""

    def tell(self) -> None:
        """It has to end now."""

    def hurry(self) -> None:
        """It has to end now, and `stop_timeout` may have become shorter."""

    def finished(self) -> None:
        """The edges are done with it."""

    def exited(self) -> None:
        """Its process is gone."""

    def _alarm(self) -> None:
        """The time of the present state is up."""


@dataclass
class EndingCore:
    ports: EndingPorts
    generation: int
    drain: float
    stop_timeout: float
    # numbers questions to the edges, so that an answer finds the question it belongs to
    number: Callable[[], int]
    # seconds for what was upgraded, where they are more than `drain`
    lasting: float = 0.0
    question: int = 0
    deadline: float = 0.0
    told_at: float = 0.0
    alarm: Alarm = field(init=False)

    def __post_init__(self) -> None:
        self.alarm = Alarm(self.ports)

    def look(self, ending: Ending) -> None:
        left = self.deadline - self.ports.seconds()
        if left <= 0:
            ending.tell()
            return
        self.alarm.set(min(left, LOOK_EVERY), ending._alarm)
        self.question = self.number()
        self.ports.quiesce(self.generation, self.question)


def _build() -> Callable[[EndingCore], Ending]:
    builder = TypeMachineBuilder(Ending, EndingCore)

    def begin_drain(ending: Ending, core: EndingCore) -> None:
        core.deadline = core.ports.seconds() + max(core.drain, core.lasting)
        core.ports.retire(core.generation, core.drain)
        core.look(ending)

    def look(ending: Ending, core: EndingCore) -> None:
        core.look(ending)

    def begin_term(ending: Ending, core: EndingCore) -> None:
        core.told_at = core.ports.seconds()
        core.alarm.set(core.stop_timeout, ending._alarm)
        core.ports.signal(core.generation, "TERM")

    def lose_patience(ending: Ending, core: EndingCore) -> None:
        left = core.told_at + core.stop_timeout - core.ports.seconds()
        core.alarm.set(max(left, 0.0), ending._alarm)

    def begin_kill(ending: Ending, core: EndingCore) -> None:
        core.alarm.set(KILL_AGAIN, ending._alarm)
        core.ports.signal(core.generation, "KILL")

    def alert(ending: Ending, core: EndingCore) -> None:
        begin_kill(ending, core)
        core.ports.stuck(core.generation)

    def end(ending: Ending, core: EndingCore) -> None:
        core.alarm.clear()

    fresh = builder.state("fresh")
    finishing = builder.state("finishing")
    told = builder.state("told")
    killed = builder.state("killed")
    stuck = builder.state("stuck")
    gone = builder.state("gone")

    # the way down
    fresh.upon(Ending.drain).to(finishing)(begin_drain)
    fresh.upon(Ending.tell).to(told)(begin_term)
    finishing.upon(Ending._alarm).loop()(look)
    finishing.upon(Ending.finished).to(told)(begin_term)
    finishing.upon(Ending.tell).to(told)(begin_term)
    finishing.upon(Ending.hurry).to(told)(begin_term)
    told.upon(Ending.hurry).loop()(lose_patience)
    told.upon(Ending._alarm).to(killed)(begin_kill)
    killed.upon(Ending._alarm).to(stuck)(alert)
    stuck.upon(Ending._alarm).loop()(begin_kill)
    for state in (fresh, finishing, told, killed, stuck):
        state.upon(Ending.exited).to(gone)(end)

    # said once more, or too late
    finishing.upon(Ending.drain).loop().returns(None)
    fresh.upon(Ending.finished).loop().returns(None)
    fresh.upon(Ending.hurry).to(told)(begin_term)
    for state in (killed, stuck, gone):
        state.upon(Ending.hurry).loop().returns(None)
    for state in (told, killed, stuck, gone):
        state.upon(Ending.drain).loop().returns(None)
        state.upon(Ending.tell).loop().returns(None)
        state.upon(Ending.finished).loop().returns(None)
    gone.upon(Ending.exited).loop().returns(None)

    return builder.build()


make_ending = _build()
